"""Two runs beside each other: what the second has more, no more, or otherwise, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from walltrack.client import RunDiff, WallTrackError
from walltrack.ui.components import formatting
from walltrack.ui.components.params_form import parameter_name, shown_value
from walltrack.ui.components.parts import card, empty, explain, figure, link, tag
from walltrack.ui.components.tables import Column, Row, table
from walltrack.ui.view import View

_WALLETS: Final = (
    Column("wallet", "Wallet", "wallet"),
    Column("token", "Token", "token"),
    Column("figures", "Figures", "text", wide=True),
    Column("why", "Why", "text"),
)
_TOKENS: Final = (
    Column("token", "Token", "token"),
    Column("before", "Before", "text"),
    Column("after", "After", "text"),
    Column("why", "Why", "text"),
)


async def run_diff_page(view: View, run_id: str, other_id: str) -> None:
    """The whole view."""
    try:
        before, after = UUID(run_id), UUID(other_id)
        diff = await view.client.run_diff(before, after)
    except ValueError:
        empty("There are no such runs.", "Runs are listed under Discovery, History.")
        return
    except WallTrackError as error:
        empty("The runs cannot be compared.", explain(error))
        return
    with tag("div", classes="wt-page", data_page="diff"):
        with tag("div", classes="wt-title"):
            tag("h1", "Two runs compared")
            link("The first", f"/runs/{before}")
            link("The second", f"/runs/{after}")
        _show_overview(diff)
        _show_wallets("Wallets gained", diff.wallets_gained)
        _show_wallets("Wallets lost", diff.wallets_lost)
        _show_wallets("Wallets with other figures", diff.wallets_changed)
        tokens = [*diff.tokens_gained, *diff.tokens_lost, *diff.tokens_changed]
        if tokens:
            with card("Tokens", name="diff-tokens"):
                table(_TOKENS, [_token(one) for one in tokens], label="Tokens that differ", page_size=20)


def _show_overview(diff: RunDiff) -> None:
    with card("Overview", name="diff-overview"):
        with tag("div", classes="wt-figures"):
            figure("Same findings", formatting.count(diff.same), name="same")
            figure("Gained", formatting.count(len(diff.wallets_gained)), name="gained")
            figure("Lost", formatting.count(len(diff.wallets_lost)), name="lost")
            figure("Other figures", formatting.count(len(diff.wallets_changed)), name="changed")
        if diff.causes:
            with tag("ul", classes="wt-list"):
                for cause in diff.causes:
                    tag("li", cause)
        if diff.parameters:
            with tag("dl", classes="wt-facts"):
                for one in diff.parameters:
                    with tag("div"):
                        tag("dt", parameter_name(one.name))
                        tag(
                            "dd",
                            f"{shown_value(one.name, one.before)} → {shown_value(one.name, one.after)}",
                        )
        if not diff.causes and not diff.parameters:
            tag("p", "Parameters, tapes and code version are the same.", classes="wt-hint")


def _show_wallets(title: str, wallets: Sequence[Any]) -> None:
    if not wallets:
        return
    rows: list[Row] = [
        {
            "id": f"{one.wallet_address} {one.source_token}",
            "wallet": one.wallet_address,
            "token": one.source_token,
            "figures": "; ".join(f"{each.name} {each.before} → {each.after}" for each in one.figures[:4]),
            "why": "; ".join(one.why),
        }
        for one in wallets
    ]
    with card(title, name=title.lower().replace(" ", "-")):
        table(_WALLETS, rows, label=title, page_size=20)


def _token(one: Any) -> Row:
    return {
        "id": one.mint,
        "token": one.mint,
        "before": "not in it" if one.before is None else one.before.value,
        "after": "not in it" if one.after is None else one.after.value,
        "why": "; ".join(one.why),
    }
