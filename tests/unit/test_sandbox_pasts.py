"""The past that a market's wallets have."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import cache
from statistics import correlation, median
from typing import Any

from tests.unit.made_market import default_market


@cache
def old_tokens() -> dict[str, dict[str, Any]]:
    return {token["mint"]: token for token in default_market().truth["tokens"] if "past" in token["kinds"]}


@cache
def pasts() -> dict[str, list[dict[str, Any]]]:
    """The positions in old tokens of wallets that have traded in many, by wallet."""
    kinds = {wallet["address"]: wallet["kind"] for wallet in default_market().truth["wallets"]}
    crowd = {"random", "loser", "holder", "late_buyer", "developer", "promoter", "infrastructure"}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for position in default_market().truth["positions"]:
        if position["mint"] in old_tokens() and kinds[position["wallet"]] not in crowd and position["buys"]:
            found[position["wallet"]].append(position)
    return found


def won(position: dict[str, Any]) -> bool:
    return Fraction(position["realized"]) > 0


def test_old_tokens_are_spread_over_three_months_and_are_no_news() -> None:
    ages = sorted(token["age_hours"] / 24 for token in old_tokens().values())
    assert len(ages) >= 60
    assert 4 < ages[0] < 8
    assert 80 < ages[-1] < 90
    for token in old_tokens().values():
        assert {"age", "volume"} <= set(token["fails"])
        assert token["volume_24h_usd"] == 0


def test_old_tokens_have_pumped_and_stand_high_or_have_fallen_and_stay_down() -> None:
    for token in old_tokens().values():
        now = token["last_price_usd"] / token["first_price_usd"]
        assert now > 1.5 if "winner" in token["kinds"] else now < 0.5


def test_who_bought_a_winner_won_and_who_bought_a_dud_lost_or_never_sold() -> None:
    outcomes: dict[tuple[bool, bool], int] = defaultdict(int)
    abandoned = 0
    for positions in pasts().values():
        for position in positions:
            winner = "winner" in old_tokens()[position["mint"]]["kinds"]
            abandoned += not winner and not position["sells"]
            if position["sells"]:
                outcomes[winner, won(position)] += 1
    assert min(outcomes[True, True], outcomes[False, False]) > 500
    assert outcomes[True, False] + outcomes[False, True] == 0
    assert abandoned > 100


def test_every_skilled_and_lucky_wallet_has_a_past_long_or_too_short_to_judge_by() -> None:
    wallets = {w["address"] for w in default_market().truth["wallets"] if w["kind"] in {"skilled", "lucky"}}
    counts = [len(pasts()[wallet]) for wallet in wallets]
    assert min(counts) >= 1
    assert 12 <= median(counts) <= 25
    assert max(counts) <= 45
    assert sum(count <= 4 for count in counts) >= 10


def test_the_share_of_winners_is_the_skill() -> None:
    skills = {wallet["address"]: wallet["skill"] for wallet in default_market().truth["wallets"]}
    kinds = {wallet["address"]: wallet["kind"] for wallet in default_market().truth["wallets"]}
    pairs = [
        (skills[wallet], sum(map(won, positions)) / len(positions))
        for wallet, positions in pasts().items()
        if skills[wallet] is not None and len(positions) >= 12
    ]
    assert len(pairs) > 100
    assert correlation(*zip(*pairs, strict=True)) > 0.85
    assert all(
        0.1 <= skill <= 0.45 for w, skill in skills.items() if kinds[w] == "lucky" and skill is not None
    )
    assert all(
        0.6 <= skill <= 0.95 for w, skill in skills.items() if kinds[w] == "skilled" and skill is not None
    )


def test_some_wallets_are_dormant_and_some_have_only_failed() -> None:
    market = default_market()
    kinds = {wallet["address"]: wallet["kind"] for wallet in market.truth["wallets"]}
    last: dict[str, int] = {}
    succeeded: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for tx in market.transactions:
        for wallet in kinds.keys() & set(tx.accounts[: tx.header[0]]):
            last[wallet] = tx.block_time
            (succeeded if tx.err is None else failed)[wallet] += 1
    dormant = [last[wallet] for wallet, kind in kinds.items() if kind == "dormant"]
    assert len(dormant) >= 5
    assert max(dormant) < market.now - 30 * 86_400
    for wallet in (wallet for wallet, kind in kinds.items() if kind == "unlucky"):
        assert failed[wallet] >= 2
        assert not succeeded[wallet]
    shares = [failed[w] / (failed[w] + succeeded[w]) for w in pasts() if succeeded[w] > 20]
    assert max(shares) > 0.15
    assert min(shares) == 0
