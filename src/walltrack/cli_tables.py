"""Tables for people. Addresses are whole where the output is no terminal, so that it can be piped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryStats,
    ReadingCost,
    RemovedTokens,
    RunPage,
    RunStatus,
    RunToken,
    TokenRefusal,
)
from walltrack.discovery.run_progress import ProviderUsage

STATUS_STYLES = {
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "red",
    RunStatus.CANCELLED: "yellow",
    RunStatus.RUNNING: "cyan",
}

DEMO = "demo data"
"""What every view of a made-up market's data says."""

PIPE_WIDTH = 400
"""Columns of output that is no terminal: enough for every table without folding."""

TERMINAL_ROWS = 50
"""Wallets of a table on a terminal."""


class Screen:
    """Where tables go."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=PIPE_WIDTH)

    def address(self, address: str) -> str:
        """An address, its middle left out on a terminal."""
        if self.console.is_terminal and len(address) > 13:
            return f"{address[:6]}…{address[-6:]}"
        return address

    def say(self, line: str) -> None:
        self.console.print(escape(line), soft_wrap=True)

    def run(
        self, run: DiscoveryRun, tokens: Sequence[RunToken] = (), usage: Sequence[ProviderUsage] = ()
    ) -> None:
        """A run; with its tokens and what it used of providers, also what reading cost."""
        style = STATUS_STYLES[run.status]
        demo = f"  ({DEMO})" if run.demo else ""
        self.console.print(f"Run {run.id}  [{style}]{run.status.value}[/]{demo}", soft_wrap=True)
        rows = [
            ("started", moment(run.started_at)),
            ("took", f"{run.duration_seconds:.1f} s" if run.completed_at else "not ended"),
            ("tokens from", run.token_source or ""),
            ("started by", f"{run.trigger_type.value} {run.triggered_by or ''}".strip()),
            ("parameters", ", ".join(f"{k} {shown(v)}" for k, v in run.params.model_dump().items())),
            ("tokens measured", f"{run.tokens_analyzed}"),
            ("wallets", f"{run.new_wallets} new, {run.updated_wallets} known before"),
            ("profiled", f"{run.profiled_wallets} wallets"),
        ]
        if run.forecast is not None:
            rows.append(
                ("forecast", f"{run.forecast.credits:,} credits in {run.forecast.requests:,} requests")
            )
        rows += [("spent", line) for line in _spent(run, tokens, usage)]
        self.pairs(rows)
        for warning in run.warnings:
            self.console.print(f"  [yellow]{'warning':<16}[/]{escape(warning)}", soft_wrap=True)
        for error in run.errors:
            self.console.print(f"  [red]{'error':<16}[/]{escape(error)}", soft_wrap=True)

    def refusals(self, refusals: Sequence[TokenRefusal]) -> None:
        """Tokens that the market listed and the run left out."""
        if refusals:
            self.say(f"{len(refusals)} listed tokens were left out:")
            names = ("token", "symbol", "reason")
            self.rows(names, [(self.address(r.mint), r.name, r.reason) for r in refusals])

    def usage(self, usage: Sequence[ProviderUsage]) -> None:
        """What a run used of each provider."""
        if usage:
            rows = [
                (u.provider, f"{u.requests:,}", f"{u.credits:,}", f"{u.errors:,}", u.stopped_reason or "")
                for u in usage
            ]
            self.rows(("provider", "requests", "credits", "failed tries", "stopped because"), rows)

    def removed(self, removed: RemovedTokens) -> None:
        """What is known of a run's tokens whose rows retention removed."""
        states = ", ".join(f"{count:,} {status.value}" for status, count in removed.statuses.items())
        self.say(
            f"Retention removed its rows by token, refusals and events on {removed.at:%Y-%m-%d} "
            f"(WALLTRACK_RETAIN_RUN_TOKENS_DAYS): {counted(removed.listed, 'token')}"
            + (f" ({states})" if states else "")
            + f", {removed.early:,} early of {removed.buyers:,} buyers; {removed.refused:,} left out."
        )

    def tokens(self, tokens: Sequence[RunToken]) -> None:
        names = ("token", "outcome", "launch", "events", "wallets", "early", "found", "reason")
        table = self.table(names, right=range(3, 7))
        for token in tokens:
            summary = token.summary
            table.add_row(
                self.address(token.mint),
                token.status.value,
                moment(summary.launch_at) if summary else "",
                f"{summary.events:,}" if summary else "",
                f"{summary.wallets_seen:,}" if summary else "",
                f"{summary.wallets_early:,}" if summary else "",
                f"{token.wallets_found:,}",
                escape(token.reason or ""),
            )
        self.console.print(table)
        gone = [token.tape_removed_at for token in tokens if token.tape_removed_at is not None]
        if gone:
            self.say(
                f"Retention removed the tapes of {counted(len(gone), 'token')}, the last on {max(gone):%Y-%m-%d}: to "
                "repeat the run on them, they have to be read anew (--fresh)."
            )

    def runs(self, page: RunPage) -> None:
        table = self.table(
            ("run", "started", "status", "took", "tokens", "new", "known", "errors", "tokens from"),
            right=range(3, 8),
        )
        for run in page.runs:
            table.add_row(
                str(run.id),
                moment(run.started_at),
                f"[{STATUS_STYLES[run.status]}]{run.status.value}[/]",
                f"{run.duration_seconds:.1f} s",
                str(run.tokens_analyzed),
                str(run.new_wallets),
                str(run.updated_wallets),
                str(len(run.errors)),
                escape(run.token_source or ""),
            )
        self.console.print(table)
        self.paging(len(page.runs), page.total, "runs", page.next_cursor)

    def stats(self, stats: DiscoveryStats) -> None:
        """Totals, then the running week beside the same part of the last one, then whole weeks, newest first."""
        self.say(
            f"{stats.total_runs} runs, {percent(stats.success_rate)} successful;"
            f" {stats.total_wallets_discovered} wallets discovered, {stats.total_wallets_updated} found again;"
            f" {stats.avg_wallets_per_run:.1f} wallets and {stats.avg_duration_seconds:.1f} s a completed run;"
            f" last run {moment(stats.last_run_at) if stats.last_run_at else 'never'}"
        )
        if stats.trend is None:
            return
        table = self.table(
            ("week", "runs", "completed", "failed", "successful", "wallets"), right=range(1, 6)
        )
        weeks = [
            ("this week so far", stats.trend.current),
            ("last week until then", stats.trend.previous_same_part),
            *((week.week, week) for week in reversed(stats.trend.weeks)),
        ]
        for name, week in weeks:
            table.add_row(
                name,
                str(week.total_runs),
                str(week.successful_runs),
                str(week.failed_runs),
                percent(week.success_rate),
                str(week.wallets_discovered),
            )
        self.console.print(table)

    def rows(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = self.table(names)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table)

    def pairs(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names with their values, one a line."""
        rows = list(rows)
        width = max([14, *(len(name) for name, _ in rows)]) + 2
        for name, value in rows:
            self.console.print(f"  {name:<{width}}{escape(value)}", soft_wrap=True)

    def table(self, names: Sequence[str], right: Iterable[int] = (), whole: Iterable[int] = ()) -> Table:
        """An empty table. `right` are the columns of numbers, `whole` those that are never folded."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        numbers, unfolded = set(right), set(whole)
        for index, name in enumerate(names):
            justify: JustifyMethod = "right" if index in numbers else "left"
            table.add_column(name, justify=justify, overflow="fold", no_wrap=index in unfolded)
        return table

    def paging(
        self, shown_count: int, total: int, noun: str, cursor: str | None, *, at_least: bool = False
    ) -> None:
        of_all = f"more than {total}" if at_least else str(total)
        self.say(f"{shown_count} of {of_all} {noun}" + (f"; more with --cursor {cursor}" if cursor else ""))


def _spent(run: DiscoveryRun, tokens: Sequence[RunToken], usage: Sequence[ProviderUsage]) -> list[str]:
    """What a run cost: its tapes, and the rest beside them, which is what the providers were asked for more."""
    costs = [token.cost for token in tokens if token.cost is not None]
    if run.removed is not None and run.removed.cost is not None:
        costs = [run.removed.cost]
    if not costs:
        return []
    tapes = sum(costs, ReadingCost(0, 0))
    lines = [f"{tapes.credits:,} credits in {tapes.requests:,} requests for tapes"]
    others = sum(one.credits for one in usage) - tapes.credits
    if others > 0:
        lines.append(f"{others:,} credits for the wallets' own histories, and for asking what the key can do")
    return lines


def moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def sol(amount: Decimal) -> str:
    return f"{amount:,.4f}"


def counted(number: int, noun: str) -> str:
    """So many of something: 1 wallet, 1,200 wallets, 2 addresses."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def percent(share: float | None) -> str:
    """A share of 1 as percent."""
    return "-" if share is None else f"{100 * share:.0f} %"


def shown(value: object) -> str:
    """A parameter as an operator writes it: 100, not 100.0."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
