"""How fast a tape becomes qualified wallets: `python benchmarks/bench_positions.py` prints the figures.

Every measurement runs in a process of its own, whose peak memory (ru_maxrss: interpreter, polars and the tape
itself included) is printed. Tapes are synthetic: wallets of a heavy tail, trades interleaved, a price that rises by
a random walk, some transfers, sells of more than is held, a few bots with tens of thousands of trades; signatures
are 64 random bytes. Targets: 1 M trades <= 1.0 s; 5 M <= 6 s and <= 1.5 GB.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import time
from decimal import Decimal, localcontext

import polars as pl
from solders.pubkey import Pubkey

from walltrack.discovery.average_cost import WalletEvents, exact_sums
from walltrack.discovery.early_buyers import EarlyBuyers, early_buyers
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.positions import position_of, positions
from walltrack.discovery.tape import TAPE_SCHEMA, WSOL, Tape

LAUNCH = 1_750_000_000
MINT = str(Pubkey.from_bytes(b"\x07" * 32))
CHUNK = 250_000


def synthetic_tape(trades: int, seed: int) -> Tape:
    """A tape of so many events, one wallet for about eight of them, 30 events a second."""
    choose = random.Random(seed)
    names = pl.Series([str(Pubkey.from_bytes(choose.randbytes(32))) for _ in range(max(trades // 8, 10))])
    held: dict[int, int] = {}
    price, parts, joined = 30.0, [], 0
    for start in range(0, trades, CHUNK):
        count = min(CHUNK, trades - start)
        wallets, kinds, tokens, quotes = [], [], [], []
        for _ in range(count):
            # Newcomers keep coming; who is there already trades again, a few of them all the time.
            if joined < len(names) and (joined == 0 or choose.random() < 0.125):
                wallet, joined = joined, joined + 1
            else:
                wallet = int(joined * choose.random() ** 3)
            price *= 1 + choose.gauss(0.00001, 0.004)
            price = min(max(price, 30.0), 30_000.0)
            has, luck = held.get(wallet, 0), choose.random()
            raw = choose.randrange(10_000_000, 10_000_000_000_000)
            if luck < 0.02:
                kind = choose.choice(("transfer_in", "transfer_out"))
            elif luck < 0.04 or (has and luck < 0.52):
                kind, raw = "sell", max(int((has or raw) * choose.choice((0.25, 0.5, 0.9, 1.0, 1.0, 1.2))), 1)
            else:
                kind = "buy"
            held[wallet] = max(has + (raw if kind in ("buy", "transfer_in") else -raw), 0)
            wallets.append(wallet)
            kinds.append(kind)
            tokens.append(raw)
            quotes.append(int(raw * price / 1000) if kind in ("buy", "sell") else 0)
        made = pl.DataFrame(
            {"wallet": names.gather(wallets), "kind": kinds, "token_raw": tokens, "quote_raw": quotes},
            schema_overrides={"kind": TAPE_SCHEMA["kind"]},
        )
        parts.append(_in_chain(made, start))
    events = pl.concat(parts, rechunk=False)
    return Tape(MINT, 6, LAUNCH, 300_000_000, events)


def _in_chain(trades: pl.DataFrame, start: int) -> pl.DataFrame:
    """The trades as rows `start` and following of a tape."""
    row = pl.int_range(start, start + trades.height, eager=True)
    signatures = os.urandom(64 * trades.height)
    is_trade = pl.col("quote_raw") > 0
    whole = trades.with_columns(
        slot=300_000_000 + row // 12,
        tx_index=row % 12,
        block_time=LAUNCH + row // 30,
        signature=pl.Series([signatures[at : at + 64] for at in range(0, len(signatures), 64)]),
        quote_mint=pl.when(is_trade).then(pl.lit(WSOL)),
        fee_lamports=pl.lit(5000),
        counterparty=pl.lit(None),
        venue=pl.lit("pumpswap"),
        flags=pl.lit(0),
    )
    return whole.select(pl.col(name).cast(dtype) for name, dtype in TAPE_SCHEMA.items())


def plain_way(tape: Tape) -> int:
    """What one would write first: a loop over rows, in Decimal. Returns how many positions gained 50 percent."""
    accounts: dict[str, list[Decimal]] = {}
    nothing = Decimal(0)
    columns = ("wallet", "kind", "token_raw", "quote_raw", "fee_lamports")
    with localcontext() as context:
        context.prec = 50
        for wallet, kind, raw, quote, fee in tape.events.select(columns).iter_rows():
            account = accounts.setdefault(wallet, [nothing] * 5)
            held, based, basis, cost_of_sold, matched = account
            tokens = Decimal(raw)
            if kind == "buy":
                account[:3] = held + tokens, based + tokens, basis + (quote + fee)
            elif kind == "transfer_in":
                account[0] = held + tokens
            elif held:
                leaving = min(tokens, held)
                part = leaving / held
                account[:3] = held - leaving, based - based * part, basis - basis * part
                if kind == "sell":
                    account[3:] = (
                        cost_of_sold + basis * part,
                        matched + (quote - fee) * (based * part) / tokens,
                    )
        return sum(
            cost > 0 and matched >= Decimal("1.5") * cost for _, _, _, cost, matched in accounts.values()
        )


def interleaved_wallet(trades: int) -> WalletEvents:
    """Buys and sells of one wallet in turn that never leave it without tokens: the worst case of exact arithmetic."""
    choose = random.Random(trades)
    kinds = [at % 2 for at in range(trades)]
    raws = [choose.randrange(10**12, 10**13) // (1 + kind) for kind in kinds]
    values = [choose.randrange(10**8, 10**10) for _ in kinds]
    return WalletEvents("wallet", range(trades), kinds, raws, values)


def _timed_run(tapes: list[Tape], params: DiscoveryRunParams) -> tuple[float, list[EarlyBuyers]]:
    began = time.perf_counter()
    found = [early_buyers(tape, params) for tape in tapes]
    return time.perf_counter() - began, found


def _memory_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure_tapes(trades: int, tapes: int, window_minutes: int) -> None:
    made = [synthetic_tape(trades // tapes, seed) for seed in range(tapes)]
    before = _memory_gb()
    params = DiscoveryRunParams(early_window_minutes=window_minutes)
    seconds, found = _timed_run(made, params)
    again, _ = _timed_run(made, params)
    qualified = sum(len(one.wallets) for one in found)
    early, seen = sum(one.wallets_early for one in found), sum(one.wallets_seen for one in found)
    print(
        f"{trades:>9,} trades in {tapes:>3} tape(s), window {window_minutes:>3} min: "
        f"{seconds:5.2f} s, again {again:5.2f} s; {seen:,} wallets, {early:,} early, {qualified:,} qualified; "
        f"peak memory {_memory_gb():.2f} GB ({before:.2f} GB with the tapes alone)"
    )


def measure_all_positions(trades: int) -> None:
    tape = synthetic_tape(trades, 0)
    before = _memory_gb()
    began = time.perf_counter()
    rows = positions(tape).height
    seconds = time.perf_counter() - began
    print(
        f"{trades:>9,} trades, positions of all {rows:,} wallets: {seconds:5.2f} s; "
        f"peak memory {_memory_gb():.2f} GB ({before:.2f} GB with the tape alone)"
    )


def measure_plain_way(trades: int) -> None:
    tape = synthetic_tape(trades, 0)
    began = time.perf_counter()
    plain_way(tape)
    plain = time.perf_counter() - began
    ours, _ = _timed_run([tape], DiscoveryRunParams(early_window_minutes=120))
    print(
        f"{trades:>9,} trades, the plain way (Decimal loop, positions only): {plain:5.2f} s; ours: {ours:5.2f} s "
        f"({plain / ours:.0f} times as fast); the plain way would take {plain / trades * 1e6:.1f} s for 1 M"
    )


def measure_one_wallet(trades: int) -> None:
    tape = Tape(MINT, 6, LAUNCH, None, pl.DataFrame(schema=TAPE_SCHEMA))
    events = interleaved_wallet(trades)
    began = time.perf_counter()
    position_of(tape, events)
    seconds = time.perf_counter() - began
    line = f"{trades:>9,} interleaved trades of one wallet, exactly rounded: {seconds * 1000:7.1f} ms"
    if trades <= 10_000:
        began = time.perf_counter()
        exact_sums(events)
        line += f"; by rationals, needed for ties only: {(time.perf_counter() - began) * 1000:.0f} ms"
    print(line)


MEASUREMENTS = {
    "1M": lambda: measure_tapes(1_000_000, 1, 30),
    "1M-wide": lambda: measure_tapes(1_000_000, 1, 120),
    "1M-many": lambda: measure_tapes(1_000_000, 30, 30),
    "5M": lambda: measure_tapes(5_000_000, 1, 30),
    "5M-wide": lambda: measure_tapes(5_000_000, 1, 120),
    "5M-many": lambda: measure_tapes(5_000_000, 125, 30),
    "all-1M": lambda: measure_all_positions(1_000_000),
    "all-5M": lambda: measure_all_positions(5_000_000),
    "plain": lambda: measure_plain_way(500_000),
    "wallet-10k": lambda: measure_one_wallet(10_000),
    "wallet-100k": lambda: measure_one_wallet(100_000),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "measurement", nargs="*", help=f"which of {', '.join(MEASUREMENTS)}; all where none is named"
    )
    parser.add_argument("--here", action="store_true", help="measure in this process")
    wanted = parser.parse_args()
    for name in wanted.measurement or MEASUREMENTS:
        if wanted.here:
            MEASUREMENTS[name]()
        else:
            subprocess.run([sys.executable, __file__, "--here", name], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
