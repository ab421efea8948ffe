"""Rows of one or many files, put together into one tape for each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from walltrack.discovery.tape import TAPE_SCHEMA, WSOL, Tape
from walltrack.services.files.columns import MAX_TOKEN_RAW
from walltrack.services.files.parquet_rows import TapeNote
from walltrack.services.files.refusals import MAX_EXAMPLES, Refusals, counted, printable
from walltrack.services.files.values import base_units, fits

_TRADE: Final = pl.col("side").is_in(["buy", "sell"])
_DUPLICATE_KEY: Final = (
    "mint",
    "signature",
    "wallet",
    "side",
    "token_whole",
    "token_fraction",
    "lamports",
)


class Merge:
    """Puts checked rows in order, and tells what it did.

    `rows` are those of `checked_rows` with `file` (its index in `files`) and `mint` (its index in `mints`), in the
    order in which they stand in the files. `duplicates` counts the rows that were given twice; `warnings` are
    sentences, by file.
    """

    def __init__(
        self, rows: pl.DataFrame, files: Sequence[str], mints: Sequence[str], refusals: Refusals
    ) -> None:
        self._rows = rows
        self._files = files
        self._mints = mints
        self._refusals = refusals
        self.duplicates = 0
        self.warnings: dict[str, list[str]] = {file: [] for file in files}

    def tapes(self, notes: Mapping[str, Sequence[TapeNote]]) -> dict[str, Tape]:
        """One tape for each mint, in the order in which the files name them. `notes`, by mint: see `TapeNote`."""
        self._refuse_other_launch_times()
        self._refuse_missing_slots()
        self._drop_duplicates()
        self._refuse_amounts_that_do_not_fit()
        self._refuse_contradictions()
        self._put_in_order()
        return self._cut_into_tapes(notes)

    def _refuse_other_launch_times(self) -> None:
        given = pl.col("launch_time").drop_nulls().first().over("mint")
        self._rows = self._rows.with_columns(given.alias("launch"))
        self._refuse(
            pl.col("launch_time") != pl.col("launch"),
            "launch_time",
            "differs from the launch_time that an earlier row gives for this token",
            lambda row: (
                f"{row['launch_time']} differs from {row['launch']}, the launch_time that an earlier row gives "
                "for this token"
            ),
        )

    def _refuse_missing_slots(self) -> None:
        if self._rows["slot"].null_count() == self._rows.height:
            return
        self._refuse(
            pl.col("slot").is_null() & pl.col("slot").is_not_null().any().over("mint"),
            "slot",
            "an empty field, while other rows of this token have a slot",
        )

    def _drop_duplicates(self) -> None:
        rows = self._rows.with_row_index("place")
        # Few signatures stand there twice: only their rows are compared in full.
        signed = rows.filter(pl.col("signature").is_not_null()).filter(pl.col("signature").is_duplicated())
        kept = signed.unique(subset=_DUPLICATE_KEY, keep="first", maintain_order=True)
        if kept.height == signed.height:
            return
        twice = signed.join(kept.select("place"), on="place", how="anti").sort("place")
        self.duplicates = twice.height
        for file, first, count in self._by_file(twice):
            self.warnings[file].append(
                f"{file}: {counted(count, 'row')} given twice (same signature, wallet, side and amounts) and "
                f"counted once, first: row {first}"
            )
        self._rows = rows.join(twice.select("place"), on="place", how="anti", maintain_order="left").drop(
            "place"
        )

    def _refuse_amounts_that_do_not_fit(self) -> None:
        # The decimals as they are written are those of the mint, mostly; in a column that writes 18 of them for
        # every token they are not, and amounts then fit without the trailing zeros alone.
        whole, fraction = pl.col("token_whole"), pl.col("token_fraction")
        written = pl.col("token_written").max().over("mint")
        significant = pl.col("token_significant").max().over("mint")
        self._rows = (
            self._rows.with_columns(written.alias("decimals"))
            .with_columns(fits(whole, fraction, pl.col("decimals")).all().over("mint").alias("all_fit"))
            .with_columns(pl.when("all_fit").then("decimals").otherwise(significant).alias("decimals"))
        )
        self._refuse(
            ~fits(whole, fraction, pl.col("decimals")),
            "token_amount",
            "is too large at the decimals of this token's other amounts",
            lambda row: (
                f"{row['token_whole']}.{row['token_fraction']:018} is more than {MAX_TOKEN_RAW} base units at "
                f"{row['decimals']} decimals, which another amount of this token has"
            ),
        )

    def _refuse_contradictions(self) -> None:
        # Without slots, seq counts over the token within its file; with slots, over the slot in every file.
        rows = self._rows.with_row_index("place").with_columns(
            pl.when(pl.col("slot").is_null()).then("file").alias("seq_file")
        )
        group = ["mint", "seq_file", "slot"]
        latest = (
            rows.sort([*group, "seq", "block_time", "place"])
            .select("place", pl.col("block_time").cum_max().over(group).alias("latest"))
            .sort("place")["latest"]
        )
        self._rows = self._rows.with_columns(latest)
        self._refuse(
            pl.col("block_time") < pl.col("latest"),
            "seq",
            "comes after a row of this token that has a later block_time",
            lambda row: (
                f"{row['seq']} at block_time {row['block_time']} comes after a lower seq of this token "
                f"at {row['latest']}"
            ),
        )

    def _put_in_order(self) -> None:
        no_slot = pl.col("slot").is_null()
        given = self._rows.with_row_index("place")
        ordered = given.sort(
            "mint",
            "slot",
            "block_time",
            pl.when(no_slot).then("file").otherwise("seq"),
            pl.when(no_slot).then("seq").otherwise("file"),
            "place",
        )
        moved = (
            ordered.select("place", "file", "mint", "row")
            .with_row_index("rank")
            .sort("place")
            .filter(pl.col("rank") < pl.col("rank").cum_max().over("file", "mint"))
        )
        for file, first, count in self._by_file(moved):
            self.warnings[file].append(
                f"{file}: {counted(count, 'row')} stood after a later row of the same token and were put in "
                f"order, first: row {first}"
            )
        # Each file counts seq from 1: the rows of several files get numbers that agree with their order.
        several = (pl.col("file").n_unique() > 1).over("mint") & no_slot
        renumbered = pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).over("mint")
        self._rows = ordered.with_columns(
            pl.when(several).then(renumbered).otherwise("seq").alias("tx_index")
        )

    def _cut_into_tapes(self, notes: Mapping[str, Sequence[TapeNote]]) -> dict[str, Tape]:
        rows = self._rows
        amount = base_units(pl.col("token_whole"), pl.col("token_fraction"), pl.col("decimals"))
        events = rows.select(
            "slot",
            "tx_index",
            "block_time",
            "signature",
            "wallet",
            pl.col("side").alias("kind"),
            amount.alias("token_raw"),
            pl.when(_TRADE).then(pl.lit(WSOL)).alias("quote_mint"),
            pl.when(pl.col("side") == "buy")
            .then(-pl.col("lamports"))
            .otherwise("lamports")
            .alias("quote_raw"),
            pl.lit(0).alias("fee_lamports"),
            pl.lit(None).alias("counterparty"),
            "venue",
            pl.lit(0).alias("flags"),
        ).cast(TAPE_SCHEMA)
        first_trade = pl.when(_TRADE.any()).then(pl.col("block_time").filter(_TRADE).first())
        tokens = rows.group_by("mint", maintain_order=True).agg(
            pl.len(),
            pl.col("decimals").first(),
            pl.col("launch").first(),
            first_trade.otherwise(pl.col("block_time").first()).alias("first_time"),
            pl.col("slot").filter(_TRADE).first().alias("first_slot"),
            (_TRADE & (pl.col("block_time") < pl.col("launch"))).sum().alias("before_launch"),
            pl.col("file").first(),
        )
        tapes: dict[str, Tape] = {}
        start = 0
        for token in tokens.iter_rows(named=True):
            mint = self._mints[token["mint"]]
            launch = token["first_time"] if token["launch"] is None else token["launch"]
            told = notes.get(mint, ())
            slots = [n.launch_slot for n in told if n.launch_slot is not None]
            if launch == token["first_time"]:
                slots.append(token["first_slot"])
            tapes[mint] = Tape(
                mint=mint,
                decimals=token["decimals"],
                launch_time=launch,
                launch_slot=slots[0] if slots else None,
                events=events.slice(start, token["len"]),
                starts_late=any(n.starts_late for n in told),
                cut=next((printable(n.cut) for n in told if n.cut is not None), None),
            )
            start += token["len"]
            if token["before_launch"]:
                file = self._files[token["file"]]
                self.warnings[file].append(
                    f"{file}: {counted(token['before_launch'], 'trade')} of {mint} before its launch_time {launch}"
                )
        return tapes

    def _refuse(
        self,
        broken: pl.Expr,
        field: str,
        rule: str,
        problem: Callable[[dict[str, object]], str] | None = None,
    ) -> None:
        """Move the rows that break a rule to the refusals. `problem` says it of one row, else the rule does."""
        bad = self._rows.filter(broken.fill_null(False))
        if bad.is_empty():
            return
        self._rows = self._rows.filter(~broken.fill_null(False))
        for (index,), rows in bad.group_by("file", maintain_order=True):
            examples = [
                (row["row"], problem(row) if problem else rule)
                for row in rows.sort("row").head(MAX_EXAMPLES).iter_rows(named=True)
            ]
            self._refusals.add(self._files[int(str(index))], field, rule, rows.height, examples)

    def _by_file(self, rows: pl.DataFrame) -> list[tuple[str, int, int]]:
        """(file, first row, rows) of each file."""
        found = rows.group_by("file").agg(pl.col("row").min().alias("first"), pl.len()).sort("file")
        return [(self._files[file], first, count) for file, first, count in found.iter_rows()]
