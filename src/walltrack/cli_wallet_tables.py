"""Tables of wallets: what a run found, the ranking, and all that is known of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal

from rich.markup import escape

from walltrack.cli_records import UNKNOWN, Standings
from walltrack.cli_tables import DEMO, TERMINAL_ROWS, Screen, counted, moment, shown, sol
from walltrack.discovery.models import DiscoveryRunWallet, QualifiedWallet, WalletPage, WalletRecord
from walltrack.discovery.wallet_models import (
    FlagEvidence,
    ListedAddress,
    StoredProfile,
    WalletProfile,
    WalletScore,
    WalletStatus,
)

STATUS_STYLES = {
    WalletStatus.ACTIVE: "green",
    WalletStatus.DORMANT: "yellow",
    WalletStatus.INSUFFICIENT_DATA: "cyan",
    WalletStatus.EXCLUDED: "red",
}

WIDE = 170
"""Columns of a terminal from which on every figure of a finding has its place."""


def ranked(wallets: Iterable[DiscoveryRunWallet], standings: Standings) -> list[DiscoveryRunWallet]:
    """Findings as the ranking has their wallets, then those not ranked, then the excluded ones; each part stays in
    the order in which it was given.
    """

    def place(wallet: DiscoveryRunWallet) -> tuple[int, Decimal]:
        standing = standings.get(wallet.wallet_address, UNKNOWN)
        if standing.status is WalletStatus.EXCLUDED:
            return 2, Decimal(0)
        return (0, -standing.score) if standing.is_ranked and standing.score is not None else (1, Decimal(0))

    return sorted(wallets, key=place)


def not_excluded(wallets: Iterable[DiscoveryRunWallet], standings: Standings) -> list[DiscoveryRunWallet]:
    """The findings of wallets that nothing keeps back."""
    return [
        wallet
        for wallet in wallets
        if standings.get(wallet.wallet_address, UNKNOWN).status is not WalletStatus.EXCLUDED
    ]


def found_wallets(screen: Screen, wallets: Sequence[DiscoveryRunWallet], standings: Standings) -> None:
    """What a run found."""
    if not wallets:
        screen.say("No wallet to show.")
        return
    wide = _is_wide(screen)
    names = (
        "wallet",
        "token",
        "new",
        "score",
        "status",
        *(_FIGURES if wide else _FEW_FIGURES),
        "flags",
        "why",
    )
    table = screen.table(names, right=[3, *range(5, len(names) - (3 if wide else 2))])
    most = TERMINAL_ROWS if screen.console.is_terminal else len(wallets)
    for wallet in wallets[:most]:
        standing = standings.get(wallet.wallet_address, UNKNOWN)
        found = wallet.found
        table.add_row(
            screen.address(wallet.wallet_address),
            screen.address(wallet.source_token),
            "new" if wallet.is_new else "",
            _score(standing.score),
            _status(standing.status),
            *((figures(found) if wide else _few_figures(found)) if found else [""] * len(names[5:-2])),
            " ".join(found.flags) if found else "",
            escape(standing.reason or ""),
        )
    screen.console.print(table)
    if len(wallets) > most:
        screen.say(f"and {len(wallets) - most} more: use --json or --export, or pipe the output")


_FIGURES = ("rank", "after", "cost", "proceeds", "realized SOL", "realized %", "held", "completeness")
_FEW_FIGURES = ("after", "realized SOL", "realized %")


def standings_summary(screen: Screen, wallets: Iterable[DiscoveryRunWallet], standings: Standings) -> None:
    """How many of a run's wallets stand where."""
    addresses = {wallet.wallet_address for wallet in wallets}
    counts = Counter(standings.get(address, UNKNOWN).status for address in addresses)
    parts = [f"{counts[status]:,} {status.value}" for status in WalletStatus if counts[status]]
    parts += [f"{counts[None]:,} not profiled"] if counts[None] else []
    if parts:
        screen.say(f"{counted(len(addresses), 'wallet')}: {', '.join(parts)}")


def left_out(screen: Screen, findings: int, hint: str) -> None:
    """That excluded wallets are kept out of a table."""
    if findings:
        screen.say(f"not shown, of excluded wallets: {counted(findings, 'finding')}; {hint}")


def wallet_list(screen: Screen, page: WalletPage) -> None:
    """Wallets over all runs."""
    wide = _is_wide(screen)
    found = ("runs", "tokens", "best %") if wide else ()
    names = ("wallet", "score", "status", "closed", "last active", *found, "realized SOL")
    table = screen.table(
        (*names, "flags", "lists", "why", ""), right=(1, 3, *range(5, len(names))), whole=(0,)
    )
    for wallet in page.wallets:
        table.add_row(
            wallet.address,
            _score(wallet.score),
            _status(wallet.status),
            _optional(wallet.closed_positions),
            _day(wallet.last_active_at),
            *(_found_figures(wallet) if wide else ()),
            "" if wallet.total_realized_pnl_sol is None else sol(wallet.total_realized_pnl_sol),
            " ".join(wallet.flags),
            " ".join(which.value for which in wallet.listed),
            escape(wallet.status_reason or ""),
            DEMO if wallet.demo else "",
        )
    screen.console.print(table)
    screen.paging(len(page.wallets), page.total, "wallets", page.next_cursor, at_least=page.total_is_at_least)


def wallet_head(screen: Screen, wallet: WalletRecord, listed: Sequence[ListedAddress]) -> None:
    """Who the wallet is, and where it stands."""
    demo = f" ({DEMO})" if wallet.demo else ""
    said = f"{counted(wallet.runs, 'run')}, {counted(wallet.sources, 'token')}"
    screen.say(f"Wallet {wallet.address}{demo}: {said}")
    score = "none" if wallet.score is None else f"{wallet.score} (version {wallet.score_version})"
    rows = [
        ("score", score),
        ("status", (wallet.status.value if wallet.status else "not profiled")),
        ("why", wallet.status_reason or ""),
        ("first found", moment(wallet.first_seen_at)),
        ("last found", moment(wallet.last_seen_at)),
        *((f"on {one.list.value}", _noted(one)) for one in listed),
    ]
    screen.pairs([(name, value) for name, value in rows if value])


def profile_details(screen: Screen, stored: StoredProfile) -> None:
    """A profile with every figure, and the score with its parts."""
    profile = stored.profile
    if profile is None:
        screen.say(
            f"Not profiled at {moment(stored.computed_at)}: {stored.score.reason or 'no reason is known'}"
        )
    else:
        screen.say(f"Profile as of {moment(profile.as_of)}, {profile.lookback_days} days back:")
        screen.pairs(profile_rows(profile))
    _score_parts(screen, stored.score)


def profile_rows(profile: WalletProfile) -> list[tuple[str, str]]:
    """Every figure of a profile, with its unit."""
    left = ("wallet_address", "as_of", "lookback_days")
    values = {one.name: getattr(profile, one.name) for one in fields(profile) if one.name not in left}
    return [(name.replace("_", " "), _figure(name, value)) for name, value in values.items()]


def _figure(name: str, value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Decimal):
        if name in ("win_rate", "largest_win_share", "failed_share"):
            return f"{100 * value:.1f} %"
        return f"{value:,.2f} %" if name.endswith("_pct") else f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _score_parts(screen: Screen, score: WalletScore) -> None:
    if not score.parts:
        return
    screen.say(f"Score {score.value}, version {score.version}:")
    table = screen.table(("part", "value", "weight", "adds", "what it was made of"), right=(1, 2, 3))
    for part in score.parts:
        adds = part.value * part.weight
        table.add_row(
            part.name, f"{part.value:.4f}", f"{part.weight}", f"{adds:.4f}", escape(part.explanation)
        )
    screen.console.print(table)


def flag_evidence(screen: Screen, flags: Sequence[FlagEvidence]) -> None:
    """Flags with what proves each."""
    if not flags:
        screen.say("No flags.")
        return
    screen.say("Flags:")
    table = screen.table(("flag", "token", "seen", "evidence", "signatures", "others"), right=(2,))
    for one in flags:
        table.add_row(
            one.flag.value,
            "all" if one.mint is None else screen.address(one.mint),
            f"{one.count:,}" + ("" if one.of is None else f" of {one.of:,}"),
            escape(one.detail),
            " ".join(screen.address(signature) for signature in one.signatures),
            " ".join(screen.address(wallet) for wallet in one.wallets),
        )
    screen.console.print(table)


def findings_of_one(screen: Screen, wallets: Sequence[DiscoveryRunWallet]) -> None:
    """The runs and tokens that found one wallet."""
    screen.say("Found in:")
    wide = _is_wide(screen)
    shown_figures = _FIGURES if wide else _FEW_FIGURES
    names = ("run", "token", "new", "score then", *shown_figures, "flags")
    table = screen.table(names, right=range(3, len(names) - (2 if wide else 1)), whole=(0,))
    for wallet in wallets:
        found = wallet.found
        table.add_row(
            str(wallet.run_id),
            screen.address(wallet.source_token),
            "new" if wallet.is_new else "",
            _score(wallet.initial_score),
            *((figures(found) if wide else _few_figures(found)) if found else [""] * len(shown_figures)),
            " ".join(found.flags) if found else "",
        )
    screen.console.print(table)


def profile_history(screen: Screen, profiles: Sequence[StoredProfile]) -> None:
    """What was known of a wallet when, the newest first."""
    if not profiles:
        return
    screen.say("What was known when:")
    names = ("as of", "score", "status", "closed", "won", "return on cost", "realized SOL", "run", "why")
    table = screen.table(names, right=(1, 3, 4, 5, 6))
    for stored in profiles:
        one = stored.profile
        table.add_row(
            moment(one.as_of if one else stored.computed_at),
            _score(stored.score.value),
            _status(stored.score.status),
            _optional(one.closed_positions if one else None),
            _figure("win_rate", one.win_rate) if one and one.win_rate is not None else "",
            _figure("x_pct", one.return_on_cost_pct) if one and one.return_on_cost_pct is not None else "",
            sol(one.realized_pnl_sol) if one else "",
            str(stored.run_id or ""),
            escape(stored.score.reason or ""),
        )
    screen.console.print(table)


def figures(found: QualifiedWallet) -> tuple[str, ...]:
    """What is shown of a finding beside its wallet and token."""
    return (
        str(found.entry_rank),
        f"{found.seconds_after_launch} s",
        sol(found.cost_sol),
        sol(found.proceeds_sol),
        sol(found.realized_pnl_sol),
        f"{found.realized_pct:,.1f}",
        f"{found.held_tokens:,.0f}",
        found.completeness,
    )


def _is_wide(screen: Screen) -> bool:
    return not screen.console.is_terminal or screen.console.width >= WIDE


def _found_figures(wallet: WalletRecord) -> tuple[str, ...]:
    best = wallet.best_realized_pct
    return str(wallet.runs), str(wallet.sources), "" if best is None else f"{best:,.1f}"


def _few_figures(found: QualifiedWallet) -> tuple[str, ...]:
    return (f"{found.seconds_after_launch} s", sol(found.realized_pnl_sol), f"{found.realized_pct:,.1f}")


def _noted(one: ListedAddress) -> str:
    said = ": ".join(part for part in (one.label, one.note) if part)
    return f"{said or 'without a note'} (since {moment(one.added_at)})"


def _status(status: WalletStatus | None) -> str:
    return "" if status is None else f"[{STATUS_STYLES[status]}]{status.value}[/]"


def _score(score: Decimal | float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _optional(value: object) -> str:
    return "" if value is None else shown(value)


def _day(time: datetime | None) -> str:
    return "" if time is None else time.strftime("%Y-%m-%d")
