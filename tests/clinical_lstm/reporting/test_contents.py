"""Reading a run: what is missing or broken is named, with the command that makes it."""

from __future__ import annotations

import shutil
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
        ("gaps.parquet", "evaluate run=sepsis_lstm"),
        ("summary.json", "evaluate run=sepsis_lstm"),
        ("predictions.parquet", "evaluate run=sepsis_lstm"),
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


def test_reads_the_summaries_that_there_are(run: Run, judged_run: Run, tmp_path: Path) -> None:
    old, new = read(run).explanations, read(judged_run).explanations
    assert old is not None and new is not None
    assert set(vars(old.summaries).values()) == {None}
    assert all(table.height for table in vars(new.summaries).values())
    broken = Run(tmp_path / "broken")
    shutil.copytree(judged_run.path, broken.path)
    drivers = judged_run.table("drivers.parquet").with_columns(n_patients=pl.lit(0, pl.Int64))
    write_table(broken.path / "drivers.parquet", drivers)
    with pytest.raises(InputError, match=r"n_patients\|min.*make it with: clinical-lstm explain run=broken"):
        read(broken)


def test_reads_what_was_judged_and_what_another_place_says(run: Run, judged_run: Run) -> None:
    without, judged = read(run), read(judged_run)
    assert (without.transport, without.recalibration, without.shift, without.alarms) == (None, None, None, [])
    assert set(judged.summary) == set(judged.targets)
    assert judged.recalibration is not None and judged.shift is not None and judged.transport is not None
    assert [one["silence_hours"] for one in judged.alarms] == [4.0, 4.0]


@pytest.mark.parametrize(
    ("file", "rule"), [("recalibration.parquet", "patients|min"), ("domain_shift.parquet", "n_source|min")]
)
def test_refuses_a_broken_table_of_another_place(judged_run: Run, tmp_path: Path, file: str, rule: str) -> None:
    run = Run(tmp_path / "broken")
    shutil.copytree(judged_run.path, run.path)
    column = rule.split("|")[0]
    write_table(run.path / file, judged_run.table(file).with_columns(pl.lit(-1, pl.Int64).alias(column)))
    with pytest.raises(InputError, match=rf"{column}\|min.*make it with: clinical-lstm transport run=broken"):
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
