"""Conservation and shape of the sandbox's transactions."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from solders.signature import Signature

from tests.shared_data import shared_data
from tests.unit.made_market import calls, default_market, small_market
from walltrack.sandbox.types import SandboxTransaction

WSOL = "So11111111111111111111111111111111111111112"
TOKEN_PROGRAMS = {
    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
}
KNOWN_TIPS = {
    "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
    "HWEoBxYs7ssKuudEjzjmpfJVX7Dvi7wescFsVx2L5yoY",
}
LIMIT_ORDERS = "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X"
DCA = "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M"


def transactions() -> list[SandboxTransaction]:
    return list(default_market().transactions)


def test_lamports_are_conserved_and_never_below_zero() -> None:
    for tx in transactions():
        assert sum(tx.balances_after) - sum(tx.balances_before) + tx.fee == 0
        assert min(tx.balances_before) >= 0
        assert min(tx.balances_after) >= 0


def test_tokens_are_conserved_but_for_mints_burns_and_withheld_fees() -> None:
    taxed = {t["mint"] for t in default_market().truth["tokens"] if "transfer_fee" in t["kinds"]}
    withheld = 0
    for tx in transactions():
        sums: dict[str, int] = defaultdict(int)
        for balance in tx.token_balances:
            assert (balance.before or 0) >= 0 <= (balance.after or 0)
            sums[balance.mint] += (balance.after or 0) - (balance.before or 0)
        made = {
            i.accounts[0 if i.data[0] == 7 else 1]
            for i in calls(tx)
            if i.program in TOKEN_PROGRAMS and i.data[:1] in (b"\x07", b"\x08")
        }
        for mint, change in sums.items():
            if mint == WSOL or mint in made or not change:
                continue
            assert mint in taxed
            assert change < 0
            withheld += 1
    assert withheld > 100


def test_every_account_goes_on_from_where_it_was() -> None:
    lamports: dict[str, int] = {}
    tokens: dict[str, int | None] = {}
    for tx in transactions():
        for key, before, after in zip(tx.accounts, tx.balances_before, tx.balances_after, strict=True):
            assert lamports.get(key, before) == before
            lamports[key] = after
        for balance in tx.token_balances:
            key = tx.accounts[balance.account_index]
            assert tokens.get(key, balance.before) == balance.before
            tokens[key] = balance.after


def test_wsol_accounts_hold_their_amount_in_lamports() -> None:
    for tx in transactions():
        for balance in tx.token_balances:
            if balance.mint == WSOL and balance.before is not None and balance.after is not None:
                at = balance.account_index
                change = tx.balances_after[at] - tx.balances_before[at]
                assert change == balance.after - balance.before


def test_a_failed_transaction_changes_nothing_but_the_fee() -> None:
    failed = [tx for tx in transactions() if tx.err is not None]
    assert 0.01 < len(failed) / len(transactions()) < 0.2
    for tx in failed:
        assert tx.balances_before[0] - tx.balances_after[0] == tx.fee
        assert list(tx.balances_before[1:]) == list(tx.balances_after[1:])
        assert all(b.before == b.after for b in tx.token_balances)
        assert tx.token_owners == ()


def test_transactions_stand_in_chain_order_with_their_slots_times() -> None:
    places = [(tx.slot, tx.index) for tx in transactions()]
    assert places == sorted(set(places))
    assert max(Counter(slot for slot, _ in places).values()) >= 5
    times = [tx.block_time for tx in transactions()]
    assert times == sorted(times)
    assert times[-1] <= default_market().now
    first, last = transactions()[0], transactions()[-1]
    assert abs((last.block_time - first.block_time) - 0.4 * (last.slot - first.slot)) <= 1


def test_signatures_are_64_bytes_and_used_once() -> None:
    signatures = [signature for tx in transactions() for signature in tx.signatures]
    assert len(set(signatures)) == len(signatures)
    for signature in signatures[:500]:
        assert str(Signature.from_string(signature)) == signature
    assert all(len(tx.signatures) == tx.header[0] for tx in transactions())


def test_all_versions_are_mixed_and_formed_as_theirs() -> None:
    seen: Counter[object] = Counter()
    for tx in transactions():
        seen[tx.version] += 1
        message = tx.rpc("json")["transaction"]["message"]
        assert ("transactionConfig" in message) == (tx.version == 1)
        assert ("addressTableLookups" in message) == (tx.version == 0)
        if tx.version == 1:
            assert message["transactionConfig"]["priorityFee"] == tx.fee - 5_000 * len(tx.signatures)
            assert not any(i.program.startswith("ComputeBudget") for i in tx.instructions)
        if tx.version != 0:
            assert tx.static_keys == len(tx.accounts) <= 64
    assert all(seen[version] > 0.15 * len(transactions()) for version in ("legacy", 0, 1))
    loaded = [tx for tx in transactions() if tx.static_keys < len(tx.accounts)]
    assert len(loaded) > 1_000
    for tx in loaded[:200]:
        result = tx.rpc("json")
        (table,) = result["transaction"]["message"]["addressTableLookups"]
        addresses = result["meta"]["loadedAddresses"]
        assert len(table["writableIndexes"]) == len(addresses["writable"])
        assert len(table["readonlyIndexes"]) == len(addresses["readonly"])


def test_both_encodings_name_the_same_keys_and_balances() -> None:
    for tx in small_market().transactions:
        plain, parsed = tx.rpc("json"), tx.rpc("jsonParsed")
        keys = parsed["transaction"]["message"]["accountKeys"]
        loaded = plain["meta"].pop("loadedAddresses")
        static = plain["transaction"]["message"]["accountKeys"]
        assert [key["pubkey"] for key in keys] == static + loaded["writable"] + loaded["readonly"]
        assert [key["pubkey"] for key in keys] == list(tx.accounts)
        signers = [key["pubkey"] for key in keys if key["signer"]]
        header = plain["transaction"]["message"]["header"]
        assert signers == static[: header["numRequiredSignatures"]]
        touched = [k for k, a, b in zip(keys, tx.balances_before, tx.balances_after, strict=True) if a != b]
        assert all(key["writable"] for key in touched)
        for key in ("innerInstructions", "logMessages"):
            plain["meta"].pop(key)
            parsed["meta"].pop(key)
        assert plain["meta"] == parsed["meta"]


def test_every_form_is_json() -> None:
    for tx in small_market().transactions[:300]:
        for form in (tx.rpc("json"), tx.rpc("jsonParsed"), tx.enhanced()):
            assert json.loads(json.dumps(form, allow_nan=False)) == form


def test_transactions_have_the_keys_of_captured_ones() -> None:
    captured: dict[tuple[str, bool], list[dict[str, Any]]] = defaultdict(list)
    for file in (shared_data() / "transactions").glob("*.json"):
        result = json.loads(file.read_text())
        if isinstance(result, dict):
            parsed = isinstance(result["transaction"]["message"]["accountKeys"][0], dict)
            captured[str(result["version"]), parsed].append(result)
    compared = set()
    for tx in small_market().transactions:
        for encoding, parsed in (("json", False), ("jsonParsed", True)):
            ours = tx.rpc("jsonParsed" if encoding == "jsonParsed" else "json")
            for theirs in captured[str(tx.version), parsed]:
                if "returnData" in theirs["meta"] or "costUnits" not in theirs["meta"]:
                    continue
                if "addressTableLookups" not in theirs["transaction"]["message"] and tx.version == 0:
                    continue
                assert ours.keys() | {"transactionIndex"} == theirs.keys() | {"transactionIndex"}
                assert ours["meta"].keys() == theirs["meta"].keys()
                assert ours["transaction"].keys() == theirs["transaction"].keys()
                assert ours["transaction"]["message"].keys() == theirs["transaction"]["message"].keys()
                compared.add((str(tx.version), parsed))
                for mine in ours["meta"]["postTokenBalances"][:1]:
                    for other in theirs["meta"]["postTokenBalances"][:1]:
                        assert mine.keys() == other.keys()
                        assert mine["uiTokenAmount"].keys() == other["uiTokenAmount"].keys()
    assert {("legacy", False), ("0", False), ("1", False), ("0", True)} <= compared


def test_enhanced_items_have_the_keys_of_captured_ones() -> None:
    page = json.loads((shared_data() / "providers" / "helius_enhanced_page_50.json").read_text())["data"]
    changes = [c for item in page for data in item["accountData"] for c in data["tokenBalanceChanges"]]
    transfers = [transfer for item in page for transfer in item["tokenTransfers"]]
    for tx in small_market().transactions[:400]:
        ours = tx.enhanced()
        assert ours.keys() == page[0].keys()
        assert ours["accountData"][0].keys() == page[0]["accountData"][0].keys()
        for data in ours["accountData"]:
            for change in data["tokenBalanceChanges"]:
                assert change.keys() == changes[0].keys()
        for transfer in ours["tokenTransfers"]:
            assert transfer.keys() == transfers[0].keys()
        assert sum(data["nativeBalanceChange"] for data in ours["accountData"]) == -tx.fee


def test_deposits_for_accounts_follow_the_rate_of_their_date() -> None:
    step = default_market().now - 36 * 3600
    rates = ((step, 2575), (1_790_121_600, 5080), (1_788_393_600, 6333), (0, 6960))
    made: dict[int, set[int]] = defaultdict(set)
    for tx in transactions():
        rate = next(rate for since, rate in rates if tx.block_time >= since)
        for balance in tx.token_balances:
            if balance.before is None and balance.mint != WSOL and tx.err is None:
                made[rate].add(tx.balances_after[balance.account_index])
    assert made.keys() == {rate for _, rate in rates}
    for rate, deposits in made.items():
        assert 293 * rate in deposits
        assert deposits <= {298 * rate, 293 * rate, 310 * rate}


def test_version_1_does_not_exist_before_its_first_slot() -> None:
    earlier = [tx.version for tx in transactions() if tx.slot < 447_120_000]
    assert len(earlier) > 500
    assert set(earlier) == {"legacy", 0}


def test_the_oddities_of_a_real_chain_are_there() -> None:
    found: Counter[str] = Counter()
    wallets = {w["address"]: w["kind"] for w in default_market().truth["wallets"]}
    for tx in transactions():
        keys = set(tx.accounts)
        found["known tip"] += not KNOWN_TIPS.isdisjoint(keys)
        found["sponsored"] += wallets.get(tx.accounts[0]) == "sponsor"
        opened = {i.accounts[0] for i in calls(tx) if i.data[:1] == b"\x12" and i.program in TOKEN_PROGRAMS}
        closed = {i.accounts[0] for i in calls(tx) if i.data == b"\x09" and i.program in TOKEN_PROGRAMS}
        listed = {tx.accounts[b.account_index] for b in tx.token_balances}
        found["temporary WSOL"] += bool((opened & closed) - listed) and tx.err is None
        found["closed account"] += bool(closed - opened)
        found["order"] += LIMIT_ORDERS in keys
        found["DCA"] += DCA in keys
        found["router's authority"] += "HV1KXxWFaSeriyFvXyx48FqG9BoFbfinB8njCJonqP7K" in keys
        found["two buyers at once"] += [wallets.get(k) for k in tx.accounts[:2]] == ["bundler", "bundler"]
        found["Token-2022"] += "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb" in keys
        found["plain transfer"] += not tx.token_balances
    for oddity, least in {
        "known tip": 300, "sponsored": 100, "temporary WSOL": 2_000, "closed account": 500, "order": 50, "DCA": 50,
        "router's authority": 100, "two buyers at once": 5, "Token-2022": 500, "plain transfer": 200,
    }.items():  # fmt: skip
        assert found[oddity] >= least, (oddity, found)
