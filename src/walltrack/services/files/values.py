"""One validator for the values of all tape files: text in, exact integers out, every refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

import polars as pl
from solders.pubkey import Pubkey
from solders.signature import Signature

from walltrack.discovery.tape import KINDS
from walltrack.services.files.columns import (
    END_OF_TIME,
    FIRST_TIME,
    MAX_LAMPORTS,
    MAX_SEQ,
    MAX_SLOT,
    MAX_TOKEN_DECIMALS,
    MAX_TOKEN_RAW,
    MAX_VENUE_CHARS,
    SOL_DECIMALS,
)
from walltrack.services.files.refusals import MAX_EXAMPLES, Refusals, shown

FRACTION_DECIMALS: Final = 18
"""Fractions are held as integers of 10^-18 until the decimals of the mint are known."""

_T = TypeVar("_T")

_LAMPORTS = 10**SOL_DECIMALS
_LAMPORT_FRACTION = 10 ** (FRACTION_DECIMALS - SOL_DECIMALS)

_PLAIN: Final = r"^-?[0-9]{1,20}(?:\.[0-9]{1,18})?$"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_NUMBER_CHARS: Final = 100

_TRADES: Final = ("buy", "sell")
_ABOVE_SIGNED = (pl.col("sol_whole") > MAX_LAMPORTS // _LAMPORTS) | (
    (pl.col("sol_whole") == MAX_LAMPORTS // _LAMPORTS)
    & (pl.col("sol_fraction") // _LAMPORT_FRACTION > MAX_LAMPORTS % _LAMPORTS)
)
_SOL_SIGN = (
    pl.when((pl.col("sol_whole") == 0) & (pl.col("sol_fraction") == 0))
    .then(0)
    .when(pl.col("sol_negative"))
    .then(-1)
    .otherwise(1)
)


@dataclass(frozen=True, slots=True)
class _Rule:
    field: str
    problem: str
    broken: pl.Expr


def _outside(name: str, low: int, high: int) -> pl.Expr:
    return ~pl.col(name).is_between(low, high)


def fits(whole: pl.Expr, fraction: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    """Whether an amount in base units of so many decimals fits in 64 bits, unsigned."""
    most = _of_decimals(decimals, [MAX_TOKEN_RAW // 10**d for d in range(MAX_TOKEN_DECIMALS + 1)])
    rest = _of_decimals(decimals, [MAX_TOKEN_RAW % 10**d for d in range(MAX_TOKEN_DECIMALS + 1)])
    return (whole < most) | ((whole == most) & (_scaled(fraction, decimals) <= rest))


def base_units(whole: pl.Expr, fraction: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    """An amount in base units of so many decimals; it must fit, and have no more of them."""
    unit = _of_decimals(decimals, [10**d for d in range(MAX_TOKEN_DECIMALS + 1)])
    return whole * unit + _scaled(fraction, decimals)


def _scaled(fraction: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    divisors = [10 ** (FRACTION_DECIMALS - d) for d in range(MAX_TOKEN_DECIMALS + 1)]
    return fraction // _of_decimals(decimals, divisors)


def _of_decimals(decimals: pl.Expr, table: list[int]) -> pl.Expr:
    return decimals.replace_strict(list(range(len(table))), table, default=None, return_dtype=pl.UInt64)


_SECONDS = f"is not whole Unix seconds from {FIRST_TIME} (2020-03-16) to {END_OF_TIME - 1} (2099-12-31)"
_DECIMAL = "is not a decimal number"
_COLUMN = pl.col

_RULES: Final = (
    _Rule(
        "block_time", _SECONDS, _COLUMN("time_n").is_null() | _outside("time_n", FIRST_TIME, END_OF_TIME - 1)
    ),
    _Rule(
        "slot",
        f"is not a whole number from 0 to {MAX_SLOT}",
        _COLUMN("slot").is_not_null() & (_COLUMN("slot_n").is_null() | (_COLUMN("slot_n") < 0)),
    ),
    _Rule(
        "seq",
        f"is not a whole number from 1 (in a row with a slot, from 0) to {MAX_SEQ}",
        _COLUMN("seq_n").is_null()
        | _outside("seq_n", 0, MAX_SEQ)
        | ((_COLUMN("seq_n") == 0) & _COLUMN("slot").is_null()),
    ),
    _Rule("wallet", "is not a base58 address of 32 bytes", ~_COLUMN("wallet_ok")),
    _Rule("mint", "is not a base58 address of 32 bytes", ~_COLUMN("mint_ok")),
    _Rule(
        "signature",
        "is not a base58 signature of 64 bytes",
        _COLUMN("signature").is_not_null() & _COLUMN("signature_n").is_null(),
    ),
    _Rule("side", f"is not one of {', '.join(KINDS)}", ~_COLUMN("side").fill_null("").is_in(KINDS)),
    _Rule("token_amount", _DECIMAL, _COLUMN("token_text").is_null()),
    _Rule(
        "token_amount",
        "is not above 0",
        _COLUMN("token_negative") | ((_COLUMN("token_whole") == 0) & (_COLUMN("token_fraction") == 0)),
    ),
    _Rule(
        "token_amount",
        f"has more than {MAX_TOKEN_DECIMALS} decimals",
        _COLUMN("token_significant") > MAX_TOKEN_DECIMALS,
    ),
    _Rule(
        "token_amount",
        f"is more than {MAX_TOKEN_RAW} base units at the decimals it has",
        _COLUMN("token_whole").is_null()
        | ~fits(_COLUMN("token_whole"), _COLUMN("token_fraction"), _COLUMN("token_significant")),
    ),
    _Rule("sol_delta", _DECIMAL, _COLUMN("sol_text").is_null()),
    _Rule(
        "sol_delta",
        f"has more than {SOL_DECIMALS} decimals",
        _COLUMN("sol_significant") > SOL_DECIMALS,
    ),
    _Rule(
        "sol_delta",
        f"is beyond {MAX_LAMPORTS} lamports",
        _COLUMN("sol_whole").is_null() | _ABOVE_SIGNED,
    ),
    _Rule("sol_delta", "is above 0, while a buy pays", (_COLUMN("side") == "buy") & (_SOL_SIGN > 0)),
    _Rule(
        "sol_delta",
        "is not 0, while a transfer moves no SOL",
        ~_COLUMN("side").is_in(_TRADES) & (_SOL_SIGN != 0),
    ),
    _Rule(
        "sol_amount",
        "is not the magnitude of sol_delta",
        _COLUMN("sol_amount").is_not_null()
        & (
            _COLUMN("magnitude_text").is_null()
            | (_COLUMN("magnitude_negative") & (_SOL_SIGN != 0))
            | _COLUMN("magnitude_whole").ne_missing(_COLUMN("sol_whole"))
            | _COLUMN("magnitude_fraction").ne_missing(_COLUMN("sol_fraction"))
            | (_COLUMN("magnitude_significant") > SOL_DECIMALS)
        ),
    ),
    _Rule(
        "sol_sign",
        "is not the sign of sol_delta (-1, 0 or 1)",
        _COLUMN("sol_sign").is_not_null() & _COLUMN("sign_n").ne_missing(_SOL_SIGN),
    ),
    _Rule(
        "launch_time",
        _SECONDS,
        _COLUMN("launch_time").is_not_null()
        & (_COLUMN("launch_n").is_null() | _outside("launch_n", FIRST_TIME, END_OF_TIME - 1)),
    ),
    _Rule(
        "venue",
        f"is not at most {MAX_VENUE_CHARS} printable characters",
        (_COLUMN("venue").str.len_chars() > MAX_VENUE_CHARS) | _COLUMN("venue").str.contains(r"\p{C}"),
    ),
)

_REASON = pl.coalesce(
    *(pl.when(rule.broken).then(pl.lit(i, dtype=pl.UInt8)) for i, rule in enumerate(_RULES)),
)


def checked_rows(batch: pl.DataFrame, file: str, refusals: Refusals) -> pl.DataFrame:
    """The rows of a batch that hold, typed; the others go to `refusals`, each for the first rule it breaks.

    In: `row` and all known columns as text, null where empty. Out: row, block_time, seq, slot, signature (bytes),
    wallet, mint, side, venue, launch_time; `token_whole` and `token_fraction` (10^-18), with the decimals as
    `token_written` and, without trailing zeros, as `token_significant`; `lamports` (sol_delta).
    """
    derived = batch.with_columns(
        _whole_numbers(batch["block_time"]).alias("time_n"),
        _whole_numbers(batch["slot"]).alias("slot_n"),
        _whole_numbers(batch["seq"]).alias("seq_n"),
        _whole_numbers(batch["sol_sign"]).alias("sign_n"),
        _whole_numbers(batch["launch_time"]).alias("launch_n"),
        _are_addresses(batch["wallet"]).alias("wallet_ok"),
        _are_addresses(batch["mint"]).alias("mint_ok"),
        _signatures(batch["signature"]).alias("signature_n"),
        *_decimals(batch["token_amount"], "token"),
        *_decimals(batch["sol_delta"], "sol"),
        *_decimals(batch["sol_amount"], "magnitude"),
    ).with_columns(_REASON.alias("reason"))
    bad = derived.filter(pl.col("reason").is_not_null())
    for (reason,), rows in bad.group_by("reason", maintain_order=True):
        rule = _RULES[int(str(reason))]
        first = rows.head(MAX_EXAMPLES)
        problems = [f"{shown(value)} {rule.problem}" for value in first[rule.field].to_list()]
        examples = zip(first["row"].to_list(), problems, strict=True)
        refusals.add(file, rule.field, rule.problem, rows.height, examples)
    good = derived.filter(pl.col("reason").is_null()) if bad.height else derived
    lamports = (_COLUMN("sol_whole") * _LAMPORTS + _COLUMN("sol_fraction") // _LAMPORT_FRACTION).cast(
        pl.Int64
    )
    return good.select(
        "row",
        pl.col("time_n").alias("block_time"),
        pl.col("seq_n").cast(pl.UInt32).alias("seq"),
        pl.col("slot_n").cast(pl.UInt64).alias("slot"),
        pl.col("signature_n").alias("signature"),
        "wallet",
        "mint",
        pl.col("side").cast(pl.Enum(KINDS)),
        "venue",
        pl.col("launch_n").alias("launch_time"),
        "token_whole",
        "token_fraction",
        pl.col("token_written").clip(0, MAX_TOKEN_DECIMALS),
        "token_significant",
        pl.when("sol_negative").then(-lamports).otherwise(lamports).alias("lamports"),
    )


def _whole_numbers(text: pl.Series) -> pl.Series:
    """Whole numbers of 64 bits, signed; null where the text is none. `5.0` and `5e3` are whole too."""
    numbers = text.cast(pl.Int64, strict=False)
    odd = text.filter(numbers.is_null() & text.is_not_null()).unique()
    if odd.is_empty():
        return numbers
    parts = {t: (_plain(t) or "").partition(".") for t in odd.to_list()}
    whole = {t: None if fraction.strip("0") else digits for t, (digits, _, fraction) in parts.items()}
    return _replaced(text, whole).cast(pl.Int64, strict=False)


def _decimals(text: pl.Series, name: str) -> list[pl.Series]:
    """Decimal numbers, as columns `<name>_text` (null: no number), `_negative`, `_whole` (null: over 64 bits),
    `_fraction` (10^-18), `_written` and `_significant` (decimals with and without trailing zeros).
    """
    odd = text.filter(~text.str.contains(_PLAIN)).unique()
    if not odd.is_empty():
        text = _replaced(text, {t: _plain(t) for t in odd.to_list()})
    parts = text.str.strip_prefix("-").str.split_exact(".", 1).struct.unnest()
    fraction = parts["field_1"].fill_null("")
    return [
        text.alias(f"{name}_text"),
        text.str.starts_with("-").alias(f"{name}_negative"),
        parts["field_0"].cast(pl.UInt64, strict=False).alias(f"{name}_whole"),
        fraction.str.pad_end(FRACTION_DECIMALS, "0")
        .cast(pl.UInt64, strict=False)
        .fill_null(0)  # over 18 decimals, which a rule of its own refuses
        .alias(f"{name}_fraction"),
        fraction.str.len_bytes().alias(f"{name}_written"),
        fraction.str.strip_chars_end("0").str.len_bytes().alias(f"{name}_significant"),
    ]


def _replaced(text: pl.Series, values: dict[str, str | None]) -> pl.Series:
    return text.replace_strict(values, default=text, return_dtype=pl.String)


def _plain(text: str) -> str | None:
    """A number's text without exponent or plus sign, exact; at most 18 decimals unless more are significant."""
    if len(text) > _MAX_NUMBER_CHARS or not _NUMBER.fullmatch(text):
        return None
    whole, _, fraction = f"{Decimal(text):f}".partition(".")
    if len(fraction) > FRACTION_DECIMALS:
        fraction = fraction[:FRACTION_DECIMALS] + fraction[FRACTION_DECIMALS:].rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _are_addresses(text: pl.Series) -> pl.Series:
    wrong = [t for t in text.unique().to_list() if not _is_address(t)]
    if not wrong:
        return pl.repeat(True, len(text), dtype=pl.Boolean, eager=True)
    return ~(text.is_null() | text.is_in([t for t in wrong if t is not None]))


def _is_address(text: str | None) -> bool:
    return text is not None and 32 <= len(text) <= 44 and _parsed(Pubkey.from_string, text) is not None


def _signatures(text: pl.Series) -> pl.Series:
    if text.null_count() == len(text):
        return pl.repeat(None, len(text), dtype=pl.Binary, eager=True)
    values = [_signature(t) for t in text.to_list()]
    return pl.Series(values, dtype=pl.Binary)


def _signature(text: str | None) -> bytes | None:
    if text is None or not 64 <= len(text) <= 88:
        return None
    signature = _parsed(Signature.from_string, text)
    return None if signature is None else bytes(signature)


def _parsed(parse: Callable[[str], _T], text: str) -> _T | None:
    try:
        return parse(text)
    except ValueError:
        return None
