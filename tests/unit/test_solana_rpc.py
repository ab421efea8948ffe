"""Standard Solana methods: pages of signatures, transactions in batches, accounts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.shared_data import shared_data
from tests.unit import solana
from tests.unit.http_servers import Asked, Say, Server, answer, in_turn, rpc, rpc_error, serving
from walltrack.discovery.tape_streams import ListedSignature
from walltrack.discovery.transactions import RpcTransaction
from walltrack.services.faults import MalformedFault, ProviderFault, RefusedFault
from walltrack.services.http import Http
from walltrack.services.metering import Meter
from walltrack.services.retries import RetryPolicy
from walltrack.services.solana_rpc import Account, SolanaRpc
from walltrack.services.solana_rpc.received import received

MINT = solana.wallet("mint")
NAMES = [solana.signature(f"tx {number}") for number in range(10)]


def talk(
    say: Say, scenario: Callable[[SolanaRpc, Server], Awaitable[object]], meter: Meter | None = None
) -> None:
    async def whole() -> None:
        async with (
            serving(say) as server,
            Http(meter=meter, retries=RetryPolicy(tries=2, first_wait_seconds=0.0)) as http,
        ):
            await scenario(SolanaRpc(http, server.provider(), historical_credits=3), server)

    asyncio.run(whole())


def item(number: int, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "signature": NAMES[number],
        "slot": 100 - number,
        "err": None,
        "memo": None,
        "blockTime": 1_793_000_000 - number,
        "confirmationStatus": "finalized",
    }
    return row | changes


def listed(number: int) -> ListedSignature:
    return ListedSignature(NAMES[number], 100 - number, 1_793_000_000 - number)


def transaction(label: str) -> dict[str, Any]:
    return solana.rpc_result(
        [solana.wallet("one")],
        {},
        [solana.TokenAccount(solana.wallet("one"), MINT, 0, 5)],
        label=label,
    )


def test_a_page_lists_what_succeeded_newest_first_and_where_to_go_on() -> None:
    failed = {"InstructionError": [0, {"Custom": 1}]}

    async def scenario(client: SolanaRpc, server: Server) -> None:
        page = await client.signatures(MINT, before=NAMES[0], limit=5)
        # The first is a repetition of the page before, the last has failed.
        assert page.listed == (listed(1), listed(2))
        assert (page.last, page.oldest_slot) == (NAMES[4], 96)
        assert (page.refused, page.is_end) == (0, False)
        body = server.asked[0].json()
        assert isinstance(body, dict)
        assert body["params"] == [MINT, {"limit": 5, "commitment": "finalized", "before": NAMES[0]}]
        assert client.historical_credits == meter.used["helius"].credits == 3

    meter = Meter()
    rows = [item(0), item(1), item(2), item(2), item(4, err=failed)]
    talk(in_turn(answer(rpc(rows))), scenario, meter)


def test_a_page_that_is_not_full_is_the_end_and_an_empty_one_too() -> None:
    async def scenario(client: SolanaRpc, _server: Server) -> None:
        assert (await client.signatures(MINT, limit=2)).is_end
        empty = await client.signatures(MINT, limit=2)
        assert (empty.listed, empty.last, empty.is_end) == ((), None, True)

    talk(in_turn(answer(rpc([item(0)])), answer(rpc([]))), scenario)


def test_a_full_page_that_leads_nowhere_is_an_error() -> None:
    async def scenario(client: SolanaRpc, _server: Server) -> None:
        with pytest.raises(MalformedFault, match="nothing older"):
            await client.signatures(MINT, before=NAMES[0], limit=2)

    talk(in_turn(answer(rpc([item(0), item(0)]))), scenario)


def test_rows_of_another_shape_are_refused_and_counted() -> None:
    rows = [
        None,
        7,
        {"slot": 1},
        item(1, signature="no signature"),
        item(1, slot=-1),
        item(1, slot=2**64),
        item(1, blockTime=10**14),
        item(1, signature="A" * 34_000),
        item(2),
    ]

    async def scenario(client: SolanaRpc, _server: Server) -> None:
        page = await client.signatures(MINT)
        assert (page.listed, page.refused) == ((listed(2),), 8)

    talk(in_turn(answer(rpc(rows))), scenario)


def batch(answers: Callable[[int], dict[str, object]]) -> Say:
    """Answer each entry of a batch, the last one first: the order of a batch's answers is free."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        entries = asked.json()
        assert isinstance(entries, list)
        assert all(entry["params"][1]["maxSupportedTransactionVersion"] == 1 for entry in entries)
        writer.write(answer([answers(entry["id"]) for entry in reversed(entries)]))

    return say


def test_a_batch_brings_each_transaction_or_null_or_why_not() -> None:
    def answers(number: int) -> dict[str, object]:
        if number == 1:
            return rpc(None, number)
        if number == 2:
            return rpc_error(-32015, "Transaction version (2) is not supported", number)
        return rpc(transaction(f"tx {number}"), number)

    async def scenario(client: SolanaRpc, server: Server) -> None:
        first, missing, refused, last = await client.transactions(NAMES[:4])
        assert isinstance(first, RpcTransaction)
        assert isinstance(last, RpcTransaction)
        assert [first.transaction.signatures, last.transaction.signatures] == [[NAMES[0]], [NAMES[3]]]
        assert missing is None
        assert isinstance(refused, RefusedFault)
        assert len(server.asked) == 1

    talk(batch(answers), scenario)


def test_a_batch_that_is_not_taken_or_holds_junk_is_a_fault_of_the_whole() -> None:
    async def scenario(client: SolanaRpc, _server: Server) -> None:
        for _ in range(2):
            with pytest.raises(ProviderFault):
                await client.transactions(NAMES[:2])

    talk(
        in_turn(answer(rpc_error(-32600, "no batches", None), 400), answer([rpc({"slot": "x"}, 0)])), scenario
    )


def test_one_transaction_may_be_null() -> None:
    async def scenario(client: SolanaRpc, _server: Server) -> None:
        found = await client.transaction(NAMES[0])
        assert found is not None
        assert found.transaction.signatures == [NAMES[0]]
        assert await client.transaction(NAMES[0]) is None

    talk(in_turn(answer(rpc(transaction("tx 0"))), answer(rpc(None))), scenario)


def test_an_account_is_told_by_its_owner_and_its_first_bytes() -> None:
    data = base64.b64encode(b"\x01" * 82).decode()

    async def scenario(client: SolanaRpc, _server: Server) -> None:
        assert await client.account(MINT) == Account("Tokenkeg", b"\x01" * 82, 82)
        assert await client.account(MINT) is None
        with pytest.raises(MalformedFault, match="base64"):
            await client.account(MINT)

    talk(
        in_turn(
            answer(rpc({"context": {"slot": 1}, "value": {"owner": "Tokenkeg", "data": [data, "base64"]}})),
            answer(rpc({"context": {"slot": 1}, "value": None})),
            answer(rpc({"context": {"slot": 1}, "value": {"owner": "Tokenkeg", "data": ["?", "base64"]}})),
        ),
        scenario,
    )


@pytest.mark.parametrize("slot", [-1, 2**63, 2**200])
def test_an_impossible_slot_is_refused(slot: int) -> None:
    async def scenario(client: SolanaRpc, _server: Server) -> None:
        with pytest.raises(MalformedFault, match="out of bounds"):
            await client.finalized_slot()

    talk(in_turn(answer(rpc(slot))), scenario)


def spoiled(path: str, value: object) -> bytes:
    """A transaction with another value at one place."""
    result = transaction("tx 1")
    *parents, last = path.split(".")
    place: Any = result
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return json.dumps(result).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("slot", 2**63),
        ("slot", None),
        ("transactionIndex", 2**32),
        ("transactionIndex", -1),
        ("blockTime", 10**12),
        ("meta", None),
        ("meta.fee", -1),
        ("meta.fee", 2**64),
        ("meta.preBalances", []),
        ("meta.postBalances.0", 2**80),
        ("meta.postTokenBalances.0.accountIndex", 99),
        ("meta.postTokenBalances.0.accountIndex", -1),
        ("meta.postTokenBalances.0.owner", "x" * 34_000),
        ("meta.postTokenBalances.0.mint", "x" * 34_000),
        ("meta.postTokenBalances.0.uiTokenAmount.amount", "1e9"),
        ("meta.postTokenBalances.0.uiTokenAmount.amount", "9" * 5_000),
        ("meta.postTokenBalances.0.uiTokenAmount.amount", str(2**64)),
        ("meta.postTokenBalances.0.uiTokenAmount.decimals", 256),
        ("transaction.signatures", []),
        ("transaction.signatures.0", "short"),
        ("transaction.message.accountKeys.0", ""),
    ],
)
def test_a_transaction_out_of_bounds_is_refused_and_those_beside_it_are_kept(
    path: str, value: object
) -> None:
    good = json.dumps(transaction("tx 0")).encode()
    page = received([good, spoiled(path, value), None, b"[" * 5_000, b'"x"', good], MINT)
    assert [one.signature for one in page.transactions] == [NAMES[0]]
    assert page.refused == 4
    assert set(page.accounts) == {solana.wallet("one")}


def test_the_captured_public_refusal_is_retried_and_then_said() -> None:
    captured = json.loads((shared_data() / "providers" / "solana_public_429.json").read_bytes())["data"]
    assert captured
    body = rpc_error(429, "Too many requests for a specific RPC call")

    async def scenario(client: SolanaRpc, server: Server) -> None:
        with pytest.raises(ProviderFault, match="Too many requests"):
            await client.finalized_slot()
        assert len(server.asked) == 2

    talk(in_turn(answer(body, 429, {"retry-after": "0.001"})), scenario)
