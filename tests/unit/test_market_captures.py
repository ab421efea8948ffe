"""Captured responses of the markets decode, and no captured wash pool passes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.shared_data import shared_data
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.pump_refusals import NotACandidate, UnknownLiquidity
from walltrack.discovery.pumps import Listing, pumped_tokens
from walltrack.services.dexscreener.client import read_feed, read_pairs
from walltrack.services.geckoterminal.client import Candles, PriceRange, range_of_candles, read_pools
from walltrack.services.jupiter.client import read_tokens
from walltrack.services.rows import Found

CAPTURED_AT = datetime(2026, 10, 8, 20, tzinfo=UTC)
LOOSEST = DiscoveryRunParams(
    min_price_change_pct=0, min_volume_usd=0, min_liquidity_usd=0, max_token_age_hours=168, max_tokens=100
)
WHUF = "Hyn3TNGqTyz936vJDHAEgRP9krcVKSahFtXXE6Jv4vKu"


def captured(name: str) -> Any:
    return json.loads((shared_data() / "providers" / f"{name}.json").read_text(encoding="utf-8"))["data"]


def raws(rows: Iterable[object]) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps(row).encode()) for row in rows]


def eleven_pairs() -> Found:
    return read_pairs(raws(captured("dexscreener_tokens_11_pairs")))


def trending_pools() -> Found:
    return read_pools(raws(captured("geckoterminal_trending_pools")["data"]))


def test_dexscreener_pairs_with_all_their_gaps() -> None:
    found = eleven_pairs()
    assert (len(found.listings), found.refused_rows) == (11, 0)
    first, third = found.listings[0], found.listings[2]
    assert first == Listing(
        provider="dexscreener",
        mint="Dc26VNVhXVSZXGmCR92yTMhQx6ZygLz5NLMv9zSyg6Fp",
        pool="A7cJ8yHXpkgPSGG31TAgvqjgx7AfrXNtsMZSZAxsYw3m",
        symbol="US",
        dex="pumpswap",
        created_at=datetime(2026, 10, 7, 19, 24, 46, tzinfo=UTC),
        price_usd=0.001449,
        changes_pct={6: 153.0, 24: 12993.0},
        volume_usd=64900928.79,
        liquidity_usd=0.0,
        buys=82815,
        sells=36528,
    )
    assert (third.mint, third.liquidity_usd, third.changes_pct) == (WHUF, None, {})


def test_dexscreener_pairs_of_the_wrapped_form() -> None:
    found = read_pairs(raws(captured("dexscreener_latest_dex_pairs")["pairs"]))
    assert [x.symbol for x in found.listings] == ["STONK", "Gemini", "KYS"]
    assert [x.liquidity_usd for x in found.listings] == [52239.46, 86766.09, None]
    assert found.refused_rows == 0


def test_a_dexscreener_row_without_a_mint_is_refused_and_counted() -> None:
    found = read_pairs(raws(captured("dexscreener_tokens_v1")))
    assert (found.listings, found.refused_rows) == ([], 1)


def test_only_the_tokens_that_were_asked_for_are_listed() -> None:
    rows = raws(captured("dexscreener_tokens_11_pairs"))
    assert [x.mint for x in read_pairs(rows, [WHUF]).listings] == [WHUF]


def test_dexscreener_boosts() -> None:
    boosts = captured("dexscreener_boosts_and_metas")["token-boosts/top/v1"]
    assert read_feed(raws(boosts)) == (["4LjLUvg56sBrzstX6Cw9YYr3k31PdZGQg5u2mCM4pump"], 0)


def test_geckoterminal_trending_pools() -> None:
    found = trending_pools()
    assert (len(found.listings), found.refused_rows) == (10, 0)
    whuf = next(x for x in found.listings if x.mint == WHUF)
    assert whuf.created_at == datetime(2026, 10, 8, 2, 52, 55, tzinfo=UTC)
    assert (whuf.symbol, whuf.liquidity_usd, whuf.change_24h_pct) == ("WHUF", 397100.1128, 89.071)
    assert (whuf.buys, whuf.sells, whuf.buyers, whuf.sellers) == (21534, 19430, 2238, 528)
    assert next(x for x in found.listings if x.symbol == "USDT").liquidity_usd is None


def test_a_geckoterminal_pool_that_names_no_token_is_refused_and_counted() -> None:
    found = read_pools(raws(captured("geckoterminal_pool")["data"]))
    assert (found.listings, found.refused_rows) == ([], 1)


def test_geckoterminal_candles() -> None:
    body = json.dumps(captured("geckoterminal_ohlcv")).encode()
    candles = msgspec.json.decode(body, type=Candles).data.attributes.ohlcv_list
    assert range_of_candles(candles) == PriceRange(5.6873e-06, 8.1573e-05)
    assert range_of_candles([*candles, candles[0], [None, None], []]) == range_of_candles(candles)
    assert range_of_candles([]) is None


@pytest.mark.parametrize("params", [DiscoveryRunParams(), LOOSEST], ids=["defaults", "loosest"])
@pytest.mark.parametrize("sources", ["dexscreener", "geckoterminal", "both"])
def test_no_captured_pool_with_volume_and_no_liquidity_passes(
    sources: str, params: DiscoveryRunParams
) -> None:
    listings = [
        *(eleven_pairs().listings if sources != "geckoterminal" else []),
        *(trending_pools().listings if sources != "dexscreener" else []),
    ]
    empty = {
        x.mint for x in listings if (x.liquidity_usd or 0.0) < 1 and (x.volume_usd or 0.0) > 20_000_000
    } - {WHUF}
    assert len(empty) >= 5
    for now in (CAPTURED_AT, CAPTURED_AT + timedelta(days=2)):
        found = pumped_tokens(listings, params, now)
        assert not empty & {token.mint for token in found.pumped}
        assert {token.mint for token in found.pumped} <= {WHUF}
        assert len(found.refused) + len(found.pumped) == len({x.mint for x in listings})


def test_captured_quote_mints_and_pools_of_unknown_depth_are_told_apart() -> None:
    refused = {
        t.symbol: t.reason for t in pumped_tokens(trending_pools().listings, LOOSEST, CAPTURED_AT).refused
    }
    assert refused["SOL"] == refused["USDT"] == refused["USDG"] == NotACandidate()
    curve = read_pairs(raws(captured("dexscreener_latest_dex_pairs")["pairs"])).listings[2]
    (token,) = pumped_tokens([curve], LOOSEST, datetime(2026, 10, 10, 12, tzinfo=UTC)).refused
    assert token.reason == UnknownLiquidity()


def test_jupiter_tokens_with_every_field_null_or_missing() -> None:
    price = captured("jupiter_price_v3")
    mint, said = next(iter(price.items()))
    full = {
        "id": mint,
        "symbol": "X",
        "createdAt": said["createdAt"],
        "usdPrice": said["usdPrice"],
        "liquidity": said["liquidity"],
        "firstPool": {"id": "p", "createdAt": "2026-08-27T00:00:00Z"},
        "stats24h": {"priceChange": said["priceChange24h"], "buyVolume": 2.5, "numBuys": 3, "numSells": None},
        "audit": {"isSus": True},
    }
    bare = {"id": mint, "symbol": None, "firstPool": None, "stats24h": None}
    found = read_tokens(raws([full, bare, {"symbol": "no mint"}, {"id": mint, "liquidity": -1}]))
    assert found.refused_rows == 2
    assert found.listings[0] == Listing(
        provider="jupiter",
        mint=mint,
        symbol="X",
        created_at=datetime(2026, 8, 27, tzinfo=UTC),
        token_created_at=datetime(2026, 8, 26, 23, 22, 42, tzinfo=UTC),
        price_usd=8.1178e-05,
        changes_pct={24.0: 19291.79},
        volume_usd=2.5,
        liquidity_usd=128009.07,
        buys=3,
    )
    assert found.listings[1] == Listing(provider="jupiter", mint=mint, changes_pct={})
