"""A wallet's profile and flags -> one number that explains itself, and where the wallet stands.

The number is the weighted sum of parts, each 0-1:
- consistency: the lower bound, with 90 % confidence on one side, of the score interval for a proportion (E. B. Wilson,
  Probable inference, the law of succession, and statistical inference, JASA 22, 1927), here the share of settled
  positions that won. Few positions give a low bound, however many of them won;
- return: r / (1 + r) for a return r on cost, what was lost in abandoned positions included, and 0 where it is negative;
- independence: the share of all gains that the largest one did not make, times w / (w + 5) for w wins;
- recency: 1/2 to the power of the days since the wallet was last active over 30;
- sample size: n / (n + 10) for n settled positions.

Flags are gates: they take nothing off the number, but keep the wallet out of the ranking, with the reason said. All
arithmetic is decimal with a fixed context, in operations that are rounded correctly, so the same inputs give the same
score on every machine. Any change of a constant or rule here is a new SCORE_VERSION.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Final

from walltrack.discovery.profile import FAST_SECONDS, ProfileOutcome
from walltrack.discovery.wallet_models import (
    Flag,
    FlagEvidence,
    ScorePart,
    WalletProfile,
    WalletScore,
    WalletStatus,
)

SCORE_VERSION: Final = 1

MIN_SETTLED: Final = 5
"""Fewer settled positions tell nothing."""

DORMANT_DAYS: Final = 30

SNIPED_LAUNCHES: Final = 3
"""One sniped launch may be luck; a wallet that sniped so many does nothing else."""

WEIGHTS: Final = {
    "consistency": Decimal("0.55"),
    "return": Decimal("0.20"),
    "independence": Decimal("0.10"),
    "recency": Decimal("0.10"),
    "sample_size": Decimal("0.05"),
}

_ARITHMETIC: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_Z: Final = Decimal("1.2815515655446004")  # the standard normal distribution's 90 % quantile
_LN_2: Final = Decimal("0.6931471805599453094172321214581765680755")
_PART_UNIT: Final = Decimal("0.000001")
_SCORE_UNIT: Final = Decimal("0.0001")
_HALF_LIFE_DAYS: Final = 30
_DAMPING_WINS: Final = 5
_DAMPING_SETTLED: Final = 10

_GATES: Final = {
    Flag.LAUNCH_SLOT: "bought in the slot of the launch",
    Flag.SNIPER: "sniped launches",
    Flag.BUNDLE: "bought as one of several wallets of one hand",
    Flag.INSIDER: "was supplied from the inside",
    Flag.WASH: "traded round in a ring",
    Flag.ROUND_TRIP: "bought and sold in one transaction, or around another's trade",
    Flag.INFRASTRUCTURE: "is at an improbable share of all launches",
    Flag.NO_TRADER: "is no trader",
    Flag.EXCHANGE: "is an exchange",
}
"""Flags that keep a wallet back -> what is said of it."""


def gate(flags: Sequence[FlagEvidence]) -> str | None:
    """Why these flags keep a wallet out of the ranking; None where they do not."""
    reasons = []
    for flag, words in _GATES.items():
        evidence = [one for one in flags if one.flag is flag]
        tokens = len({one.mint for one in evidence if one.mint is not None})
        overall = next((one for one in evidence if one.mint is None), None)
        if flag is Flag.SNIPER and max(tokens, overall.count if overall else 0) < SNIPED_LAUNCHES:
            continue
        if overall is not None:
            reasons.append(f"{words} ({overall.detail})")
        elif evidence:
            reasons.append(f"{words} ({_tokens(tokens)})")
    return "; ".join(reasons) or None


def wallet_score(
    profile: WalletProfile | None,
    flags: Sequence[FlagEvidence],
    *,
    missing: str | None = None,
) -> WalletScore:
    """The score of a wallet and where it stands, as of the profile's moment.

    `profile` is None where the wallet was not profiled, and `missing` says why not. The value is None without
    enough settled positions, and is there for excluded wallets too where it can be computed.
    """
    lacking = _lacking(profile, missing)
    parts: tuple[ScorePart, ...] = ()
    value = None
    if profile is not None and lacking is None:
        with localcontext(_ARITHMETIC):
            parts = _parts(profile)
            value = sum((part.value * part.weight for part in parts), Decimal(0)).quantize(_SCORE_UNIT)
    status, reason = _standing(profile, flags, lacking)
    return WalletScore(value, SCORE_VERSION, parts, status, reason)


def _standing(
    profile: WalletProfile | None, flags: Sequence[FlagEvidence], lacking: str | None
) -> tuple[WalletStatus, str | None]:
    gated = gate(flags) or (_cannot_be_followed(profile) if profile is not None else None)
    if gated is not None:
        return WalletStatus.EXCLUDED, gated
    if profile is None or lacking is not None:
        return WalletStatus.INSUFFICIENT_DATA, lacking
    idle = _idle(profile)
    if idle is None or idle > timedelta(days=DORMANT_DAYS):
        since = "never active" if idle is None else f"not active for {idle.days} days"
        return WalletStatus.DORMANT, f"{since} (bound: {DORMANT_DAYS} days)"
    return WalletStatus.ACTIVE, None


def _lacking(profile: WalletProfile | None, missing: str | None) -> str | None:
    """What a score would need that is not there."""
    if profile is None:
        return missing or "not profiled"
    if profile.outcome != ProfileOutcome.MEASURED:
        return profile.outcome
    if profile.settled_positions < MIN_SETTLED:
        return f"{profile.settled_positions} settled positions (bound: {MIN_SETTLED})"
    return None


def _cannot_be_followed(profile: WalletProfile) -> str | None:
    closed, fast = profile.closed_positions, profile.fast_trades
    if closed < MIN_SETTLED or 2 * fast < closed:
        return None
    return (
        f"cannot be followed: {fast} of {closed} closed positions held for less than {FAST_SECONDS} seconds"
    )


def _parts(profile: WalletProfile) -> tuple[ScorePart, ...]:
    consistency = _lower_bound(profile.wins, profile.settled_positions)
    return (
        _part(
            "consistency",
            consistency,
            f"{profile.wins} of {profile.settled_positions} settled positions won; at least"
            f" {_pct(consistency)} % with 90 % confidence",
        ),
        _return(profile),
        _independence(profile),
        _recency(profile),
        _part(
            "sample_size",
            _damped(profile.settled_positions, _DAMPING_SETTLED),
            f"{profile.settled_positions} settled positions; {_DAMPING_SETTLED} make half of this part",
        ),
    )


def _return(profile: WalletProfile) -> ScorePart:
    pct = profile.return_on_cost_pct
    if pct is None:
        return _part("return", Decimal(0), "nothing that was sold had cost anything")
    rate = max(pct, Decimal(0)) / 100
    value = rate / (1 + rate)
    return _part(
        "return",
        value,
        f"{_tenths(pct)} % on cost, with what was lost in"
        f" {profile.abandoned_positions} abandoned positions; 100 % make half of this part",
    )


def _independence(profile: WalletProfile) -> ScorePart:
    share = profile.largest_win_share
    if share is None:
        return _part("independence", Decimal(0), "no wins")
    value = (1 - share) * _damped(profile.wins, _DAMPING_WINS)
    return _part(
        "independence", value, f"the largest of {profile.wins} wins made {_pct(share)} % of all gains"
    )


def _recency(profile: WalletProfile) -> ScorePart:
    idle = _idle(profile)
    if idle is None:
        return _part("recency", Decimal(0), "never active")
    days = Decimal(idle // timedelta(seconds=1)) / 86_400
    return _part(
        "recency",
        (-days * _LN_2 / _HALF_LIFE_DAYS).exp(),
        f"last active {_tenths(days)} days before; {_HALF_LIFE_DAYS} days halve this part",
    )


def _idle(profile: WalletProfile) -> timedelta | None:
    """How long before the profile's moment the wallet was last active; None where it never was."""
    if profile.last_active_at is None:
        return None
    return max(profile.as_of - profile.last_active_at, timedelta(0))


def _lower_bound(wins: int, of: int) -> Decimal:
    """The lower end of Wilson's interval: (p + z²/2n - z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)."""
    n, p = Decimal(of), Decimal(wins) / of
    spread = (p * (1 - p) / n + _Z * _Z / (4 * n * n)).sqrt()
    return max((p + _Z * _Z / (2 * n) - _Z * spread) / (1 + _Z * _Z / n), Decimal(0))


def _damped(count: int, half: int) -> Decimal:
    return Decimal(count) / (count + half)


def _part(name: str, value: Decimal, explanation: str) -> ScorePart:
    return ScorePart(name, value.quantize(_PART_UNIT), WEIGHTS[name], explanation)


def _pct(share: Decimal) -> Decimal:
    return _tenths(100 * share)


def _tenths(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.1"))


def _tokens(count: int) -> str:
    return f"{count} token" if count == 1 else f"{count} tokens"
