"""A real browser before the whole system; it notes whatever it asks for elsewhere, and every complaint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.e2e.ui.stage import Stage, second, staged

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
WIDE: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}
MACHINES: Final = "ERR_NETWORK_CHANGED"
"""What Chromium says where somebody else on the machine takes a network interface up or down; it asks again."""

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=90_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests cannot be."""
    if CHROMIUM is not None:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(
                pytest.mark.skip(
                    reason="no chromium here, and it may not be installed: apt-get install chromium"
                )
            )


@dataclass
class Watched:
    """What a browser did that it should not have."""

    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of complaints that the test itself provokes."""

    def request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname not in ("127.0.0.1", "localhost"):
            self.elsewhere.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def failed(self, error: Exception) -> None:
        self.complaints.append(str(error))

    def unexpected(self) -> list[str]:
        """Complaints that no test provoked."""
        return [one for one in self.complaints if not any(part in one for part in (*self.expected, MACHINES))]


@dataclass(frozen=True)
class Locked:
    """A system that asks for keys."""

    stage: Stage
    reads: str
    operates: str


@pytest.fixture(scope="session")
def stage(open_folder: Path) -> Iterator[Stage]:
    """The system, over all tests of this process."""
    with staged(open_folder / "dashboard") as made:
        # The dashboard waits for the price of SOL no longer than a reader would; once it was asked it is stored.
        made.get("/api/discovery/sol-price")
        yield made


@pytest.fixture(scope="session")
def locked(stage: Stage, open_folder: Path) -> Iterator[Locked]:
    """Another API over the same database, which asks for keys, with a dashboard before it; and two keys."""
    secret = "a secret of these tests, which is long enough"
    made = second(stage, open_folder / "locked", WALLTRACK_API_AUTHENTICATION="true", SECRET_KEY=secret)
    with made as other:
        keys = {scope: other.new_key(f"{scope} key", scope) for scope in ("read", "operate")}
        yield Locked(other, keys["read"], keys["operate"])


@pytest.fixture
def system(stage: Stage) -> Stage:
    """The system with the configuration as it is at first, and no run running."""
    stage.reset()
    return stage


# Not for the whole session: while it is there, an event loop runs in this thread, and no asyncio test can start one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def watched() -> Watched:
    return Watched()


Opens = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, watched: Watched) -> Iterator[Opens]:
    """Opens a page in a browser of its own. Nothing may be asked of another machine, and nothing complained of."""
    contexts: list[BrowserContext] = []

    def opened(
        url: str, *, size: dict[str, int] = WIDE, scheme: str = "light", zone: str = "Europe/Berlin"
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if scheme == "dark" else "light",
            timezone_id=zone,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(90_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", watched.request)
        page.on("console", watched.console)
        page.on("pageerror", watched.failed)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.elsewhere == []
    assert watched.unexpected() == []
