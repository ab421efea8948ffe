"""What became of each token of a run, and why the others were left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from walltrack.client import RunToken, TokenRefusal, TokenStatus
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import TONES, card, empty
from walltrack.ui.components.tables import Column, Row, table

_COLUMNS: Final = (
    Column("mint", "Token", "token"),
    Column("status", "Status", "chip", sortable=True),
    Column("found", "Wallets", "number", sortable=True, title="Wallets that were early and took profit"),
    Column("early", "Early", "number", sortable=True, wide=True, title="Wallets that bought early"),
    Column("buyers", "Buyers", "number", sortable=True, wide=True),
    Column("events", "Trades", "number", sortable=True, wide=True, title="Trades and transfers on its tape"),
    Column("launch", "Launch", "time", sortable=True, wide=True),
    Column("credits", "Credits", "number", sortable=True, wide=True),
    Column("reason", "Reason", "text"),
)
_REFUSED: Final = (
    Column("mint", "Token", "token"),
    Column("reason", "Why it was left out", "text"),
)


def show_tokens(tokens: Sequence[RunToken]) -> None:
    """A table of the tokens, in the order in which they were listed."""
    if not tokens:
        empty(
            "No tokens were listed.", "None pumped by the run's parameters, or the run did not come so far."
        )
        return
    table(
        _COLUMNS,
        [_row(token) for token in tokens],
        label="Tokens of the run",
        page_size=25,
    )


def show_refusals(refusals: Sequence[TokenRefusal]) -> None:
    """A table of the tokens that the market listed and the run left out."""
    if not refusals:
        return
    rows = [
        {"id": one.mint, "mint": one.mint, "mint_label": one.name, "reason": one.reason} for one in refusals
    ]
    with card(f"Left out: {formatting.plural(len(refusals), 'token')}", name="refusals"):
        table(_REFUSED, rows, label="Tokens that were left out", page_size=10)


def _row(token: RunToken) -> Row:
    summary = token.summary
    cost = token.cost
    is_odd = token.status in (TokenStatus.UNMEASURABLE, TokenStatus.FAILED, TokenStatus.CANCELLED)
    cut = None if summary is None or summary.tape_cut is None else f"tape cut: {summary.tape_cut}"
    return {
        "id": token.mint,
        "mint": token.mint,
        "status": token.status.value,
        "status_tone": TONES.get(token.status, "bad"),
        "found": token.wallets_found,
        "found_text": formatting.count(token.wallets_found),
        "early": None if summary is None else summary.wallets_early,
        "early_text": formatting.count(None if summary is None else summary.wallets_early),
        "buyers": None if summary is None else summary.wallets_seen,
        "buyers_text": formatting.count(None if summary is None else summary.wallets_seen),
        "events": None if summary is None else summary.events,
        "events_text": formatting.count(None if summary is None else summary.events),
        "launch": None if summary is None else summary.launch_at.isoformat(),
        "credits": None if cost is None else cost.credits,
        "credits_text": formatting.count(None if cost is None else cost.credits),
        "reason": (token.reason if is_odd else None) or cut or "",
        "reason_title": token.plan,
    }
