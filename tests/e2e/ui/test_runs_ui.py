"""Runs, as an operator starts, watches, cancels and looks through them in the browser."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.ui.conftest import PHONE, Opens
from tests.e2e.ui.parts import card, choose, figure, number, press
from tests.e2e.ui.stage import Stage

YEAR = 2021
"""Of runs that no other test knows."""


@pytest.fixture(scope="module")
def ended(stage: Stage) -> UUID:
    """A small run that has ended."""
    stage.reset()
    return stage.run(max_tokens=3)


def history_rows(page: Page) -> Locator:
    return card(page, "history").locator("tbody tr")


def start(page: Page) -> None:
    """Run now, after the forecast."""
    press(page, "Run now")
    expect(figure(page, "forecast-credits")).to_have_text(re.compile(r"^[\d,]+$"))
    press(page, "Start run")


def test_a_run_tells_its_cost_first_moves_as_it_goes_and_shows_its_result(
    system: Stage, open_page: Opens
) -> None:
    page = open_page(system.url)
    number(page, "Tokens of a run").fill("6")
    press(page, "Run now")
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("Tokens of a run")
    expect(figure(dialog, "forecast-tokens")).to_have_text("6")
    expect(figure(dialog, "forecast-credits")).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    before = system.get("/api/discovery/runs")["total"]
    press(dialog, "Start run")
    run = card(page, "run")
    expect(run.locator("[data-state=running]")).to_be_visible()
    expect(run.locator("[data-at=now]")).to_have_text(re.compile("Measure|Profile"))
    expect(run.locator("[data-figure=tokens-by-state]")).to_contain_text("of 6 tokens")
    page.reload()
    expect(run.locator("[data-state=completed]")).to_be_visible()
    expect(figure(run, "last-tokens")).to_have_text("6")
    runs = system.get("/api/discovery/runs")
    assert runs["total"] == before + 1
    newest = runs["runs"][0]
    assert (newest["params"]["max_tokens"], newest["tokens_analyzed"]) == (6, 6)
    assert system.config()["params"]["max_tokens"] == 20
    expect(figure(run, "last-new")).to_have_text(f"{newest['new_wallets']:,}")
    expect(history_rows(page).first).to_contain_text("completed")


def test_a_run_in_progress_is_the_same_in_two_browsers_is_cancelled_from_one_and_resumed(
    system: Stage, open_page: Opens
) -> None:
    one, other = open_page(system.url), open_page(system.url, size=PHONE)
    start(one)
    for page in (one, other):
        expect(card(page, "run").locator("[data-state=running]")).to_be_visible()
    expect(card(other, "run").locator("[data-figure=tokens-by-state]")).to_contain_text("of ")
    press(other, "Cancel run")
    for page in (one, other):
        expect(card(page, "run").locator("[data-state=cancelled]")).to_be_visible()
        expect(card(page, "run")).to_contain_text("what it had found is kept")
    expect(history_rows(one).first).to_contain_text("cancelled")
    card(one, "run").get_by_role("link", name="Open this run").click()
    expect(one.get_by_text("cancelled").first).to_be_visible()
    press(one, "Resume")
    expect(one.get_by_text("completed", exact=True).first).to_be_visible()
    expect(one.locator("[data-card=result]")).to_be_visible()


def test_a_date_range_changes_table_cards_and_charts_alike(
    system: Stage, ended: UUID, open_page: Opens
) -> None:
    with system.sql() as connection:
        for day, status in ((3, "completed"), (3, "completed"), (4, "failed"), (20, "completed")):
            connection.execute(
                "INSERT INTO discovery_runs (id, started_at, completed_at, status, trigger_type, triggered_by,"
                " stage, min_price_change_pct, min_volume_usd, max_token_age_hours, early_window_minutes,"
                " min_profit_pct, max_tokens, new_wallets, duration_seconds)"
                " VALUES (%s, %s, %s, %s, 'api', 'long ago', 'ended', 100, 50000, 72, 30, 50, 20, 0, 60)",
                (uuid4(), f"{YEAR}-03-{day:02}T12:00Z", f"{YEAR}-03-{day:02}T12:01Z", status),
            )
    page = open_page(system.url)
    statistics = card(page, "statistics")
    page.get_by_label("First day").fill(f"{YEAR}-03-03")
    page.get_by_label("Last day").fill(f"{YEAR}-03-04")
    expect(figure(page, "total-runs")).to_have_text("3")
    expect(figure(page, "success-rate")).to_have_text("67 %")
    expect(history_rows(page)).to_have_count(3)
    for row in history_rows(page).all():
        expect(row).to_contain_text(f"Mar {YEAR}")
    charts = statistics.locator(".nicegui-echart")
    charts.nth(1).scroll_into_view_if_needed()
    expect(charts.nth(1).locator("canvas")).to_be_visible()
    drawn = "element => JSON.stringify(getElement(+element.id.slice(1)).chart.getOption().series.map(one => one.data))"
    assert charts.nth(1).evaluate(drawn) == "[[2,0],[0,1],[0,0]]"
    press(card(page, "history"), "Failed")
    expect(history_rows(page)).to_have_count(1)
    press(card(page, "history"), "All")
    choose(page, "Trigger", "Manual")
    expect(card(page, "history")).to_contain_text("No runs in this date range.")
    choose(page, "Trigger", "Api")
    expect(history_rows(page)).to_have_count(3)
    choose(page, "Trigger", "Any trigger")
    press(statistics, "All")
    expect(history_rows(page)).not_to_have_count(3)
    page.get_by_label("First day").fill("2019-01-01")
    page.get_by_label("Last day").fill("2019-01-31")
    expect(history_rows(page)).to_have_count(0)
    expect(card(page, "history")).to_contain_text("No runs in this date range.")
    expect(statistics).to_contain_text("No runs in this date range.")


def test_a_row_of_the_history_opens_the_run_with_its_funnel_tokens_and_reasons(
    system: Stage, ended: UUID, open_page: Opens
) -> None:
    page = open_page(system.url)
    history_rows(page).filter(has_text="completed").first.locator("td").nth(4).click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    page.goto(f"{system.url}/runs/{ended}")
    stored = system.get(f"/api/discovery/runs/{ended}")
    for step, name in (
        ("tokens", "tokens_listed"),
        ("buyers", "buyers"),
        ("early", "early"),
        ("kept", "kept"),
    ):
        expect(page.locator(f"[data-step={step}]")).to_contain_text(f"{stored['funnel'][name]:,}")
    expect(card(page, "tokens").locator("tbody tr")).to_have_count(3)
    expect(card(page, "tokens")).to_contain_text("done")
    expect(card(page, "refusals")).to_contain_text("in the deepest pool, at least $10,000.00")
    expect(card(page, "run-parameters")).to_contain_text("3 tokens")
    expect(card(page, "usage")).to_contain_text("helius")
    page.get_by_role("link", name="Health", exact=True).click()
    expect(card(page, "parts")).to_be_visible()
    page.go_back()
    expect(card(page, "funnel")).to_be_visible()


def test_a_run_is_repeated_on_its_stored_tapes_and_compared(system: Stage, open_page: Opens) -> None:
    # A run of its own: what other runs see of a wallet meanwhile would change its flags, and its score.
    ended = system.run(max_tokens=3)
    page = open_page(f"{system.url}/runs/{ended}")
    press(page, "Run again…")
    press(page, "On the stored tapes")
    expect(page).not_to_have_url(re.compile(str(ended)))
    expect(card(page, "result")).to_be_visible()
    expect(figure(card(page, "result"), "credits")).to_have_text("0")
    expect(card(page, "run-parameters")).to_contain_text("on stored tapes")
    repeated = page.url.rsplit("/", 1)[1]
    press(page, "Compare…")
    page.locator(".q-dialog").get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("[data-page=diff]")).to_be_visible()
    expect(figure(page, "same")).to_have_text(re.compile(r"^\d"))
    page.goto(f"{system.url}/runs/{ended}/diff/{repeated}")
    findings = system.get(f"/api/discovery/runs/{ended}/wallets")["total"]
    expect(figure(page, "same")).to_have_text(f"{findings:,}")
    for name in ("gained", "lost", "changed"):
        expect(figure(page, name)).to_have_text("0")


def test_current_pumps_are_sorted_and_refused_ones_told_on_demand(system: Stage, open_page: Opens) -> None:
    page = open_page(system.url)
    pumps = card(page, "pumps")
    listed = system.get("/api/discovery/pumps")
    expect(pumps.locator("tbody tr")).to_have_count(len(listed["pumped"]))
    expect(pumps).to_contain_text("1 Nov 2026")
    pumps.get_by_role("columnheader", name="Liquidity").click()
    deepest = max(listed["pumped"], key=lambda one: one["liquidity_usd"])
    cheapest = min(listed["pumped"], key=lambda one: one["liquidity_usd"])
    first = pumps.locator("tbody tr").first
    expect(first).to_contain_text(re.compile(f"{deepest['symbol']}|{cheapest['symbol']}"))
    sorted_first = first.inner_text()
    pumps.get_by_role("button", name=f"Copy {deepest['mint']}").click()
    assert page.evaluate("navigator.clipboard.readText()") == deepest["mint"]
    press(pumps, f"Show {len(listed['refused'])} refused tokens")
    refused = pumps.get_by_role("table").last
    expect(pumps).to_contain_text(listed["refused"][0]["reason"])
    expect(refused).to_be_visible()
    assert first.inner_text() == sorted_first


def test_the_history_turns_its_pages(system: Stage, open_page: Opens) -> None:
    with system.sql() as connection:
        connection.execute(
            "INSERT INTO discovery_runs (id, started_at, completed_at, status, trigger_type, triggered_by, stage,"
            " min_price_change_pct, min_volume_usd, max_token_age_hours, early_window_minutes, min_profit_pct,"
            " max_tokens, new_wallets, duration_seconds)"
            " SELECT gen_random_uuid(), moment, moment + '1 minute', 'completed', 'api', 'long ago', 'ended',"
            " 100, 50000, 72, 30, 50, 20, 0, 60 FROM generate_series("
            " '2020-05-01T00:00Z'::timestamptz, '2020-05-02T20:00Z'::timestamptz, '1 hour') moment"
        )
    page = open_page(system.url)
    page.get_by_label("First day").fill("2020-04-30")
    page.get_by_label("Last day").fill("2020-05-03")
    history = card(page, "history")
    expect(history).to_contain_text("1 to 20 of 45")
    seen = set()
    for said in ("1 to 20", "21 to 40", "41 to 45"):
        expect(history).to_contain_text(f"{said} of 45")
        seen |= {row.inner_text() for row in history_rows(page).all()}
        if said != "41 to 45":
            press(history, "Next page")
    assert len(seen) == 45
    expect(history.get_by_role("button", name="Next page")).to_be_disabled()


def test_the_wallets_of_a_run_are_ordered_filtered_explained_and_exported(
    system: Stage, ended: UUID, open_page: Opens
) -> None:
    page = open_page(f"{system.url}/runs/{ended}")
    wallets = card(page, "run-wallets")
    asked = f"/api/discovery/runs/{ended}/wallets"
    rows = wallets.locator("tbody tr")
    richest = system.get(asked)["findings"][0]["finding"]
    expect(rows.first).to_contain_text(richest["wallet_address"][:4])
    choose(page, "Order", "First to enter first")
    first = system.get(asked, sort="entry_rank", ascending=True)["findings"][0]["finding"]
    expect(rows.first).to_contain_text(f"#{first['found']['entry_rank']}")
    choose(page, "Status of wallets", "Active")
    active = system.get(asked, status="active")["total"]
    expect(wallets.locator("[data-figure=finding-count]")).to_have_text(re.compile(rf"^{active} findings?$"))
    choose(page, "Status of wallets", "Any status")
    choose(page, "Order", "Largest profit first")
    expect(rows.first).to_contain_text(richest["wallet_address"][:4])
    rows.first.locator("td").nth(2).click()
    dialog = page.locator("[data-dialog=finding]")
    expect(dialog).to_contain_text("Received, all sells")
    signature = richest["found"]["signatures"][0]
    proof = dialog.get_by_role("link", name=f"Open {signature} in an explorer")
    expect(proof).to_have_attribute("href", f"https://solscan.io/tx/{signature}")
    press(dialog, "Close")
    with page.expect_download() as loading:
        wallets.get_by_role("link", name="Export CSV").click()
    lines = loading.value.path().read_text().splitlines()
    assert lines[0].startswith("wallet_address,source_token,")
    assert len(lines) == 1 + system.get(asked)["total"]
    assert richest["wallet_address"] in lines[1]
