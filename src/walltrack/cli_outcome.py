"""Commands that tell whether a run's wallets kept winning after it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import typer

from walltrack.cli_desk import DEFAULT_SEED, with_desk
from walltrack.cli_market import Market, has_keys, market
from walltrack.cli_options import AsJson, Sandbox, Seed
from walltrack.cli_progress import Bars, bars
from walltrack.cli_running import print_json, with_database
from walltrack.cli_server import server_asked
from walltrack.cli_tables import DEMO, Screen, counted, moment, shown, sol
from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import ParametersOutcome, RunOutcome
from walltrack.discovery.outcome import GroupOutcome
from walltrack.discovery.reading_plan import CreditBudget
from walltrack.scheduler.live_source import LiveMarket
from walltrack.scheduler.stored import StoredHistories
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.tasks.outcome_task import (
    MOST_WALLETS,
    OutcomeReport,
    figures_from_json,
    run_outcome_task,
    together,
)
from walltrack.services.chain.purse import LocalBudget

GROUPS = ("found", "control")


def runs_outcome(
    run_id: UUID,
    read: Annotated[
        bool, typer.Option("--read", help="Read histories from the chain; it costs credits.")
    ] = False,
    wallets: Annotated[
        int, typer.Option(min=1, max=10_000, help="Wallets of the run to look at; the control has as many.")
    ] = MOST_WALLETS,
    max_credits: Annotated[
        int | None, typer.Option(min=0, help="With --read: most credits to spend.", show_default=False)
    ] = None,
    sandbox: Sandbox = False,
    seed: Seed = DEFAULT_SEED,
    stored: Annotated[
        bool, typer.Option("--stored", help="As it was last worked out; a server tells this in any case.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Did the wallets of a run keep winning? Positions they opened after it, beside other buyers of the same tokens.

    Without --read only histories that are stored are used. Wallets that cannot be measured are counted, with the
    reason. The figures are stored with the run; `runs outcomes` has those of all runs.
    """
    settings = load_settings()
    server = server_asked(settings)
    working_out = {
        "--read": read,
        "--wallets": wallets != MOST_WALLETS,
        "--max-credits": max_credits is not None,
        "--sandbox": sandbox,
        "--seed": seed != DEFAULT_SEED,
    }
    if stored or server is not None:
        given = [name for name, is_given in working_out.items() if is_given]
        if given:
            who = "--stored" if server is None else f"{server.url} works none out, and"
            raise BadInputError(f"{', '.join(given)}: leave out; {who} tells the outcome that is stored")
        _show_stored(with_desk(lambda desk: desk.outcome(run_id)), json=json)
        return
    if read and not sandbox and not has_keys(settings):
        raise BadInputError(
            "--read: there is no key to read the chain with; set HELIUS_API_KEY, or add --sandbox"
        )
    if not read and (sandbox or max_credits is not None):
        raise BadInputError("--sandbox and --max-credits say how to read: add --read")
    place_of = market(settings, sandbox=sandbox, seed=seed) if read else nullcontext()
    with bars() as progress, place_of as place:

        async def work(database: Database) -> OutcomeReport:
            if place is None:
                return await run_outcome_task(
                    run_id,
                    database=database,
                    histories=StoredHistories(database, SystemClock()),
                    computed_at=SystemClock().now(),
                    most=wallets,
                )
            return await _reading(database, place, run_id, wallets, max_credits, progress)

        report = with_database(work)
    if json:
        print_json(_record(report))
    else:
        _show(Screen(), report)


def runs_outcomes(json: AsJson = False) -> None:
    """The newest outcomes of all runs, by the parameters they ran with: which parameters find wallets that go on."""

    async def read(database: Database) -> list[ParametersOutcome]:
        return await OutcomeRepository(database).by_parameters()

    sets = with_database(read)
    totals = [
        {
            "found": together(figures_from_json(outcome.found) for outcome in one.outcomes),
            "control": together(figures_from_json(outcome.control) for outcome in one.outcomes),
        }
        for one in sets
    ]
    if json:
        records = [
            {
                "parameters": one.params.model_dump(),
                "demo": one.demo,
                "runs": [
                    {"id": run.run_id, "as_of": run.as_of, "computed_at": run.computed_at}
                    for run in one.outcomes
                ],
                **{name: _figures(group) for name, group in total.items()},
            }
            for one, total in zip(sets, totals, strict=True)
        ]
        print_json({"parameter_sets": records})
        return
    screen = Screen()
    if not sets:
        screen.say("No outcome is stored yet: `walltrack runs outcome ID --read` works one out.")
    for one, total in zip(sets, totals, strict=True):
        demo = f" ({DEMO})" if one.demo else ""
        said = ", ".join(f"{name} {shown(value)}" for name, value in one.params.model_dump().items())
        screen.say(f"{counted(len(one.outcomes), 'run')} with {said}{demo}:")
        _groups(screen, total)


async def _reading(
    database: Database, place: Market, run_id: UUID, wallets: int, max_credits: int | None, progress: Bars
) -> OutcomeReport:
    """The outcome with histories read from the run's own market."""
    run = await DiscoveryRepository(database).get_run(run_id)
    if run is not None and run.demo and run.token_source != place.description:
        raise BadInputError(
            f"run {run_id} was made on the {run.token_source}: read from there (--sandbox and --seed, or"
            " the environment that `walltrack sandbox` printed)"
        )
    if run is not None and place.demo and not run.demo:
        raise BadInputError(f"run {run_id} was not made on a sandbox: leave out --sandbox")
    source = LiveMarket(place.settings, database, place.clock, description=place.description, demo=place.demo)
    async with source.opened(run_id, LocalBudget(CreditBudget(max_credits))) as live:
        return await run_outcome_task(
            run_id,
            database=database,
            histories=live,
            computed_at=SystemClock().now(),
            most=wallets,
            watcher=progress,
        )


def _show(screen: Screen, report: OutcomeReport) -> None:
    demo = f" ({DEMO})" if report.run.demo else ""
    chosen = report.chosen
    screen.say(
        f"Run {report.run.id}{demo}: positions opened after {moment(report.since)}, up to {moment(report.as_of)}"
    )
    _groups(screen, {"found": report.found, "control": report.control})
    for name, group in (("found", report.found), ("control", report.control)):
        for reason, count in group.unmeasurable.items():
            screen.say(f"not measurable, {name}: {counted(count, 'wallet')}: {reason}")
    if len(chosen.control) < len(chosen.found):
        screen.say(
            "the control is smaller: no more others had bought these tokens by then, on the stored tapes"
        )
    if chosen.beyond:
        screen.say(f"not looked at (--wallets): {counted(chosen.beyond, 'wallet')} of the run")
    if chosen.excluded:
        screen.say(f"left out: {counted(chosen.excluded, 'wallet')} that the run excluded")
    for mint, reason in chosen.without_tape.items():
        screen.say(f"no control from {mint}: {reason}")
    if report.cost.requests:
        screen.say(f"spent {report.cost.credits:,} credits in {report.cost.requests:,} requests")
    if not report.stored:
        screen.say("Nothing could be measured, so nothing was stored; --read reads what is missing.")


def _show_stored(outcome: RunOutcome, *, json: bool) -> None:
    groups = {"found": figures_from_json(outcome.found), "control": figures_from_json(outcome.control)}
    if json:
        times = {"as_of": outcome.as_of, "computed_at": outcome.computed_at}
        figures = {name: _figures(group) for name, group in groups.items()}
        print_json({"run_id": outcome.run_id, **times, **figures, "control_wallets": outcome.control_wallets})
        return
    screen = Screen()
    screen.say(
        f"Run {outcome.run_id}: positions opened after it, up to {moment(outcome.as_of)}, as worked out at"
        f" {moment(outcome.computed_at)}"
    )
    _groups(screen, groups)


def _groups(screen: Screen, groups: Mapping[str, GroupOutcome]) -> None:
    names = (
        "",
        "wallets",
        "measured",
        "with trades",
        "positions",
        "settled",
        "won",
        "return on cost",
        "median return",
        "realized SOL",
    )
    table = screen.table(names, right=range(1, len(names)))
    for name in GROUPS:
        group = groups[name]
        measured = group.measured > 0
        table.add_row(
            name,
            f"{group.wallets:,}",
            f"{group.measured:,}",
            *(f"{n:,}" for n in (group.wallets_with_trades, group.positions, group.settled)),
            "-" if group.win_rate is None else f"{100 * group.win_rate:.1f} %",
            _pct(group.return_on_cost_pct),
            _pct(group.median_return_pct),
            sol(group.realized_pnl_sol) if measured else "-",
        )
    screen.console.print(table)


def _pct(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:,.1f} %"


def _record(report: OutcomeReport) -> dict[str, Any]:
    return {
        "run_id": report.run.id,
        "demo": report.run.demo,
        "since": report.since,
        "as_of": report.as_of,
        "computed_at": report.computed_at,
        "stored": report.stored,
        "found": _figures(report.found),
        "control": _figures(report.control),
        "found_wallets": report.chosen.found,
        "control_wallets": report.chosen.control,
        "excluded": report.chosen.excluded,
        "beyond": report.chosen.beyond,
        "tokens_without_tape": report.chosen.without_tape,
        "cost": asdict(report.cost),
    }


def _figures(group: GroupOutcome) -> dict[str, Any]:
    return asdict(group) | {"measured": group.measured}
