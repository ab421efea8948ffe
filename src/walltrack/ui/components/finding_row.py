"""What a run found of a wallet on a token: as a row of a table, and with all its figures and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from nicegui import ui
from nicegui.element import Element

from walltrack.client import FlagEvidence, StandingFinding, WallTrackError
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import TONES, address, button, chip, explain, facts, link, notice, tag
from walltrack.ui.components.score_parts import show_score_parts
from walltrack.ui.components.tables import Row
from walltrack.ui.view import View

_NEW: Final[Row] = {"text": "new", "tone": "info", "title": "No run had found this wallet before"}


def finding_row(one: StandingFinding, sol_usd: Decimal | None) -> Row:
    """The cells of a finding."""
    finding, standing = one.finding, one.standing
    found = finding.found
    profit = None if found is None else found.realized_pnl_sol
    status = "not profiled" if standing.status is None else standing.status.value
    return {
        "id": str(finding.id),
        "run_id": str(finding.run_id),
        "wallet": finding.wallet_address,
        "token": finding.source_token,
        "profit_text": formatting.signed_sol(profit),
        "profit_tone": None if not profit else "good" if profit > 0 else "bad",
        "usd_text": formatting.in_usd(profit, sol_usd),
        "pct_text": formatting.percent(None if found is None else found.realized_pct, signed=True),
        "cost_text": formatting.sol(None if found is None else found.cost_sol),
        "rank_text": formatting.NOTHING if found is None else f"#{found.entry_rank:,}",
        "after_text": formatting.duration(None if found is None else float(found.seconds_after_launch)),
        "trades_text": formatting.NOTHING if found is None else f"{found.buys:,} / {found.sells:,}",
        "score_text": formatting.score(standing.score),
        "status": status,
        "status_text": status.replace("_", " "),
        "status_tone": "dull" if standing.status is None else TONES[standing.status],
        "status_title": standing.reason,
        "flags": ([_NEW] if finding.is_new else [])
        + _flag_chips(() if found is None else found.flags, () if found is None else found.evidence),
        "proof": [] if found is None else list(found.signatures[:2]),
    }


async def show_finding(view: View, place: Element, one: StandingFinding) -> None:
    """A dialog with everything that is known of a finding: figures, flags, evidence, and the score's parts."""
    finding = one.finding
    with place, ui.dialog() as dialog, tag("div", classes="wt-dialog wt-card", data_dialog="finding"):
        with tag("div", classes="wt-card__head"):
            tag("h2", "Wallet on a token", classes="wt-card__title")
            with tag("div", classes="wt-card__tools"):
                button("Close", dialog.close)
        with tag("div", classes="wt-card__body"):
            with tag("div", classes="wt-row"):
                tag("span", "Wallet", classes="wt-soft")
                address(finding.wallet_address, href=f"/wallets/{finding.wallet_address}")
                tag("span", "Token", classes="wt-soft")
                address(finding.source_token, kind="token")
            _show_figures(one)
            _show_evidence(one)
            score = tag("div", classes="wt-page")
            link("All of this wallet", f"/wallets/{finding.wallet_address}")
    dialog.on("hide", dialog.delete)
    dialog.open()
    try:
        seen = await view.client.wallet(finding.wallet_address)
    except WallTrackError as error:
        if not score.is_deleted:
            with score:
                notice(explain(error))
        return
    if seen.profiles and not score.is_deleted:
        with score:
            tag("h3", "Score, explained", classes="wt-card__title")
            show_score_parts(seen.profiles[0].score)


def _show_figures(one: StandingFinding) -> None:
    found = one.finding.found
    if found is None:
        notice("An earlier version found it, which kept no figures.", "info")
        return
    held = f"{found.held_tokens:,.2f} tokens at a cost of {formatting.sol(found.held_cost_sol)}"
    facts(
        [
            ("Realized", formatting.signed_sol(found.realized_pnl_sol)),
            ("Of the cost of what it sold", formatting.percent(found.realized_pct, signed=True)),
            ("Paid, all buys", formatting.sol(found.cost_sol)),
            ("Received, all sells", formatting.sol(found.proceeds_sol)),
            ("Cost of what it sold", formatting.sol(found.cost_of_sold_sol)),
            ("Still holds", held),
            (
                "Entered",
                f"#{found.entry_rank:,}, {formatting.duration(found.seconds_after_launch)} after launch",
            ),
            ("Buys and sells", f"{found.buys:,} and {found.sells:,}"),
            ("Figures are", found.completeness.replace("_", " ").replace("+", ", ")),
        ]
    )


def _show_evidence(one: StandingFinding) -> None:
    found = one.finding.found
    if found is None:
        return
    for flag in found.evidence:
        with tag("div", classes="wt-row", data_flag=flag.flag.value):
            chip(flag.flag.value.replace("_", " "), "warn")
            tag("span", flag.detail)
            for signature in flag.signatures:
                address(signature, kind="tx")
    if found.signatures:
        with tag("div", classes="wt-row", data_part="signatures"):
            tag("span", "Its trades", classes="wt-soft")
            for signature in found.signatures[:12]:
                address(signature, kind="tx")
            if len(found.signatures) > 12:
                tag("span", f"and {len(found.signatures) - 12:,} more", classes="wt-soft")


def _flag_chips(flags: Sequence[str], evidence: Sequence[FlagEvidence]) -> list[Row]:
    details = {one.flag.value: one.detail for one in evidence}
    return [{"text": flag.replace("_", " "), "tone": "warn", "title": details.get(flag)} for flag in flags]
