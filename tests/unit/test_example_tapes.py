"""The example tapes: made up, the same every time, and with every kind of wallet that a discovery tells apart."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from walltrack.discovery.errors import WallTrackError
from walltrack.services.files import read_tapes, write_example_tapes

EARLY_SECONDS = 30 * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "example-tapes"
    write_example_tapes(folder)
    return folder


def wallets(folder: Path) -> pl.DataFrame:
    """One row per token and wallet: first buy (seconds after launch), SOL and tokens in and out."""
    buy, sell = pl.col("kind") == "buy", pl.col("kind") == "sell"
    frames = [
        tape.events.with_columns(mint=pl.lit(mint), after=pl.col("block_time") - tape.launch_time)
        for mint, tape in read_tapes(folder).tapes.items()
    ]
    return (
        pl.concat(frames)
        .group_by("mint", "wallet")
        .agg(
            pl.col("after").filter(buy).min(),
            pl.col("quote_raw").filter(buy).sum().alias("paid"),
            pl.col("quote_raw").filter(sell).sum().alias("received"),
            pl.col("token_raw").filter(buy).sum().alias("bought"),
            pl.col("token_raw").filter(sell).sum().alias("sold"),
        )
    )


def test_six_tokens_of_150_wallets_are_read_without_a_warning(folder: Path) -> None:
    result = read_tapes(folder)
    assert result.warnings == []
    assert len(result.tapes) == 6
    assert [tape.events["wallet"].n_unique() for tape in result.tapes.values()] == [150] * 6
    assert {Path(name).suffix for name in result.files} == {".csv", ".parquet"}


def test_the_files_say_that_they_are_examples(folder: Path) -> None:
    assert all(path.name.startswith("example-") for path in folder.iterdir())
    for tape in read_tapes(folder).tapes.values():
        assert tape.events["venue"].unique().to_list() == ["example"]


def test_the_same_bytes_come_out_and_equal_files_are_left_alone(folder: Path, tmp_path: Path) -> None:
    paths = write_example_tapes(tmp_path)
    assert paths == sorted(tmp_path.iterdir())
    assert [p.read_bytes() for p in paths] == [(folder / p.name).read_bytes() for p in paths]
    before = [path.stat().st_ino for path in paths]
    paths[1].write_text("changed")
    assert write_example_tapes(tmp_path) == paths
    after = [path.stat().st_ino for path in paths]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]
    assert paths[1].read_bytes() == (folder / paths[1].name).read_bytes()


def test_every_kind_of_wallet_is_in_every_token(folder: Path) -> None:
    found = wallets(folder)
    assert (found["sold"] <= found["bought"]).all()
    early = pl.col("after") <= EARLY_SECONDS
    gain = pl.col("received") * pl.col("bought") > 1.5 * pl.col("paid") * pl.col("sold")
    kinds = {
        "snipers of the launch second": pl.col("after") == 0,
        "early with profit": early & (pl.col("after") > 0) & (pl.col("sold") > 0) & gain,
        "early with loss": early & (pl.col("sold") > 0) & (pl.col("received") < pl.col("paid")),
        "early and holding": early & (pl.col("sold") == 0),
        "late": ~early,
    }
    for kind, is_kind in kinds.items():
        tokens = found.filter(is_kind)["mint"].n_unique()
        assert tokens == 6, kind


def test_some_wallets_profit_on_more_than_one_token(folder: Path) -> None:
    early = wallets(folder).filter((pl.col("after") > 0) & (pl.col("after") <= EARLY_SECONDS))
    profitable = early.filter(pl.col("received") > 1.5 * pl.col("paid"))
    assert profitable.filter(pl.col("wallet").is_duplicated())["wallet"].n_unique() >= 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WallTrackError, match=r"file/example-.*cannot be written: Not a directory"):
        write_example_tapes(tmp_path / "file")
