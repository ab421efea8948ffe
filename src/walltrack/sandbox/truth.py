"""truth.json: who is who in a market, what pumped, and every wallet's exact position.

Layout: `tokens` (a list, by launch; those of the past have the kind "past" and "winner" or "dud"), `wallets` (address,
kind, skill: see `world.Wallet`), `positions` (see `Position.as_json`), `qualified` (the wallets that the default
parameters must find, with token), and the parameters themselves. Times are Unix seconds.

`flags` lists what each wallet is to be flagged with: flag, wallet, and the mint, which is null where it holds for all
(see `walltrack.sandbox.labels`). A round trip of which nothing was left over shows in no balance, and is not flagged.
`labels` gives, by mint, who was staged together: `bundles` and `rings`, each a list of lists of wallets. `exchanges`
names addresses, as an operator's own list does.

What a run must pay for follows from `tokens[].transactions`: succeeded transactions that name the mint, in all and up
to the end of the early window; the same for each pool, and how many of these do not name the mint; and, for each
early buyer, how many after that window name its token account. Fills of orders out of escrow name neither the owner's
account nor, for DCA, the owner.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from walltrack.sandbox.addresses import RAYDIUM_V4
from walltrack.sandbox.calendar import DAY, HOUR
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.labels import tell_flags
from walltrack.sandbox.types import SandboxPool, SandboxToken, SandboxTrade
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import World

PARAMS: Final = {
    "min_price_change_pct": 100.0,
    "min_volume_usd": 50_000.0,
    "max_token_age_hours": 72,
    "early_window_minutes": 30,
    "min_profit_pct": 50.0,
    "min_liquidity_usd": 10_000.0,
}
"""The default parameters of a discovery run, as docs/how-it-counts.md and its stories give them."""

_WINDOW: Final = 1800
_VOLUME_FACTOR_OF_WASHED: Final = 15.0


def tell_truth(world: World, coins: Sequence[Coin]) -> dict[str, Any]:
    """The whole of truth.json."""
    traded = [coin for coin in coins if coin.mint in world.books.launches]
    traded.sort(key=lambda coin: (world.books.launches[coin.mint].slot, coin.mint))
    counts = _transaction_counts(world, traded)
    tokens = [_token(world, coin) | {"transactions": counts[coin.mint]} for coin in traded]
    pumped = {token["mint"] for token in tokens if token["pumped"]}
    positions, qualified = [], []
    for coin in traded:
        launch = world.books.launches[coin.mint]
        for wallet, position in world.books.positions[coin.mint].items():
            positions.append(position.as_json(coin.mint, wallet))
            first, pct = position.first_buy, position.realized_pct()
            if coin.mint not in pumped or first is None or pct is None:
                continue
            early = first.block_time - launch.block_time <= _WINDOW
            if early and pct >= PARAMS["min_profit_pct"] and first.slot != launch.slot:
                qualified.append({"mint": coin.mint, "wallet": wallet})
    return {
        "seed": world.seed,
        "now": world.now,
        "parameters": PARAMS,
        "tokens": tokens,
        "wallets": [{"address": w.address, "kind": w.kind, "skill": w.skill} for w in world.wallets.values()],
        "positions": positions,
        "qualified": qualified,
        "flags": tell_flags(world, traded),
        "labels": world.staged.groups,
        "exchanges": world.exchanges,
    }


def settle_pools(world: World, coins: Sequence[Coin]) -> None:
    """Write what the pools hold now, and what that is worth."""
    for coin in coins:
        for pool in coin.token.pools:
            venue = world.venue_of[pool.address]
            token, quote = venue.reserves()
            if isinstance(venue, Curve):
                pool.base_raw, pool.quote_raw = (0, 0) if venue.complete else venue.real()
                continue
            pool.base_raw, pool.quote_raw = (token, quote) if pool.base_mint == coin.mint else (quote, token)
            pool.liquidity_usd = round(2 * quote * venue.quote_usd(), 2)
            if coin.washed:
                pool.reported_volume_factor = _VOLUME_FACTOR_OF_WASHED


def _token(world: World, coin: Coin) -> dict[str, Any]:
    token, launch = coin.token, world.books.launches[coin.mint]
    figures = market_figures(token, world.now)
    age_hours = (world.now - launch.block_time) / HOUR
    rise = max(figures["price_change_24h_pct"], figures["rise_to_peak_pct"])
    fails = [
        name
        for name, holds in (
            ("price", rise >= PARAMS["min_price_change_pct"]),
            ("volume", figures["volume_24h_usd"] >= PARAMS["min_volume_usd"]),
            ("age", age_hours <= PARAMS["max_token_age_hours"]),
            ("liquidity", (figures["liquidity_usd"] or 0) >= PARAMS["min_liquidity_usd"]),
            ("washed", not coin.washed),
        )
        if not holds
    ]
    return {
        "mint": token.mint,
        "name": token.name,
        "symbol": token.symbol,
        "decimals": token.decimals,
        "token_program": token.token_program,
        "kinds": list(coin.kinds),
        "creator": coin.creator.address,
        "created_at": token.created_at,
        "launch": {
            "time": launch.block_time,
            "slot": launch.slot,
            "index": launch.place,
            "signature": launch.signature,
        },
        "pools": [_pool(pool, token) for pool in token.pools],
        "age_hours": age_hours,
        **figures,
        "pumped": not fails,
        "fails": fails,
    }


def _pool(pool: SandboxPool, token: SandboxToken) -> dict[str, Any]:
    return {
        "address": pool.address,
        "dex": pool.dex,
        "created_at": pool.created_at,
        "quote_mint": pool.quote_mint if pool.base_mint == token.mint else pool.base_mint,
        "reversed": pool.base_mint != token.mint,
        "names_mint": pool.program != RAYDIUM_V4,
        "liquidity_usd": pool.liquidity_usd,
        "trades": len(pool.trades),
    }


def market_figures(token: SandboxToken, now: int) -> dict[str, Any]:
    """Change, rise, volume and liquidity of a token over all of its pools, from every trade."""
    trades = sorted((t for pool in token.pools for t in pool.trades), key=lambda t: t.block_time)
    deepest = max(
        (pool for pool in token.pools if pool.liquidity_usd is not None),
        key=lambda pool: pool.liquidity_usd or 0.0,
        default=None,
    )
    first, last = trades[0].price_usd, trades[-1].price_usd
    at = bisect_right([t.block_time for t in trades], now - DAY)
    day_ago = trades[at - 1].price_usd if at else first
    return {
        "first_price_usd": first,
        "last_price_usd": last,
        "peak_price_usd": max(t.price_usd for t in trades),
        "price_change_24h_pct": 100 * (last / day_ago - 1),
        "rise_to_peak_pct": 100 * (max(t.price_usd for t in trades) / first - 1),
        "volume_24h_usd": _volume(trades, now),
        "deepest_pool": deepest.address if deepest else None,
        "deepest_pool_volume_24h_usd": _volume(deepest.trades, now) if deepest else 0.0,
        "liquidity_usd": deepest.liquidity_usd if deepest else None,
        "traders_24h": len({t.wallet for t in trades if t.block_time > now - DAY}),
    }


def _volume(trades: Sequence[SandboxTrade], now: int) -> float:
    return sum(t.volume_usd for t in trades if t.block_time > now - DAY)


def _transaction_counts(world: World, coins: Sequence[Coin]) -> dict[str, dict[str, Any]]:
    """What each way of reading a token's tape returns: succeeded transactions that name its mint, its pools, and the
    early buyers' own token accounts after the early window.
    """
    ends = {coin.mint: world.books.launches[coin.mint].block_time + _WINDOW for coin in coins}
    pools = {pool.address: coin.mint for coin in coins for pool in coin.token.pools}
    accounts: dict[str, str] = {}
    for coin in coins:
        for wallet, position in world.books.positions[coin.mint].items():
            if position.first_buy is not None and position.first_buy.block_time <= ends[coin.mint]:
                accounts[world.ledger.account_of(wallet, coin.mint)] = coin.mint
    named, early, failed = Counter[str](), Counter[str](), Counter[str]()
    by_pool, by_pool_early, unnamed = Counter[str](), Counter[str](), Counter[str]()
    by_account = Counter[str]()
    counted = ends.keys() | pools.keys() | accounts.keys()
    for tx in world.transactions:
        keys = counted.intersection(tx.accounts)
        for key in keys:
            if key in ends:
                if tx.err is not None:
                    failed[key] += 1
                else:
                    named[key] += 1
                    early[key] += tx.block_time <= ends[key]
            elif tx.err is not None:
                continue
            elif key in pools:
                by_pool[key] += 1
                by_pool_early[key] += tx.block_time <= ends[pools[key]]
                unnamed[key] += pools[key] not in keys
            elif tx.block_time > ends[accounts[key]]:
                by_account[key] += 1
    per_mint: dict[str, list[int]] = {coin.mint: [] for coin in coins}
    for account, mint in accounts.items():
        per_mint[mint].append(by_account[account])
    return {
        coin.mint: {
            "naming_mint": named[coin.mint],
            "naming_mint_in_early_window": early[coin.mint],
            "failed_naming_mint": failed[coin.mint],
            "pools": [
                {
                    "address": pool.address,
                    "naming_pool": by_pool[pool.address],
                    "naming_pool_in_early_window": by_pool_early[pool.address],
                    "naming_pool_but_not_mint": unnamed[pool.address],
                }
                for pool in coin.token.pools
            ],
            "early_buyer_accounts": len(per_mint[coin.mint]),
            "of_early_buyer_accounts_after_window": sorted(per_mint[coin.mint]),
        }
        for coin in coins
    }
