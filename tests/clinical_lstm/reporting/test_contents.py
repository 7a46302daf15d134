"""Reading a run: what is missing or broken is named, with the command that makes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.artifacts import Run, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.reporting.contents import read


def test_reads_the_shown_predictions_and_only_their_data(run: Run) -> None:
    contents = read(run)
    tables = contents.explanations
    assert tables is not None
    shown = set(tables.explained["stay_id"])
    assert len(shown) == 4
    assert "cohort_sample" not in set(tables.explained["reason"])
    assert set(tables.attributions["stay_id"]) == shown
    assert set(tables.predictions["stay_id"]) == shown
    assert contents.targets == [("sepsis", 6.0), ("sepsis", 12.0)]
    assert contents.threshold(("sepsis", 6.0)) == 0.08
    assert contents.threshold(("sepsis", 24.0)) is None


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("manifest.json", "train cohort="),
        ("curves.parquet", "evaluate run=sepsis_lstm"),
        ("predictions.parquet", "evaluate run=sepsis_lstm"),
        ("importance.parquet", "explain run=sepsis_lstm"),
        ("checks.json", "explain run=sepsis_lstm"),
        ("explained_stays.parquet", "explain run=sepsis_lstm"),
    ],
)
def test_names_the_command_that_makes_a_missing_file(
    build_run: Callable[..., Run], tmp_path: Path, file: str, command: str
) -> None:
    run = build_run(tmp_path, count=2)
    (run.path / file).unlink()
    with pytest.raises(InputError, match=rf"{file} is missing; make it with: clinical-lstm {command}"):
        read(run)


def test_refuses_a_table_that_breaks_its_contract(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, count=2)
    explained = run.table("explained.parquet").with_columns(gap=pl.lit(-0.5))
    write_table(run.path / "explained.parquet", explained)
    with pytest.raises(InputError, match=r"Explained: gap\|min \(2 rows\)"):
        read(run)
    write_table(run.path / "explained.parquet", explained.with_columns(gap=pl.lit(0.0)))
    write_table(run.path / "importance.parquet", run.table("importance.parquet").drop("mean_abs"))
    with pytest.raises(InputError, match="lacks mean_abs; make it with: clinical-lstm explain"):
        read(run)


def test_reads_predictions_in_shards(build_run: Callable[..., Run], run: Run, tmp_path: Path) -> None:
    sharded = build_run(tmp_path)
    whole = sharded.table("predictions.parquet")
    (sharded.path / "predictions.parquet").unlink()
    for index, part in enumerate(whole.partition_by("stay_id", maintain_order=True)):
        write_table(sharded.path / "predictions.parquet" / f"{index:03}.parquet", part)
    left, right = read(sharded).explanations, read(run).explanations
    assert left is not None
    assert right is not None
    assert left.predictions.equals(right.predictions)
