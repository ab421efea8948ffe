"""The database goes away in the middle of runs, wholly or in part, and comes back."""

from __future__ import annotations

import time
from contextlib import ExitStack
from random import Random

import psycopg

from tests.faults.crash_scenarios import PARAMS, Report, Tally, ended, serving
from tests.faults.outcome import Outcome
from tests.faults.stage import Stage, patiently

_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name <> 'fault tests' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"  # noqa: E501
EXHAUSTED_SECONDS = 3.0


def database_scenario(stage: Stage, truth: Outcome, seed: int, faults: int) -> Report:
    """By turns: the server dies and comes up again, all connections are cut, and there is no connection to be had."""
    random, tally = Random(seed), Tally()
    kinds = [restart, cut, exhaust]
    done = {kind.__name__: 0 for kind in kinds}
    while tally.tried < faults:
        serving(stage)
        stage.forget()
        run_id = stage.trigger(PARAMS)
        met = 0
        while met < 3 and tally.tried + met < faults:
            time.sleep(random.uniform(0.2, 1.2))
            if not stage.runs(run_id):
                break
            kind = kinds[(tally.tried + met) % len(kinds)]
            kind(stage)
            done[kind.__name__] += 1
            met += 1
        ended(stage, run_id, truth, tally, met)
        for process in stage.processes:
            if process.popen.poll() is not None:
                tally.problems.append(f"a process ended: {process.said()[-1000:]}")
    tally.notes.append(", ".join(f"{kind} {count}" for kind, count in done.items()))
    return tally.report()


def restart(stage: Stage) -> None:
    """The server dies at once, as in a crash, and is started again."""
    stage.restart_database()


def cut(stage: Stage) -> None:
    """Every connection of the serving processes is cut."""
    stage.rows(_CUT)


def exhaust(stage: Stage) -> None:
    """Every connection is cut, and for some seconds all that the server grants are taken."""
    with ExitStack() as held:
        own = held.enter_context(patiently(stage.sql))
        own.execute(_CUT)
        while True:
            try:
                held.enter_context(stage.sql())
            except psycopg.OperationalError:
                break
        time.sleep(EXHAUSTED_SECONDS)
