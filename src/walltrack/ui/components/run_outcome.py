"""How the wallets of a run went on after it, beside other buyers of the same tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from walltrack.client import ApiProblemError, RunOutcome, WallTrackError
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import card, empty, explain, tag, time_of

_FIGURES: Final = (
    ("wallets", "Wallets", "count"),
    ("measured", "Measured", "count"),
    ("wallets_with_trades", "Traded since", "count"),
    ("settled", "Settled positions", "count"),
    ("win_rate", "Win rate", "share"),
    ("realized_pnl_sol", "Realized", "sol"),
    ("return_on_cost_pct", "Return on cost", "percent"),
    ("median_return_pct", "Median return", "percent"),
)


async def show_run_outcome(run_id: UUID, asked: Awaitable[RunOutcome]) -> None:
    """The card, or what to do where no outcome was worked out yet."""
    with card("How they did afterwards", name="outcome"):
        try:
            outcome = await asked
        except ApiProblemError as error:
            if error.status == 404:
                empty(
                    "Not worked out yet.",
                    f"`walltrack runs outcome {run_id} --read` does, where the runs are made.",
                )
            else:
                empty("It cannot be read.", explain(error))
            return
        except WallTrackError as error:
            empty("It cannot be read.", explain(error))
            return
        with tag("p", classes="wt-hint"):
            tag("span", "Positions opened after the run, up to ")
            time_of(outcome.as_of)
            tag("span", "; in brackets other buyers of the same tokens")
        with tag("dl", classes="wt-facts"):
            for name, label, kind in _FIGURES:
                if name in outcome.found:
                    with tag("div"):
                        tag("dt", label)
                        tag(
                            "dd", f"{_said(outcome.found, name, kind)} ({_said(outcome.control, name, kind)})"
                        )


def _said(figures: Mapping[str, object], name: str, kind: str) -> str:
    value = figures.get(name)
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return formatting.NOTHING
    number = Decimal(str(value))
    if kind == "count":
        return formatting.count(int(number))
    if kind == "share":
        return formatting.share(number)
    return formatting.signed_sol(number) if kind == "sol" else formatting.percent(number, signed=True)
