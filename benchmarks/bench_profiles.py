"""How long wallets' own histories take to be read at a key's rate, and profiles to be made of what is stored.

Wall time against (requests / allowed rate) at 50 a second: for the wallets of a sandbox market by either route, and for
100 wallets of 1,000 transactions each, which are 100 requests, so that decoding decides; then the profiles of these
from their stored pages. The server runs in a process of its own and has everything rendered beforehand; the database is
an embedded one.

Usage: python -m benchmarks.bench_profiles [wallets] [transactions]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import SecretStr
from tests.integration.chain_market import FIRST_SLOT, TOKENS, MadeTransaction, Trade, chain, market
from tests.unit import solana

from benchmarks.bench_reading import TARGET, database
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.data.supabase.repositories.wallet_history_repo import WalletHistoryRepository
from walltrack.discovery.profile import wallet_profile
from walltrack.discovery.wallet_history import WalletHistory
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import serve
from walltrack.sandbox.types import Market
from walltrack.services.chain.wallet_histories import WalletHistoryReader
from walltrack.services.helius import HeliusHistory
from walltrack.services.helius.history import METHOD
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.solana_rpc import SolanaRpc

RATE = 50.0
TARGET_SECONDS = 5.0
AT_ONCE = 16
MINTS = 50
SECONDS = 600
SEED = 7
SANDBOX_END = 1_793_600_000


def trader(number: int, transactions: int) -> list[MadeTransaction]:
    """One wallet's trades, every ten minutes, in many tokens in turn: it buys, and sells all."""
    wallet = solana.wallet(f"trader {number}")
    found = []
    for place in range(MINTS):
        trades = [
            Trade(
                wallet,
                -TOKENS if at // MINTS % 2 else TOKENS,
                solana.SOL // 100 * (1 + at // MINTS % 2) + at,
                at * SECONDS,
            )
            for at in range(place, transactions, MINTS)
        ]
        for one, trade in zip(chain(solana.wallet(f"mint {number} {place}"), trades), trades, strict=True):
            assert one.result is not None
            one.slot = one.result["slot"] = FIRST_SLOT + 3 * trade.seconds
            one.index = number
            found.append(one)
    return found


def busiest(made: Market, count: int) -> list[str]:
    """The wallets with the most transactions of a sandbox market."""
    pools = {pool.address for token in made.tokens for pool in token.pools}
    signed = Counter(one.accounts[0] for one in made.transactions)
    return [wallet for wallet, _ in signed.most_common() if wallet not in pools][:count]


def offer(kind: str, wallets: int, transactions: int) -> None:
    """Serve wallets until the input ends. Says where, which, and the market's time, as one line of JSON."""
    if kind == "sandbox":
        offered = generate(SEED, now=SANDBOX_END)
        names = busiest(offered, wallets)
    else:
        offered = market(one for number in range(wallets) for one in trader(number, transactions))
        names = [solana.wallet(f"trader {number}") for number in range(wallets)]
    with serve(offered, rate_factor=100_000) as server:
        for position, one in enumerate(offered.transactions):
            server._state.json.part(position, "history json")
            if kind != "sandbox" and isinstance(one, MadeTransaction):
                one.result = None
        sys.stdout.write(json.dumps({"url": server.urls.helius, "wallets": names, "now": offered.now}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def offered(kind: str, wallets: int, transactions: int) -> Iterator[tuple[str, list[str], datetime]]:
    """(URL of Helius, wallets, time of the market) while the block runs."""
    command = [
        sys.executable, "-m", "benchmarks.bench_profiles", "serve", kind, str(wallets), str(transactions),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            said = json.loads(server.stdout.readline())
            yield said["url"], said["wallets"], datetime.fromtimestamp(said["now"], UTC)
        finally:
            server.stdin.close()
            server.wait()


async def read(settings: Settings, url: str, wallets: list[str], now: datetime, *, history: bool) -> str:
    """Read these wallets' histories, some at once. What it took, as a line."""
    helius = Provider("helius", url, {"default": Quota(RATE)}, SecretStr("sandbox"), "api-key")
    async with Database(settings) as opened, Http() as http:
        methods = TapeRepository(opened)
        client = HeliusHistory(http, helius)
        await methods.remember_method(client.key_hash, METHOD, available=True)
        reader = WalletHistoryReader(
            SolanaRpc(http, helius),
            WalletHistoryRepository(opened),
            methods,
            history=client if history else None,
        )
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(wallet: str) -> tuple[int, int]:
            async with at_once:
                found = await reader.read(wallet, now=now)
            assert isinstance(found.history, WalletHistory), found.history
            return found.history.transactions, found.cost.credits

        started = time.perf_counter()
        done = await asyncio.gather(*(one(wallet) for wallet in wallets))
        seconds = time.perf_counter() - started
        transactions, credits = (sum(each) for each in zip(*done, strict=True))
        requests = http.meter.used["helius"].requests
        # Entries of a batch take a slot each: the quota allows so many slots a second, not requests.
        slots = requests if history else credits
        return (
            f"{seconds:.1f} s for {len(wallets)} wallets, {requests:,} requests ({slots:,} slots of the quota), "
            f"{transactions:,} transactions, {seconds / (slots / RATE):.2f} x the allowed {slots / RATE:.1f} s at "
            f"{RATE:g}/s (target {TARGET})"
        )


async def profiles(settings: Settings, wallets: list[str], now: datetime) -> str:
    """Make the profiles of stored histories, one after the other."""
    async with Database(settings) as opened:
        store = WalletHistoryRepository(opened)
        started = time.perf_counter()
        reading = 0.0
        transactions = settled = 0
        for wallet in wallets:
            begun = time.perf_counter()
            history = await store.stored(wallet)
            reading += time.perf_counter() - begun
            assert history is not None
            profile = wallet_profile(history, now)
            transactions += profile.transactions
            settled += profile.settled_positions
        seconds = time.perf_counter() - started
    return (
        f"{seconds:.2f} s for {len(wallets)} wallets of {transactions // len(wallets):,} stored transactions "
        f"({settled:,} settled positions), {reading:.2f} s of it reading pages (target {TARGET_SECONDS:g} s)"
    )


def main(wallets: int = 100, transactions: int = 1_000) -> None:
    with offered("sandbox", wallets, 0) as (url, names, now):
        for history, some in ((True, names), (False, names[-wallets // 5 :])):
            with database() as settings:
                line = asyncio.run(read(settings, url, some, now, history=history))
            route = "history" if history else "signatures"
            print(f"histories of sandbox wallets by {route}: {line}", flush=True)
    with offered("made", wallets, transactions) as (url, names, now), database() as settings:
        line = asyncio.run(read(settings, url, names, now, history=True))
        print(f"histories in full pages: {line}", flush=True)
        print(f"profiles from stored pages: {asyncio.run(profiles(settings, names, now))}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        offer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*(int(given) for given in sys.argv[1:3]))
