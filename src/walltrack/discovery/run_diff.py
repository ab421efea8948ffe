"""What is different between two runs, and why as far as what they stored tells: parameters, data or code version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from walltrack.discovery.models import (
    CHOOSING,
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    QualifiedWallet,
    RunToken,
    TokenStatus,
)
from walltrack.discovery.wallet_models import Flag

Key = tuple[str, str]
"""A finding: (wallet, mint)."""

FIGURES: Final = tuple(
    one.name
    for one in fields(QualifiedWallet)
    if one.name not in ("wallet_address", "source_token", "signatures", "evidence")
)
"""What is compared of a finding. What proves it changes with it."""

SCORE: Final = "initial_score"

ANOTHER_TIME: Final = "the wallet's history, and the launches that it was in, were looked at another time"

_MEASURING: Final = ("early_window_minutes", "min_profit_pct", "include_launch_slot")
_OF_SCORES: Final = ("profile_immediately", "max_credits")

NOT_TOLD: Final = "what the runs stored does not tell why"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run with what it found. `refusals` are the reasons by mint for tokens that it left out of a market's list."""

    run: DiscoveryRun
    tokens: Sequence[RunToken]
    wallets: Sequence[DiscoveryRunWallet]
    refusals: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is another: what it is called, its value in the first run, and in the second."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class TokenDifference:
    """A token that one run has and the other has not (its status there is None), or that ended otherwise."""

    mint: str
    before: TokenStatus | None
    after: TokenStatus | None
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WalletDifference:
    """A finding that only one run has, or whose figures are others; `figures` are those that are, sorted as stored."""

    wallet_address: str
    source_token: str
    why: tuple[str, ...]
    figures: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class RunDiff:
    """The second run beside the first: what it has more, what it has no more, what is another, each with its reasons.

    `same` counts the findings that both have with the same figures. `causes` are the reasons over all: the parameters,
    tapes and code versions that differ.
    """

    parameters: tuple[Difference, ...]
    code_version: Difference | None
    token_source: Difference | None
    tokens_gained: tuple[TokenDifference, ...]
    tokens_lost: tuple[TokenDifference, ...]
    tokens_changed: tuple[TokenDifference, ...]
    wallets_gained: tuple[WalletDifference, ...]
    wallets_lost: tuple[WalletDifference, ...]
    wallets_changed: tuple[WalletDifference, ...]
    same: int
    causes: tuple[str, ...]


def diff_runs(a: RunResult, b: RunResult) -> RunDiff:
    """What run `b` has otherwise than run `a`. Findings and tokens come in the order in which their run has them."""
    two = _Two(a, b)
    tokens_a, tokens_b = two.tokens_a, two.tokens_b
    in_a, in_b = _findings(a), _findings(b)
    changed = [
        WalletDifference(*key, two.why_changed(key[1], figures), figures)
        for key, found in in_b.items()
        if key in in_a
        for figures in [_figures(in_a[key], found)]
        if figures
    ]
    return RunDiff(
        parameters=two.parameters,
        code_version=two.code_version,
        token_source=_difference("token_source", a.run.token_source, b.run.token_source),
        tokens_gained=tuple(
            TokenDifference(mint, None, token.status, two.why_no_token(a, mint))
            for mint, token in tokens_b.items()
            if mint not in tokens_a
        ),
        tokens_lost=tuple(
            TokenDifference(mint, token.status, None, two.why_no_token(b, mint))
            for mint, token in tokens_a.items()
            if mint not in tokens_b
        ),
        tokens_changed=tuple(
            TokenDifference(mint, tokens_a[mint].status, token.status, two.why_ended_otherwise(mint))
            for mint, token in tokens_b.items()
            if mint in tokens_a and tokens_a[mint].status is not token.status
        ),
        wallets_gained=tuple(
            WalletDifference(*key, two.why_not_found(a, found))
            for key, found in in_b.items()
            if key not in in_a
        ),
        wallets_lost=tuple(
            WalletDifference(*key, two.why_not_found(b, found))
            for key, found in in_a.items()
            if key not in in_b
        ),
        wallets_changed=tuple(changed),
        same=sum(key in in_a for key in in_b) - len(changed),
        causes=two.causes(),
    )


class _Two:
    """Two runs, and what is different of what they were asked and what they had."""

    def __init__(self, a: RunResult, b: RunResult) -> None:
        self._a, self._b = a, b
        self.tokens_a = {token.mint: token for token in a.tokens}
        self.tokens_b = {token.mint: token for token in b.tokens}
        before, after = a.run.params, b.run.params
        self.parameters = tuple(
            Difference(name, getattr(before, name), getattr(after, name))
            for name in DiscoveryRunParams.model_fields
            if getattr(before, name) != getattr(after, name)
        )
        self.code_version = _difference("code_version", a.run.code_version, b.run.code_version)

    def why_no_token(self, without: RunResult, mint: str) -> tuple[str, ...]:
        """Why a token of one run is not in the other."""
        refused = without.refusals.get(mint)
        if refused is not None:
            return (f"left out: {refused}", *self._of_parameters(CHOOSING))
        if any(result.run.mints or result.run.again_of for result in (self._a, self._b)):
            return ("the tokens of one of the runs were named",)
        return (*self._of_parameters(CHOOSING), "the market listed other tokens at another time")

    def why_ended_otherwise(self, mint: str) -> tuple[str, ...]:
        """Why a token of both runs did not end alike."""
        said = tuple(
            f"{which}: {token.reason}"
            for which, token in (("before", self.tokens_a[mint]), ("after", self.tokens_b[mint]))
            if token.reason is not None
        )
        return (*said, *self._of_data(mint), *self._of_parameters(("max_credits",)), *self._of_code()) or (
            NOT_TOLD,
        )

    def why_not_found(self, without: RunResult, found: DiscoveryRunWallet) -> tuple[str, ...]:
        """Why one run has not what the other found."""
        mint = found.source_token
        token = (self.tokens_a if without is self._a else self.tokens_b).get(mint)
        if token is None:
            return (f"the token is not in run {without.run.id}", *self.why_no_token(without, mint))
        if token.status is not TokenStatus.DONE:
            reason = f": {token.reason}" if token.reason else ""
            return (f"the token is {token.status.value} in run {without.run.id}{reason}",)
        told = tuple(_rules_broken(without.run.params, found.found))
        # A rule that the wallet breaks there is reason enough, as long as it is measured on the same trades.
        return (
            told + self._of_data(mint) + (() if told else self._of_parameters(_MEASURING)) + self._of_code()
        ) or (NOT_TOLD,)

    def why_changed(self, mint: str, figures: Sequence[Difference]) -> tuple[str, ...]:
        """Why the figures of a finding are others."""
        why: tuple[str, ...] = ()
        if any(figure.name != SCORE for figure in figures):
            why = self._of_data(mint) + self._of_code()
        if any(figure.name == SCORE for figure in figures):
            why += (*self._of_parameters(_OF_SCORES), ANOTHER_TIME)
        return tuple(dict.fromkeys(why)) or (NOT_TOLD,)

    def causes(self) -> tuple[str, ...]:
        """Every difference of what the runs were asked and what they had."""
        both = [mint for mint in self.tokens_a if mint in self.tokens_b]
        other = sum(bool(self._of_data(mint)) for mint in both)
        alone = len(self.tokens_a) + len(self.tokens_b) - 2 * len(both)
        data = []
        if other:
            data.append(f"data: {other:,} of the {len(both):,} tokens of both were measured on other tapes")
        if alone:
            data.append(f"data: {alone:,} tokens are of one of the runs only")
        return (*self._of_parameters(tuple(DiscoveryRunParams.model_fields)), *data, *self._of_code())

    def _of_parameters(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            f"parameters: {one.name} {_shown(one.before)} -> {_shown(one.after)}"
            for one in self.parameters
            if one.name in names
        )

    def _of_code(self) -> tuple[str, ...]:
        code = self.code_version
        return (
            ()
            if code is None
            else (f"code version: {code.before or 'unknown'} -> {code.after or 'unknown'}",)
        )

    def _of_data(self, mint: str) -> tuple[str, ...]:
        """What tells that a token of both runs was not measured on the same trades."""
        before, after = self.tokens_a.get(mint), self.tokens_b.get(mint)
        if before is None or after is None:
            return ()
        if before.segments is not None and after.segments is not None:
            parts, more = _segments(before.segments), _segments(after.segments)
            if parts != more:
                counts = (sum(parts.values()), sum(more.values()))
                return (f"data: the tape was made of {counts[0]:,} stored segments, then of {counts[1]:,}",)
        if before.summary is None or after.summary is None:
            return ()
        if _cut(before) != _cut(after):
            return (f"data: the tape was cut: {_cut(before) or 'no'}, then {_cut(after) or 'no'}",)
        if _extent(before) != _extent(after):
            return (f"data: the tape had {before.summary.events:,} events, then {after.summary.events:,}",)
        return ()


def _rules_broken(asked: DiscoveryRunParams, found: QualifiedWallet | None) -> Iterator[str]:
    """Which parameters keep a finding out, by its figures."""
    if found is None:
        return
    if found.realized_pct < Decimal(str(asked.min_profit_pct)):
        least = _shown(asked.min_profit_pct)
        yield f"parameters: realized {found.realized_pct:.2f} %, below min_profit_pct {least}"
    minutes = asked.early_window_minutes
    if found.seconds_after_launch > minutes * 60:
        seconds = found.seconds_after_launch
        yield f"parameters: bought {seconds:,} s after launch, beyond early_window_minutes {minutes}"
    if Flag.LAUNCH_SLOT in found.flags and not asked.include_launch_slot:
        yield "parameters: bought in the launch slot, include_launch_slot no"


def _findings(result: RunResult) -> dict[Key, DiscoveryRunWallet]:
    return {(one.wallet_address, one.source_token): one for one in result.wallets}


def _figures(before: DiscoveryRunWallet, after: DiscoveryRunWallet) -> tuple[Difference, ...]:
    changed = []
    if before.found is not None and after.found is not None:
        changed = [
            Difference(name, getattr(before.found, name), getattr(after.found, name))
            for name in FIGURES
            if getattr(before.found, name) != getattr(after.found, name)
        ]
    if before.initial_score != after.initial_score:
        changed.append(Difference(SCORE, before.initial_score, after.initial_score))
    return tuple(changed)


def _difference(name: str, before: object, after: object) -> Difference | None:
    return None if before == after else Difference(name, before, after)


def _segments(stored: Mapping[str, int]) -> dict[str, int]:
    return {address: count for address, count in stored.items() if count}


def _cut(token: RunToken) -> str | None:
    return token.summary.tape_cut if token.summary else None


def _extent(token: RunToken) -> tuple[object, ...]:
    one = token.summary
    return () if one is None else (one.events, one.first_event_at, one.last_event_at, one.wallets_seen)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
