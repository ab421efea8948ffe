"""One wallet: its score explained, its profile, its flags with evidence, where and when it was found."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from nicegui.element import Element

from walltrack.client import ApiProblemError, FlagEvidence, StoredProfile, WalletView, WallTrackError
from walltrack.ui.asking import arrived, ask
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import (
    address,
    card,
    chip,
    empty,
    explain,
    figure,
    link,
    notice,
    status_chip,
    tag,
    time_of,
)
from walltrack.ui.components.score_parts import show_score_parts
from walltrack.ui.components.wallet_findings import WalletFindings
from walltrack.ui.view import View


async def wallet_page(view: View, address: str) -> None:
    """The whole view of a wallet."""
    wallet, findings = ask(view.client.wallet(address)), ask(WalletFindings.page(view, address))
    await arrived(wallet, findings)
    try:
        seen = await wallet
    except WallTrackError as error:
        is_gone = isinstance(error, ApiProblemError) and error.status in (404, 422)
        empty("No run found this wallet." if is_gone else "The wallet cannot be read.", explain(error))
        return
    sol_usd = await view.session.sol_usd()
    newest = seen.profiles[0] if seen.profiles else None
    with tag("div", classes="wt-page", data_page="wallet"):
        _title(seen)
        _figures(seen, sol_usd)
        with tag("div", classes="wt-columns"):
            with tag("div", classes="wt-page"):
                _profile(newest, sol_usd)
                _flags(newest.flags if newest else ())
            with tag("div", classes="wt-page"):
                _score(newest)
                _history(seen.profiles)
        await WalletFindings(view, address).show(findings)


def _title(seen: WalletView) -> None:
    wallet = seen.wallet
    with tag("div", classes="wt-title"):
        link("Wallets", "/wallets", classes="wt-soft")
        with tag("h1"):
            address(wallet.address, full=True)
        if wallet.status is not None:
            status_chip(wallet.status)
        else:
            chip("not profiled")
        if wallet.demo:
            chip("Demo data", "warn")
        for flag in wallet.flags:
            chip(flag.replace("_", " "), "warn")
        for one in seen.lists:
            chip(f"on your {one.list.value} list", "info", title=one.note)
    if wallet.status_reason:
        notice(wallet.status_reason, "info")


def _figures(seen: WalletView, sol_usd: Decimal | None) -> None:
    wallet = seen.wallet
    with card("At a glance", name="glance"), tag("div", classes="wt-figures"):
        figure("Score", formatting.score(wallet.score), name="score", note="0 to 1")
        gain = wallet.total_realized_pnl_sol
        figure(
            "Realized where found",
            formatting.signed_sol(gain),
            name="realized",
            note=formatting.in_usd(gain, sol_usd),
        )
        figure(
            "Best on a token", formatting.percent(wallet.best_realized_pct), name="best", note="of its cost"
        )
        figure("Tokens", formatting.count(wallet.sources), name="sources", note="on which it was found")
        figure("Runs", formatting.count(wallet.runs), name="runs", note="that found it")
        with tag("div", classes="wt-figure"):
            tag("div", "First found", classes="wt-figure__label")
            time_of(wallet.first_seen_at)
            tag("div", "Last active", classes="wt-figure__label")
            time_of(wallet.last_active_at)


def _profile(stored: StoredProfile | None, sol_usd: Decimal | None) -> None:
    with card("Profile over many tokens", name="profile"):
        if stored is None or stored.profile is None:
            empty("It has no profile yet.", "Runs with “Profile the found wallets” make one.")
            return
        profile = stored.profile
        with tag("p", classes="wt-hint"):
            tag("span", f"Its own trades of {profile.lookback_days} days up to ")
            time_of(profile.as_of)
            if profile.completeness != "complete":
                tag("span", f"; not whole: {profile.completeness.replace('_', ' ').replace('+', ', ')}")
        hold = profile.median_hold_seconds
        pairs = [
            ("Realized", formatting.signed_sol(profile.realized_pnl_sol)),
            ("Realized, USD", formatting.in_usd(profile.realized_pnl_sol, sol_usd)),
            ("Return on cost", formatting.percent(profile.return_on_cost_pct, signed=True)),
            ("Win rate", f"{formatting.share(profile.win_rate)} of {profile.settled_positions:,} settled"),
            ("Positions", f"{profile.positions:,}, {profile.closed_positions:,} closed"),
            (
                "Lies abandoned",
                f"{profile.abandoned_positions:,}, {formatting.sol(profile.lost_in_abandoned_sol)}",
            ),
            (
                "Profit factor",
                formatting.NOTHING if profile.profit_factor is None else f"{profile.profit_factor:.2f}",
            ),
            ("Largest win of all gains", formatting.share(profile.largest_win_share)),
            ("Median cost of a position", formatting.sol(profile.median_cost_sol)),
            ("Median hold", formatting.duration(hold)),
            (
                "Trades a day",
                formatting.NOTHING if profile.trades_per_day is None else f"{profile.trades_per_day:.2f}",
            ),
            ("Held under a minute", formatting.count(profile.fast_trades)),
            ("Failed transactions", formatting.share(profile.failed_share)),
        ]
        with tag("dl", classes="wt-facts wt-facts--columns"):
            for name, value in pairs:
                with tag("div"):
                    tag("dt", name)
                    tag("dd", value)


def _score(stored: StoredProfile | None) -> None:
    with card("Score, explained", name="score"):
        if stored is None:
            empty("There is no score.", "It has no profile yet.")
        else:
            show_score_parts(stored.score)


def _flags(flags: Sequence[FlagEvidence]) -> None:
    with card("Flags, with evidence", name="flags"):
        if not flags:
            empty("No flags.", "Nothing marks it as an insider, a bot or infrastructure.")
            return
        for one in flags:
            with tag("div", classes="wt-page", data_flag=one.flag.value):
                with tag("div", classes="wt-row"):
                    chip(one.flag.value.replace("_", " "), "warn")
                    often = f"{one.count:,}" if one.of is None else f"{one.count:,} of {one.of:,}"
                    tag("span", f"seen {often} times", classes="wt-soft")
                    if one.mint is not None:
                        address(one.mint, kind="token")
                tag("div", one.detail)
                _links("Transactions", one.signatures, "tx")
                _links("With", one.wallets, "wallet")


def _links(name: str, values: Sequence[str], kind: str) -> Element | None:
    if not values:
        return None
    with tag("div", classes="wt-row") as row:
        tag("span", name, classes="wt-soft")
        for value in values:
            address(value, kind=kind, href=f"/wallets/{value}" if kind == "wallet" else None)
    return row


def _history(profiles: Sequence[StoredProfile]) -> None:
    if len(profiles) < 2:
        return
    with card("How it did afterwards", name="afterwards"), tag("dl", classes="wt-facts"):
        for one in profiles:
            with tag("div"):
                with tag("dt"):
                    time_of(one.computed_at)
                with tag("dd"):
                    tag("span", f"{formatting.score(one.score.value)} ")
                    status_chip(one.score.status)
