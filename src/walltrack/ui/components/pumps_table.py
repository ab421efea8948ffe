"""What pumps now, as the markets list it: the tokens that a run would take, and why it would leave the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from nicegui import ui

from walltrack.client import PumpsView, PumpView, WallTrackError
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import button, card, explain, notice, tag, time_of, write
from walltrack.ui.components.tables import Column, Row, table
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View

REFRESH_SECONDS: Final = 60
_COLUMNS: Final = (
    Column("mint", "Token", "token"),
    Column("change", "24 h", "number", sortable=True, title="Price change within 24 hours"),
    Column("peak", "To peak", "number", sortable=True, wide=True, title="Rise from launch to peak"),
    Column("volume", "Volume 24 h", "number", sortable=True),
    Column("liquidity", "Liquidity", "number", sortable=True, wide=True),
    Column("trades", "Trades 24 h", "number", sortable=True, wide=True),
    Column("age", "Age", "number", sortable=True),
    Column("pools", "Pools", "chips", wide=True),
)
_REFUSED: Final = (
    Column("mint", "Token", "token"),
    Column("reason", "Why a run would leave it out", "text"),
)


class PumpsTable:
    """The card of current pumps. It asks once a minute while it is seen; the API asks the markets no more often."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._shows_refused = False
        self._seen: PumpsView | None = None
        self._loading = asyncio.Lock()
        with card("Current pumps", name="pumps") as (body, tools):
            with tools:
                self._asked = tag("span", "", classes="wt-soft")
                self._age = time_of(None, "ago")
                button("Refresh", self.load, icon="refresh")
            self._problem = tag("div", "", classes="wt-notice", data_tone="bad", role="alert")
            self._problem.set_visibility(False)
            with tag("div", classes="wt-page"):
                self._warnings = tag("div", classes="wt-page")
                # One table for good: its order is the reader's.
                self._pumped = table(
                    _COLUMNS, [], label="Tokens that pump now", sort="volume", nothing="Loading…"
                )
                self._refused = tag("div", classes="wt-page")
        ui.timer(REFRESH_SECONDS, self.load, immediate=False)
        view.pulse.watch(body, self._see)

    async def load(self) -> None:
        """Ask what pumps now."""
        if not self._loading.locked():
            await self.show(self._view.client.pumps())

    async def show(self, pumps: Awaitable[PumpsView]) -> None:
        """Show what pumps, once it is there."""
        async with self._loading:
            try:
                seen = await pumps
            except WallTrackError as error:
                if not self._problem.is_deleted:
                    write(self._problem, explain(error))
                    self._problem.set_visibility(True)
                return
        if self._pumped.is_deleted:
            return
        self._problem.set_visibility(False)
        self._seen = seen
        self._show()

    def _show(self) -> None:
        seen = self._seen
        if seen is None:
            return
        write(self._asked, "Market as of" if seen.demo else "Asked")
        self._age.props["mode"] = "" if seen.demo else "ago"
        self._age.props["datetime"] = seen.as_of.isoformat()
        self._warnings.clear()
        self._warnings.set_visibility(bool(seen.warnings))
        with self._warnings:
            for warning in seen.warnings:
                notice(warning)
        self._pumped.props["no-data-label"] = "No token pumps by the saved parameters now."
        self._pumped.rows = [_row(pump, seen) for pump in seen.pumped]
        self._refused.clear()
        self._refused.set_visibility(bool(seen.refused))
        if seen.refused:
            with self._refused:
                self._show_refused(seen)

    def _show_refused(self, seen: PumpsView) -> None:
        def turn() -> None:
            self._shows_refused = not self._shows_refused
            self._show()

        name = "Hide" if self._shows_refused else "Show"
        with tag("div", classes="wt-row"):
            said = button(
                f"{name} {formatting.plural(len(seen.refused), 'refused token')}", turn, kind="quiet"
            )
            said.props["aria-expanded"] = "true" if self._shows_refused else "false"
        if self._shows_refused:
            rows = [
                {"id": one.mint, "mint": one.mint, "mint_label": one.name, "reason": one.reason}
                for one in seen.refused
            ]
            table(_REFUSED, rows, label="Refused tokens", page_size=20)

    async def _see(self, beat: Beat, before: Beat) -> None:
        version = None if beat.config is None else beat.config.version
        old = None if before.config is None else before.config.version
        if (beat.is_up and before.is_up is False) or (old is not None and version != old):
            await self.load()


def _row(pump: PumpView, seen: PumpsView) -> Row:
    age = (seen.as_of - pump.launched_at).total_seconds()
    change = pump.price_change_24h_pct
    return {
        "id": pump.mint,
        "mint": pump.mint,
        "mint_label": pump.symbol,
        "change": change,
        "change_text": formatting.percent(change, signed=True),
        "change_tone": None if change is None else "good" if change >= 0 else "bad",
        "peak": pump.rise_to_peak_pct,
        "peak_text": formatting.percent(pump.rise_to_peak_pct, signed=True),
        "volume": pump.volume_24h_usd,
        "volume_text": formatting.usd(pump.volume_24h_usd),
        "liquidity": pump.liquidity_usd,
        "liquidity_text": formatting.usd(pump.liquidity_usd),
        "trades": pump.transactions_24h,
        "trades_text": formatting.count(pump.transactions_24h),
        "age": age,
        "age_text": formatting.duration(age),
        "pools": [{"text": dex, "title": pool} for dex, pool in pump.pools],
    }
