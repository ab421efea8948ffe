"""What runs found over the chosen date range: cards, and charts by day or week."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, Final

from walltrack.client import DayFigures, DiscoveryStats, WallTrackError, WeekFigures
from walltrack.ui.asking import LastAsked
from walltrack.ui.components import formatting
from walltrack.ui.components.chart import Chart
from walltrack.ui.components.date_range import DateRange, show_date_range
from walltrack.ui.components.parts import card, empty, explain, figure, tag
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View

MOST_DAYS: Final = 92
"""A longer range is drawn by weeks."""

_GOOD, _BAD, _DULL, _MAIN, _INFO = "#16a34a", "#dc2626", "#94a3b8", "#0d9488", "#3b82f6"
_TEXT: Final = "#7b8794"
_LINE: Final = "rgba(128, 140, 152, 0.25)"


class Statistics:
    """The card of figures and charts."""

    @staticmethod
    def figures(view: View, chosen: DateRange) -> Coroutine[Any, Any, DiscoveryStats]:
        """What the API tells of a date range."""
        return view.client.stats(chosen.start, chosen.end)

    def __init__(self, view: View, chosen: DateRange) -> None:
        self._view = view
        self._range = chosen
        with card("Statistics", name="statistics") as (body, tools):
            with tools:
                show_date_range(view, chosen)
            self._figures = tag("div", classes="wt-figures")
            self._charts = tag("div", classes="wt-charts")
        self._last = LastAsked(body)
        chosen.on_change(self.load)
        view.pulse.watch(body, self._see)

    async def load(self) -> None:
        """Ask for the figures of the date range."""
        await self.show(self.figures(self._view, self._range))

    async def show(self, figures: Awaitable[DiscoveryStats]) -> None:
        """Show figures once they are there, unless others were asked for meanwhile."""
        stats = await self._last.answer(figures)
        if stats is None:
            return
        self._figures.clear()
        if isinstance(stats, WallTrackError):
            self._charts.clear()
            with self._charts:
                empty("The statistics cannot be read.", explain(stats))
            return
        with self._figures:
            _show_figures(stats)
        self._draw(stats)

    def _draw(self, stats: DiscoveryStats) -> None:
        charts = _charts(stats)
        existing = [one for one in self._charts.descendants() if isinstance(one, Chart)]
        if charts and len(existing) == len(charts):
            for chart, (_, options) in zip(existing, charts, strict=True):
                chart.draw(options)
            return
        self._charts.clear()
        with self._charts:
            if not charts:
                empty("No runs in this date range.", "Press Run now, or choose a longer range.")
            for title, options in charts:
                with tag("div", classes="wt-chart", role="img", aria_label=title):
                    tag("h3", title)
                    Chart(options)

    async def _see(self, beat: Beat, before: Beat) -> None:
        if (beat.is_up and before.is_up is False) or beat.ended_key != before.ended_key:
            await self.load()


def _show_figures(stats: DiscoveryStats) -> None:
    running = f", {stats.running_runs:,} running" if stats.running_runs else ""
    figure(
        "Total runs",
        formatting.count(stats.total_runs),
        name="total-runs",
        note=f"{stats.cancelled_runs:,} cancelled{running}",
    )
    figure(
        "Success rate",
        formatting.share(stats.success_rate),
        name="success-rate",
        note=f"{stats.successful_runs:,} of {stats.successful_runs + stats.failed_runs:,}",
    )
    figure(
        "Wallets discovered",
        formatting.count(stats.total_wallets_discovered),
        name="wallets-discovered",
        note=f"{stats.total_wallets_updated:,} seen again",
    )
    figure(
        "Average per run", f"{stats.avg_wallets_per_run:,.1f}", name="average-per-run", note="completed runs"
    )
    figure("Credits", formatting.count(stats.credits), name="credits", note="of providers")
    trend = stats.trend
    if trend is not None:
        with tag("div", classes="wt-figure", data_figure="this-week"):
            tag("div", "Wallets this week", classes="wt-figure__label")
            tag("div", formatting.count(trend.current.wallets_discovered), classes="wt-figure__value")
            with tag("div", classes="wt-figure__note"):
                change = trend.wallets_change_pct
                if change is None:
                    tag("span", f"{trend.previous_same_part.wallets_discovered:,} last week to this hour")
                else:
                    arrow, tone = (
                        ("▲", "good") if change > 0 else ("▼", "bad") if change < 0 else ("=", "dull")
                    )
                    tag("span", f"{arrow} {formatting.percent(abs(change))}", classes=f"wt-tone-{tone}")
                    tag("span", " against last week to this hour")


def _charts(stats: DiscoveryStats) -> list[tuple[str, dict[str, Any]]]:
    name, points = _series(stats)
    if not any(point.total_runs for point in points):
        return []
    labels = [_label(point) for point in points]
    success = [None if one.success_rate is None else round(100 * one.success_rate, 1) for one in points]
    return [
        (
            f"Wallets discovered per {name}",
            _options(labels, [("Wallets", "bar", [one.wallets_discovered for one in points], _MAIN)]),
        ),
        (
            f"Runs per {name}",
            _options(
                labels,
                [
                    ("Completed", "bar", [one.successful_runs for one in points], _GOOD),
                    ("Failed", "bar", [one.failed_runs for one in points], _BAD),
                    ("Cancelled", "bar", [one.cancelled_runs for one in points], _DULL),
                ],
            ),
        ),
        (f"Success rate per {name}, %", _options(labels, [("Success", "line", success, _GOOD)], highest=100)),
        (
            f"Credits per new wallet, by {name}",
            _options(labels, [("Credits", "line", [_credits_each(one) for one in points], _INFO)]),
        ),
    ]


def _series(stats: DiscoveryStats) -> tuple[str, Sequence[DayFigures | WeekFigures]]:
    if stats.daily is not None and len(stats.daily) <= MOST_DAYS:
        return "day", stats.daily
    return "week", stats.weekly or []


def _label(point: DayFigures | WeekFigures) -> str:
    return point.week if isinstance(point, WeekFigures) else f"{point.day:%d %b}"


def _credits_each(point: DayFigures | WeekFigures) -> float | None:
    return round(point.credits / point.wallets_discovered, 1) if point.wallets_discovered else None


def _options(
    labels: list[str], series: list[tuple[str, str, list[Any], str]], *, highest: int | None = None
) -> dict[str, Any]:
    axis = {"axisLabel": {"color": _TEXT}, "axisLine": {"lineStyle": {"color": _LINE}}}
    return {
        "animation": False,  # four charts at once keep a small machine busy otherwise
        "aria": {"enabled": True},
        "grid": {
            "left": 8,
            "right": 20,
            "top": 24 if len(series) > 1 else 10,
            "bottom": 4,
            "containLabel": True,
        },
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": {
            "show": len(series) > 1,
            "top": 0,
            "right": 0,
            "itemWidth": 10,
            "itemHeight": 10,
            "textStyle": {"color": _TEXT},
        },
        "xAxis": {"type": "category", "data": labels, "axisTick": {"show": False}, **axis},
        "yAxis": {
            "type": "value",
            "max": highest,
            "minInterval": 1,
            "splitLine": {"lineStyle": {"color": _LINE}},
            **axis,
        },
        "series": [
            {
                "name": name,
                "type": kind,
                "data": data,
                "stack": "all" if kind == "bar" else None,
                "barMaxWidth": 22,
                "connectNulls": True,
                "symbolSize": 5,
                "itemStyle": {"color": colour},
                "lineStyle": {"color": colour, "width": 2},
            }
            for name, kind, data, colour in series
        ],
    }
