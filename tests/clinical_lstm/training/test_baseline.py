from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Directory, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.training.baseline import baseline, thresholds_of

ELAPSED = {"name": "elapsed_time", "knots": 4}
SETTINGS = {"weighting": "uniform", "calibration": "platt", "threshold": "youden", "seed": 1}


@pytest.fixture(scope="module")
def cohort(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """A copy: a baseline is stored in its cohort."""
    return Cohort(shutil.copytree(tiny_cohort.path, tmp_path_factory.mktemp("baseline") / "tiny"))


@pytest.fixture(scope="module")
def made(cohort: Cohort) -> Directory:
    return baseline(cohort, ELAPSED, **SETTINGS)


def test_predictions_are_those_a_run_makes_but_for_the_risks(made: Directory, cohort: Cohort) -> None:
    table = schemas.check(schemas.Predictions, made.table("predictions.parquet"), "predictions")
    stays = cohort.table("stays.parquet")
    judged = stays.filter(pl.col("split") != "train")["stay_id"]
    expected = cohort.table("labels").filter(pl.col("stay_id").is_in(judged.to_list()))
    same = ["stay_id", "hours", "complication", "horizon_hours", "label", "at_risk", "after_onset"]
    assert table.select(same).equals(expected.select(same))
    assert set(table["split"].cast(pl.String)) == {"val", "calib", "test"}


def test_elapsed_time_knows_the_hour_and_nothing_else(made: Directory) -> None:
    table = made.table("predictions.parquet")
    assert table.group_by("hours").agg(pl.col("risk").n_unique())["risk"].max() == 1
    assert table["risk"].n_unique() > 20


def test_it_is_made_once_per_settings(made: Directory, cohort: Cohort) -> None:
    before = (made.path / "predictions.parquet").stat().st_mtime_ns
    again = baseline(cohort, ELAPSED, **SETTINGS)
    assert again.path == made.path
    assert (made.path / "predictions.parquet").stat().st_mtime_ns == before
    other = baseline(cohort, ELAPSED, **{**SETTINGS, "threshold": "cinc2019"})
    assert other.path != made.path
    assert thresholds_of(other.path) != thresholds_of(made.path)


def test_a_damaged_baseline_is_made_again(made: Directory, cohort: Cohort) -> None:
    content = (made.path / "predictions.parquet").read_bytes()
    (made.path / "predictions.parquet").write_bytes(b"x")
    baseline(cohort, ELAPSED, **SETTINGS)
    assert (made.path / "predictions.parquet").read_bytes() == content


def test_the_cohort_stays_whole(made: Directory, cohort: Cohort) -> None:
    assert made.path.parent == cohort.path / "baselines"
    cohort.verify()


def test_thresholds_are_by_target(made: Directory) -> None:
    found = thresholds_of(made.path)
    assert list(found) == [("sepsis_label", 6.0)]
    assert 0 < found["sepsis_label", 6.0] < 1


def test_labels_of_test_do_not_matter(made: Directory, cohort: Cohort, tmp_path: Path) -> None:
    other = Cohort(shutil.copytree(cohort.path, tmp_path / "other", ignore=shutil.ignore_patterns("baselines")))
    test = cohort.table("stays.parquet").filter(pl.col("split") == "test")["stay_id"].to_list()
    turned = pl.when(pl.col("stay_id").is_in(test)).then(1 - pl.col("label")).otherwise(pl.col("label")).cast(pl.Int8)
    for shard in other.files("labels"):
        write_table(other.path / shard, pl.read_parquet(other.path / shard).with_columns(turned.alias("label")))
    other.mark("prepare", "other", list((other.marker("prepare") or {})["outputs"]))
    found = baseline(other, ELAPSED, **SETTINGS)
    assert found.table("predictions.parquet")["risk"].equals(made.table("predictions.parquet")["risk"])
    assert thresholds_of(found.path) == thresholds_of(made.path)


def test_a_fitted_baseline_knows_more_than_the_hour(cohort: Cohort) -> None:
    fitted = baseline(cohort, {"name": "logistic_regression", "strengths": [0.001]}, **SETTINGS)
    table = fitted.table("predictions.parquet").filter(pl.col("at_risk"))
    assert table.group_by("hours").agg(pl.col("risk").n_unique())["risk"].mean() > 10
    assert auroc(table["label"].to_numpy(), table["risk"].to_numpy()) > 0.6


def test_an_unknown_baseline_is_refused(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="elapsed_time"):
        baseline(cohort, {"name": "elapsed_tim"}, **SETTINGS)
