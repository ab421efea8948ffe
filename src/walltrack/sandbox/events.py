"""Instruction data and events of pump.fun and PumpSwap, laid out as in pump-fun/pump-public-docs (2026-05-19)."""

from __future__ import annotations

import struct
from typing import Final

from walltrack.sandbox.addresses import SYSTEM, raw

_EVENT: Final = bytes.fromhex("e445a52e51cb9a1d")
_TRADE: Final = _EVENT + bytes.fromhex("bddb7fd34ee661ee")
_CREATE: Final = _EVENT + bytes.fromhex("1b72a94ddeeb6376")
_COMPLETE: Final = _EVENT + bytes.fromhex("5f72619cd42e9808")
_MIGRATION: Final = _EVENT + bytes.fromhex("bde95db95c94ea94")
_AMM_BUY: Final = _EVENT + bytes.fromhex("67f4521f2cf57777")
_AMM_SELL: Final = _EVENT + bytes.fromhex("3e2f370aa503dc2a")

BUY: Final = bytes.fromhex("66063d1201daebea")
SELL: Final = bytes.fromhex("33e685a4017f83ad")
BUY_V2: Final = bytes.fromhex("b817ee6167c5d33d")
SELL_V2: Final = bytes.fromhex("5df6823ce7e940b2")
CREATE: Final = bytes.fromhex("181ec828051c0777")
CREATE_V2: Final = bytes.fromhex("d6904cec5f8b31b4")
MIGRATE: Final = bytes.fromhex("9beae792ec9ea21e")
MIGRATE_V2: Final = bytes.fromhex("bbcb121fceedfe29")
CREATE_POOL: Final = bytes.fromhex("e992d18ecf6840bc")
GET_FEES: Final = bytes.fromhex("e7257e55cf5b3f34")

_TWO: Final = struct.Struct("<QQ")
_TRADE_HEAD: Final = struct.Struct("<QQB32sqQQQQ32sQQ32sQQBQQQqI")
_TRADE_TAIL: Final = struct.Struct("<BQQQQI32sQQQ")
_AMM_HEAD: Final = struct.Struct("<q13Q")


def order(instruction: bytes, first: int, second: int) -> bytes:
    """An instruction's id and its two amounts."""
    return instruction + _TWO.pack(first, second)


def text(value: str) -> bytes:
    """A Borsh string."""
    encoded = value.encode()
    return struct.pack("<I", len(encoded)) + encoded


def create_data(name: str, symbol: str, uri: str, creator: str, *, v2: bool) -> bytes:
    flags = b"\0\0" if v2 else b""
    return (CREATE_V2 if v2 else CREATE) + text(name) + text(symbol) + text(uri) + raw(creator) + flags


def create_event(
    names: tuple[str, str, str], accounts: tuple[str, str, str], when: int, quote: str, token_program: str
) -> bytes:
    """`names` are name, symbol and URI; `accounts` the mint, its curve and the creator."""
    mint, curve, creator = accounts
    return (
        _CREATE
        + b"".join(text(name) for name in names)
        + raw(mint)
        + raw(curve)
        + raw(creator)
        + raw(creator)
        + struct.pack("<qQQQQ", when, 1_073 * 10**12, 30 * 10**9, 793_100 * 10**9, 10**15)
        + raw(token_program)
        + b"\0\0"
        + raw(quote)
    )


def complete_event(user: str, mint: str, curve: str, when: int, quote: str) -> bytes:
    return _COMPLETE + raw(user) + raw(mint) + raw(curve) + struct.pack("<q", when) + raw(quote)


def migration_event(
    user: str, mint: str, places: tuple[str, str], amounts: tuple[int, int], when: int
) -> bytes:
    """`places` are the curve and the pool; `amounts` tokens and lamports."""
    curve, pool = places
    head = raw(user) + raw(mint) + struct.pack("<QQQ", *amounts, 15_000_001)
    return _MIGRATION + head + raw(curve) + struct.pack("<q", when) + raw(pool) + raw(SYSTEM)


def trade_event(
    *,
    mint: str,
    user: str,
    is_buy: bool,
    quote_raw: int,
    token_raw: int,
    reserves: tuple[int, int, int, int],
    fees: tuple[str, int, str, int],
    when: int,
    quote: str,
) -> bytes:
    """TradeEvent. `reserves`: virtual quote, virtual token, real quote, real token; `fees`: recipient, fee, creator,
    creator's fee. For a coin with another quote than SOL the SOL fields are 0 (docs/providers.md).
    """
    recipient, fee, creator, creator_fee = fees
    in_sol = quote == SYSTEM
    v_quote, v_token, r_quote, r_token = reserves
    name = b"buy" if is_buy else b"sell"
    head = _TRADE_HEAD.pack(
        quote_raw if in_sol else 0,
        token_raw,
        is_buy,
        raw(user),
        when,
        v_quote if in_sol else 0,
        v_token,
        r_quote if in_sol else 0,
        r_token,
        raw(recipient),
        95,
        fee,
        raw(creator),
        30,
        creator_fee,
        1,
        0,
        0,
        quote_raw if in_sol else 0,
        when,
        len(name),
    )
    tail = _TRADE_TAIL.pack(0, 0, 0, 0, 0, 0, raw(quote), quote_raw, v_quote, r_quote)
    return _TRADE + raw(mint) + head + name + tail


def amm_event(
    *, is_buy: bool, when: int, amounts: tuple[int, ...], accounts: tuple[str, ...], creator: str
) -> bytes:
    """BuyEvent or SellEvent of PumpSwap. `amounts`: the thirteen from base_amount_out to user_quote_amount_in (of a
    sell, base_amount_in to user_quote_amount_out); `accounts`: pool, user, the user's base and quote account, the
    protocol's fee recipient and its account.
    """
    head = (_AMM_BUY if is_buy else _AMM_SELL) + _AMM_HEAD.pack(when, *amounts)
    body = b"".join(raw(account) for account in accounts) + raw(creator) + struct.pack("<QQ", 0, 0)
    if is_buy:
        body += struct.pack("<BQQQqQ", 1, 0, 0, 0, when, amounts[0]) + text("buy")
    return head + body + struct.pack("<QQQQ", 0, 0, 0, 0)
