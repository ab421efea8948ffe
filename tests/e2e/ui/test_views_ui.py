"""Wallets, health, and what holds for every view: demo data, both sizes, both colours, an API that goes away."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import expect

from tests.e2e.ui.conftest import PHONE, WIDE, Opens, Watched
from tests.e2e.ui.parts import card, choose, figure, press
from tests.e2e.ui.stage import Stage, staged_empty

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def ended(stage: Stage) -> UUID:
    """A run that has ended."""
    stage.reset()
    return stage.run(max_tokens=4)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The accessibility checker, as npm has it."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here, which has the accessibility checker")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        ["npm", "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"npm cannot be reached for {AXE}")
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        yield member.read().decode()


def test_wallets_are_searched_filtered_and_opened(system: Stage, ended: UUID, open_page: Opens) -> None:
    page = open_page(system.url)
    page.get_by_role("link", name="Wallets", exact=True).click()
    wallets = card(page, "wallets")
    best = system.get("/api/wallets", page_size=1)["wallets"][0]
    rows = wallets.locator("tbody tr")
    expect(rows.first).to_contain_text(best["address"][:4])
    expect(rows.first).to_contain_text(f"{float(best['score']):.3f}")
    expect(rows.first).to_contain_text("≈ $")
    choose(page, "Status", "Excluded")
    excluded = system.get("/api/wallets", status="excluded")["total"]
    expect(page.locator("[data-figure=wallet-count]")).to_have_text(re.compile(rf"^{excluded:,} wallets?$"))
    choose(page, "Status", "All but excluded")
    page.get_by_label("Address begins with").fill(best["address"][:6])
    expect(rows).to_have_count(1)
    rows.first.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(best["address"]))
    expect(figure(page, "score")).to_have_text(f"{float(best['score']):.3f}")
    expect(card(page, "score")).to_contain_text("settled positions")
    expect(card(page, "profile")).to_contain_text("Return on cost")
    found = card(page, "findings")
    findings = system.get(f"/api/wallets/{best['address']}/findings")["total"]
    expect(found.locator("tbody tr")).to_have_count(findings)
    found.locator("tbody tr").first.get_by_role("link", name=re.compile("…")).last.click()
    expect(page).to_have_url(re.compile("/runs/"))


def test_the_flags_of_a_wallet_stand_with_their_evidence(
    system: Stage, ended: UUID, open_page: Opens
) -> None:
    listed = (
        system.get("/api/wallets", page_size=500)["wallets"]
        + system.get("/api/wallets", page_size=500, status="excluded")["wallets"]
    )
    flagged = next(
        one["address"]
        for one in listed
        if one["flags"]
        and one["profiled_at"]
        and system.get(f"/api/wallets/{one['address']}")["profiles"][0]["flags"]
    )
    evidence = system.get(f"/api/wallets/{flagged}")["profiles"][0]["flags"][0]
    page = open_page(f"{system.url}/wallets/{flagged}")
    shown = page.locator(f"[data-flag={evidence['flag']}]").first
    expect(shown).to_contain_text(evidence["detail"])


def test_health_says_every_part_in_words(system: Stage, ended: UUID, open_page: Opens) -> None:
    page = open_page(f"{system.url}/health")
    expect(page.locator("[data-page=health]")).to_contain_text("Everything works.")
    expect(card(page, "parts").locator("[data-part=workers]")).to_contain_text("1 serving")
    expect(card(page, "health-runs")).to_contain_text("completed")


def test_an_api_that_goes_away_is_told_and_comes_back_by_itself(
    system: Stage, ended: UUID, open_page: Opens, watched: Watched
) -> None:
    page = open_page(system.url)
    banner = page.locator("[data-banner=api]")
    expect(card(page, "history").locator("tbody tr").first).to_be_visible()
    expect(banner).to_be_hidden()
    system.api.stop(signal.SIGKILL)
    expect(banner).to_contain_text("The API does not answer")
    expect(card(page, "scheduler")).to_be_visible()
    watched.expected.append("503")
    newcomer = open_page(f"{system.url}/health")
    system.api.start()
    expect(banner).to_be_hidden(timeout=60_000)
    expect(newcomer.locator("[data-page=health]")).to_be_visible(timeout=60_000)
    press(page, "Run now")
    expect(figure(page, "forecast-credits")).to_have_text(re.compile(r"^[\d,]+$"))


def test_who_has_made_no_run_yet_is_told_how_to(open_folder: Path, open_page: Opens) -> None:
    with staged_empty(open_folder / "empty") as system:
        page = open_page(system.url, size=PHONE)
        expect(card(page, "run")).to_contain_text("No runs yet: press Run now.")
        expect(card(page, "history")).to_contain_text("No runs in this date range.")
        expect(card(page, "statistics")).to_contain_text("Press Run now, or choose a longer range.")
        page.goto(f"{system.url}/wallets")
        expect(card(page, "wallets")).to_contain_text("A run finds some: Discovery, Run now.")
        page.goto(f"{system.url}/health")
        expect(card(page, "parts").locator("[data-part=workers]")).to_contain_text("none")
        page.goto("about:blank")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_view_is_demo_data_fits_and_is_accessible(
    system: Stage, ended: UUID, open_page: Opens, axe: str, size: dict[str, int]
) -> None:
    page = open_page(system.url, size=size)
    wallet = system.get("/api/wallets", page_size=1)["wallets"][0]["address"]
    views = {
        "/": "pumps",
        "/wallets": "wallets",
        "/health": "parts",
        f"/runs/{ended}": "tokens",
        f"/wallets/{wallet}": "profile",
    }
    for path, name in views.items():
        page.goto(f"{system.url}{path}")
        expect(card(page, name)).to_be_visible()
        if path in ("/", "/wallets"):
            expect(card(page, name).locator("tbody tr").nth(1)).to_be_visible()
        expect(page.locator("[data-mark=demo]")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "en-GB"
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
        page.evaluate(axe)
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("body")).to_have_class(re.compile(rf"\bbody--{scheme}\b"))
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            serious = [
                f"{path} {scheme} {one['id']}: {each['target']} {each['failureSummary']}"
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
                for each in one["nodes"][:3]
            ]
            assert serious == []


def test_the_keyboard_reaches_what_the_mouse_does(system: Stage, open_page: Opens) -> None:
    page = open_page(system.url)
    expect(card(page, "scheduler")).to_be_visible()
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached |= set(
            page.evaluate(
                "[document.activeElement.innerText || '',"
                " document.activeElement.closest('[aria-label]')?.getAttribute('aria-label') || '']"
            )
        )
    wanted = {"Skip to content", "Discovery", "Wallets", "Health", "Run now", "Tokens of a run", "Frequency"}
    said = {one.removeprefix("play_arrow\n") for one in reached}
    assert wanted <= said, wanted - said
