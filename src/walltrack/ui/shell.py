"""What stands around every view: tabs, who is logged in, demo data, and whether the API answers."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from nicegui import Client, ui
from nicegui.element import Element

from walltrack.ui.components.discovery_page import discovery_page
from walltrack.ui.components.health_page import health_page
from walltrack.ui.components.parts import button, tag, write
from walltrack.ui.components.run_diff_page import run_diff_page
from walltrack.ui.components.run_page import run_page
from walltrack.ui.components.wallet_page import wallet_page
from walltrack.ui.components.wallets_page import wallets_page
from walltrack.ui.guard import SESSION
from walltrack.ui.pulse import Beat
from walltrack.ui.session import Session
from walltrack.ui.view import View

TABS: Final = (("/", "Discovery"), ("/wallets", "Wallets"), ("/health", "Health"))
PATHS: Final = (
    "/",
    "/runs/{run_id}",
    "/runs/{run_id}/diff/{other_id}",
    "/wallets",
    "/wallets/{address}",
    "/health",
)

_THEMES: Final = {"auto": None, "light": False, "dark": True}
_ICONS: Final = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}


def show_shell(request: Request, client: Client) -> None:
    """Build a page for whoever the request's session is of."""
    session: Session = request.scope[SESSION]
    view = View(session, client, _zone(request.cookies.get("walltrack_zone", "")))
    ui.add_head_html('<link rel="stylesheet" href="/static/walltrack.css">')
    ui.add_head_html('<script src="/static/walltrack.js" type="module"></script>')
    tag("a", "Skip to content", classes="wt-skip", href="#main")
    links = _header(view, request.cookies.get("walltrack_theme", "auto"))
    _banners(view)
    with tag("main", classes="wt-main", id="main"):
        ui.sub_pages(
            {
                "/": discovery_page,
                "/runs/{run_id}": run_page,
                "/runs/{run_id}/diff/{other_id}": run_diff_page,
                "/wallets": wallets_page,
                "/wallets/{address}": wallet_page,
                "/health": health_page,
            },
            data={"view": view},
        )

    def mark(path: str) -> None:
        at = path.split("?", maxsplit=1)[0]
        for href, element in links.items():
            is_here = (
                at == href
                or (href != "/" and at.startswith(href))
                or (href == "/" and at.startswith("/runs"))
            )
            element.props["aria-current"] = "page" if is_here else "false"

    mark(request.url.path)
    client.sub_pages_router.on_path_changed(mark)


def _header(view: View, theme: str) -> dict[str, Element]:
    links = {}
    with tag("header", classes="wt-header"):
        with tag("a", classes="wt-brand", href="/"):
            tag("img", src="/static/walltrack.svg", alt="", width="24", height="24")
            tag("span", "WallTrack")
        with tag("nav", classes="wt-tabs", aria_label="Views"):
            for href, name in TABS:
                links[href] = tag("a", name, classes="wt-tab", href=href)
        with tag("div", classes="wt-header__end"):
            demo = tag("span", "Demo data", classes="wt-chip", data_tone="warn", data_mark="demo")
            demo.props["title"] = f"Runs are made on a made-up market: {view.session.me.market}"
            if not view.may_operate:
                tag("span", "Read only", classes="wt-chip", title="This key may look, and change nothing")
            _theme_button(theme if theme in _THEMES else "auto")
            if view.session.token is not None:
                tag("span", view.session.me.name, classes="wt-header__who", title=view.session.me.name)
                with tag("form", classes="wt-log-out", method="post", action="/logout"):
                    tag("button", "Log out", type="submit")

    def show(beat: Beat, _: Beat) -> None:
        demo.classes(remove="wt-hidden") if beat.me.demo else demo.classes("wt-hidden")

    show(view.pulse.beat, view.pulse.beat)
    view.pulse.watch(demo, show)
    return links


def _theme_button(theme: str) -> None:
    dark = ui.dark_mode(_THEMES[theme])
    names = list(_THEMES)

    def turn() -> None:
        nonlocal theme
        theme = names[(names.index(theme) + 1) % len(names)]
        dark.set_value(_THEMES[theme])
        made.props["icon"] = _ICONS[theme]
        made.props["aria-label"] = f"Colours: {theme}"
        ui.run_javascript(f"walltrackTheme('{theme}')")

    made = button("", turn, kind="quiet", icon=_ICONS[theme])
    made.props["aria-label"] = f"Colours: {theme}"
    made.tooltip("Light, dark, or as the system")


def _banners(view: View) -> None:
    banner = tag("div", classes="wt-banner wt-hidden", role="alert", data_banner="api")

    def show(beat: Beat, _: Beat) -> None:
        if view.pulse.is_refused:
            view.page.open("/login")
        elif beat.is_up is False:
            write(
                banner,
                f"The API does not answer ({beat.says}). What you see is from before; it comes back by itself.",
            )
            banner.classes(remove="wt-hidden")
        else:
            banner.classes("wt-hidden")

    view.pulse.watch(banner, show)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
