"""Who may look and act: log-in by key, what a key may not do, and pages of other sites."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.ui.conftest import Locked, Opens, Watched
from tests.e2e.ui.parts import card, press
from tests.e2e.ui.stage import Stage


def log_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    press(page, "Log in")


def test_a_key_opens_the_dashboard_and_logging_out_shuts_all_its_pages(
    locked: Locked, open_page: Opens, watched: Watched
) -> None:
    url = locked.stage.url
    page = open_page(f"{url}/wallets")
    expect(page).to_have_url(re.compile("/login"))
    watched.expected.append("401")
    log_in(page, "wt_no_such_key")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("does not hold|wrong keys"))
    log_in(page, locked.operates)
    expect(card(page, "wallets")).to_be_visible()
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "walltrack_session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert locked.operates not in cookie["value"]
    other = page.context.new_page()
    other.goto(url)
    expect(other.get_by_role("button", name="Run now")).to_be_visible()
    press(page, "Log out")
    expect(page.get_by_label("API key")).to_be_visible()
    expect(other.get_by_label("API key")).to_be_visible()
    answer = httpx.get(f"{url}/", headers={"Cookie": f"walltrack_session={cookie['value']}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")


def test_a_key_that_only_reads_shows_no_buttons_that_act(
    locked: Locked, open_page: Opens, watched: Watched
) -> None:
    page = open_page(locked.stage.url)
    watched.expected.append("401")
    log_in(page, locked.reads)
    expect(page.get_by_text("Read only")).to_be_visible()
    expect(card(page, "history")).to_be_visible()
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    expect(page.get_by_role("spinbutton", name="Tokens of a run")).to_be_disabled()
    expect(page.get_by_role("switch", name="Start runs by themselves")).to_be_disabled()


def test_too_many_tries_are_told_to_wait(locked: Locked) -> None:
    url = locked.stage.url
    answers = [
        httpx.post(
            f"{url}/login",
            data={"key": f"wt_wrong_{n}"},
            headers={"Origin": url, "X-Forwarded-For": "192.0.2.1"},
        )
        for n in range(13)
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert "Wait a minute" in answers[-1].text


def test_pages_of_other_sites_and_other_names_get_nothing(system: Stage) -> None:
    url, host = system.url, system.url.removeprefix("http://")
    assert httpx.post(f"{url}/logout", headers={"Origin": "http://evil.example"}).status_code == 403
    assert httpx.post(f"{url}/logout").status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Host": host,
    }
    socket = f"{url}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert httpx.get(socket, headers=upgrade | {"Origin": "http://evil.example"}).status_code == 403
    headers = httpx.get(url).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_an_address_to_go_to_after_log_in_is_one_of_the_dashboard(locked: Locked) -> None:
    url = locked.stage.url
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "/login"):
        answer = httpx.post(
            f"{url}/login", data={"key": locked.reads, "next": target}, headers={"Origin": url}
        )
        assert answer.headers.get("location") == "/"
