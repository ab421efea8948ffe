"""All markets asked together, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import stamina

from tests.unit.http_servers import Asked, Server, answer, by_path, serving
from walltrack.config.settings import Settings
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.pump_refusals import FewSellers, TooFlat, TooOld
from walltrack.services.dexscreener.client import DexScreener
from walltrack.services.http import Http
from walltrack.services.markets import LiveMarkets, NoMarketError

NOW = datetime(2026, 10, 9, 12, tzinfo=UTC)
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WSOL = "So11111111111111111111111111111111111111112"
Answers = dict[str, bytes | Callable[[Asked], bytes]]


def mint(letter: str) -> str:
    return letter * 40


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


async def no_sleep(_seconds: float) -> None:
    """Waits for the quota are none of these tests' business."""


def pair(letter: str, pool: str = "1", hours: float = 20, **changes: object) -> dict[str, object]:
    """A pair as DexScreener gives it."""
    values: dict[str, object] = {
        "chainId": "solana",
        "pairAddress": (letter + pool) * 20,
        "baseToken": {"address": mint(letter), "symbol": f"T{letter}"},
        "quoteToken": {"address": WSOL, "symbol": "SOL"},
        "priceUsd": "0.01",
        "txns": {"h24": {"buys": 3000, "sells": 2500}},
        "volume": {"h24": 400_000.0},
        "priceChange": {"h24": 250.0},
        "liquidity": {"usd": 40_000.0},
        "pairCreatedAt": int((NOW - timedelta(hours=hours)).timestamp() * 1000),
    }
    return values | changes


def pool(letter: str, number: str = "1", hours: float = 20, **changes: object) -> dict[str, object]:
    """A pool as GeckoTerminal gives it."""
    attributes: dict[str, object] = {
        "address": (letter + number) * 20,
        "name": f"T{letter} / SOL",
        "pool_created_at": (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "base_token_price_usd": "0.01",
        "price_change_percentage": {"h24": "250.0"},
        "transactions": {"h24": {"buys": 3000, "sells": 2500, "buyers": 900, "sellers": 600}},
        "volume_usd": {"h24": "400000.0"},
        "reserve_in_usd": "40000.0",
    }
    sides = {"base_token": mint(letter), "quote_token": WSOL}
    return {
        "attributes": attributes | changes,
        "relationships": {side: {"data": {"id": f"solana_{of}"}} for side, of in sides.items()},
    }


def market(**more: bytes | Callable[[Asked], bytes]) -> Answers:
    """Token A is boosted, B trends at GeckoTerminal, C at Jupiter; all three are pools of DexScreener."""

    def tokens(asked: Asked) -> bytes:
        wanted = asked.target.partition("?")[0].rpartition("/")[2].split(",")
        return answer([pair(address[0]) for address in wanted if address[0] in "ABC"])

    boosts = [
        {"chainId": "solana", "tokenAddress": mint("A")},
        {"chainId": "ethereum", "tokenAddress": "0x00"},
    ]
    answers: Answers = {
        "/token-boosts": answer(boosts),
        "/token-profiles": answer([]),
        "/tokens/v1/solana/": tokens,
        "/gt/networks/solana/": answer({"data": []}),
        "/gt/networks/solana/trending_pools": answer({"data": [pool("B")]}),
        "/tokens/v2/toptrending/24h": answer([{"id": mint("C"), "symbol": "TC"}]),
        "/tokens/v2/toptraded/24h": answer([]),
    }
    return answers | {path.replace("__", "/"): said for path, said in more.items()}


def over(answers: Answers, scenario: Callable[[LiveMarkets, Server], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with serving(by_path(answers)) as server, Http(sleep=no_sleep) as http:
            given = {
                "dexscreener_url": server.url,
                "geckoterminal_url": f"{server.url}/gt",
                "jupiter_url": server.url,
                "jupiter_api_key": "jupiter-key",
            }
            await scenario(LiveMarkets(http, Settings(**given)), server)  # type: ignore[arg-type]

    asyncio.run(whole())


PARAMS = DiscoveryRunParams()


def test_candidates_of_all_providers_are_looked_up_and_merged() -> None:
    async def scenario(markets: LiveMarkets, server: Server) -> None:
        pumps, warnings = await markets.pumped(PARAMS, NOW)
        assert warnings == ()
        assert [(token.mint[0], token.transactions_24h) for token in pumps.pumped] == [
            ("A", 5500),
            ("B", 5500),
            ("C", 5500),
        ]
        assert pumps.pumped[1].providers == ("dexscreener", "geckoterminal")
        jupiter = [asked for asked in server.asked if asked.target.startswith("/tokens/v2")]
        assert all(asked.headers["x-api-key"] == "jupiter-key" for asked in jupiter)
        (multi,) = [asked.target for asked in server.asked if "pools/multi" in asked.target]
        assert {"A1" * 20, "C1" * 20} == set(multi.rpartition("/")[2].split(","))

    over(market(), scenario)


def test_one_provider_that_is_down_is_a_warning() -> None:
    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, warnings = await markets.pumped(PARAMS, NOW)
        assert [token.mint[0] for token in pumps.pumped] == ["A", "C"]
        (warning,) = warnings
        assert warning.startswith("geckoterminal did not answer, the others' listings count: geckoterminal ")
        assert "HTTP 503" in warning

    down = answer("down", 503)
    over(market(__gt__networks__solana__=down, __gt__networks__solana__trending_pools=down), scenario)


def test_all_providers_down_is_an_error_that_names_each() -> None:
    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        with pytest.raises(NoMarketError) as raised:
            await markets.pumped(PARAMS, NOW)
        for provider in ("dexscreener", "geckoterminal", "jupiter"):
            assert provider in str(raised.value)

    over({"/": answer("down", 503)}, scenario)


def test_candidates_whose_pools_cannot_be_had_are_an_error_and_not_an_empty_market() -> None:
    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        with pytest.raises(NoMarketError, match="tokens/v1"):
            await markets.pumped(PARAMS, NOW)

    down = answer("no", 403)
    answers = market()
    answers |= {path: down for path in answers if path.startswith(("/gt", "/tokens"))}
    over(answers, scenario)


def test_an_honestly_empty_market_is_no_error() -> None:
    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, warnings = await markets.pumped(PARAMS, NOW)
        assert (pumps.pumped, pumps.refused, warnings) == ((), (), ())

    empty = answer([])
    answers: Answers = {"/": empty, "/gt/": answer({"data": []})}
    over(answers, scenario)


def test_bad_rows_are_left_out_counted_and_warned_of() -> None:
    bad = [
        pair("A", volume={"h24": -5}),
        pair("B", liquidity={"usd": 1e300}),
        pair("C", priceUsd={"deep": [[[]]]}),
        "not a pair",
        {"chainId": "solana"},
        pair("A", baseToken={"address": "<script>", "symbol": "x"}),
    ]
    good = pair("A", baseToken={"address": mint("A"), "symbol": "\x1b[31mN" + "a" * 34_000}, priceUsd="NaN")

    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, warnings = await markets.pumped(PARAMS, NOW)
        (token,) = [token for token in pumps.pumped if token.mint == mint("A")]
        assert len(token.symbol) <= 32
        assert token.symbol.isprintable()
        assert "dexscreener: 6 rows could not be read and were left out" in warnings

    over(market(__tokens__v1__solana__=answer([*bad, good])), scenario)


def test_the_curve_that_came_before_the_pool_tells_the_age() -> None:
    rows = [pair("A", hours=2), pair("A", "2", hours=400, liquidity=None)]

    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, _ = await markets.pumped(PARAMS, NOW)
        (reason,) = [token.reason for token in pumps.refused if token.mint == mint("A")]
        assert isinstance(reason, TooOld)

    over(market(__tokens__v1__solana__=answer(rows)), scenario)


def test_who_counts_traders_is_asked_of_tokens_that_only_others_know() -> None:
    few = pool("A", transactions={"h24": {"buys": 3000, "sells": 2500, "buyers": 2000, "sellers": 33}})

    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, _ = await markets.pumped(PARAMS, NOW)
        (reason,) = [token.reason for token in pumps.refused if token.mint == mint("A")]
        assert reason == FewSellers(33 / 2000, 0.2)

    over(market(__gt__networks__solana__pools__multi=answer({"data": [few]})), scenario)


def test_candles_of_a_token_that_is_flat_today_tell_whether_it_rose_before() -> None:
    flat = pair("A", hours=60, priceChange={"h24": -20.0})
    dull = pair("C", hours=60, priceChange={"h24": -20.0}, volume={"h24": 300_000.0})

    def candles(high: float) -> bytes:
        rows = [[1_791_600_000, 2, high, 1, 1, 5.0], [1_791_500_000, 1, 1, 1, 1, 5.0]]
        return answer({"data": {"attributes": {"ohlcv_list": rows}}})

    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        pumps, _ = await markets.pumped(PARAMS, NOW)
        (token,) = pumps.pumped
        assert token.mint == mint("A")
        assert token.rise_to_peak_pct == pytest.approx(700.0)
        reasons = {token.mint: token.reason for token in pumps.refused}
        assert isinstance(reasons[mint("C")], TooFlat)

    answers = market(__tokens__v1__solana__=answer([flat, dull]))
    answers["/gt/networks/solana/trending_pools"] = answer({"data": []})
    answers[f"/gt/networks/solana/pools/{'A1' * 20}/ohlcv/hour"] = candles(8.0)
    answers[f"/gt/networks/solana/pools/{'C1' * 20}/ohlcv/hour"] = candles(1.5)
    over(answers, scenario)


def test_a_pool_whose_quote_is_the_token_is_listed_under_the_token() -> None:
    turned = pool("B", volume_usd={"h24": "400000"}, quote_token_price_usd="0.5")
    turned["relationships"] = {
        "base_token": {"data": {"id": f"solana_{WSOL}"}},
        "quote_token": {"data": {"id": f"solana_{mint('D')}"}},
    }

    async def scenario(markets: LiveMarkets, _server: Server) -> None:
        listed = await markets.listed(PARAMS, NOW)
        found = next(x for x in listed.listings if x.mint == mint("D"))
        assert (found.buyers, found.sellers, found.changes_pct, found.price_usd) == (600, 900, None, 0.5)

    over(market(__gt__networks__solana__trending_pools=answer({"data": [turned]})), scenario)


def test_batches_shrink_until_nothing_is_cut_and_no_token_is_lost() -> None:
    pools_of = {letter: 1 + 7 * (number % 3) for number, letter in enumerate(LETTERS[:40])} | {"A": 45}

    def tokens(asked: Asked) -> bytes:
        wanted = asked.target.partition("?")[0].rpartition("/")[2].split(",")
        assert len(wanted) <= 30
        found = [pair(a[0], LETTERS[n % 40]) for a in wanted for n in range(pools_of[a[0]])]
        return answer(found[:30])

    def pairs(asked: Asked) -> bytes:
        letter = asked.target.rpartition("/")[2][0]
        return answer([pair(letter, LETTERS[n]) for n in range(pools_of[letter])])

    async def whole() -> None:
        answers: Answers = {"/tokens/v1/solana/": tokens, "/token-pairs/v1/solana/": pairs}
        async with serving(by_path(answers)) as server, Http(sleep=no_sleep) as http:
            client = DexScreener(http, server.provider(name="dexscreener", key=None))
            found = await client.pools(mint(letter) for letter in pools_of)
            assert not found.faults
            counted = dict.fromkeys(pools_of, 0)
            for listing in found.listings:
                counted[listing.mint[0]] += 1
            assert counted == pools_of
            assert len(server.asked) < 60

    asyncio.run(whole())
