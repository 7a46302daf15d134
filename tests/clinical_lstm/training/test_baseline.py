"""A baseline writes the table of a run: its rows, its calibration, its thresholds; made once, by its settings alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clinical_lstm import plugins, schemas
from clinical_lstm.artifacts import Cohort, Directory, write_table
from clinical_lstm.baselines.base import BedsideScore
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.baseline import baseline, thresholds_of

ELAPSED = {"name": "elapsed_time", "knots": 4}
SETTINGS = {"weighting": "uniform", "calibration": "platt", "threshold": "youden", "seed": 1}
SCORES = [name for name in plugins.names("baselines") if issubclass(plugins.load("baselines", name), BedsideScore)]
SHARES = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}


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


def test_without_the_observation_process_less_is_known(cohort: Cohort) -> None:
    found = {}
    for process in (True, False):
        spec = {"name": "logistic_regression", "strengths": [0.001], "observation_process": process}
        table = baseline(cohort, spec, **SETTINGS).table("predictions.parquet").filter("at_risk")
        found[process] = auroc(table["label"].to_numpy(), table["risk"].to_numpy())
    assert 0.55 < found[False] < found[True], "who is measured often is ill"


# --- bedside scores ---------------------------------------------------------------------------------------------------


def hourly(cohort: Cohort, name: str, **options: int) -> pl.DataFrame:
    """Return the score of every whole hour, by the function of `clinical_lstm.scores` alone: stay_id, hours, score."""
    score = plugins.load("scores", name)
    table = score(cohort.table("stays.parquet"), cohort.table("observations"), **options)
    return table.select("stay_id", "hours", pl.col(name).alias("score"))


def predictions(cohort: Cohort, name: str, **more: str | int) -> pl.DataFrame:
    return baseline(cohort, {"name": name}, **SETTINGS | more).table("predictions.parquet")


@pytest.mark.parametrize("name", SCORES)
def test_a_score_ranks_as_its_own_table(name: str, cohort: Cohort) -> None:
    found = predictions(cohort, name).join(hourly(cohort, name), on=["stay_id", "hours"], maintain_order="left")
    assert found.height == predictions(cohort, name).height > 2000
    cells = found.group_by("score").agg(pl.col("risk").unique()).sort("score")
    assert (cells["risk"].list.len() == 1).all(), "one score is one risk"
    assert (cells["risk"].list.first().diff().drop_nulls() > 0).all(), "more points are more risk"
    assert cells.height > 2
    judged = found.filter("at_risk")
    label = judged["label"].to_numpy()
    assert auroc(label, judged["risk"].to_numpy()) == auroc(label, judged["score"].to_numpy())


def test_options_reach_the_score(cohort: Cohort) -> None:
    made = baseline(cohort, {"name": "news2", "carry_hours": 1}, **SETTINGS).table("predictions.parquet")
    short, usual = (hourly(cohort, "news2", **given) for given in ({"carry_hours": 1}, {}))
    for table, same in ((short, True), (usual, False)):
        joined = made.join(table, on=["stay_id", "hours"])
        assert (joined.group_by("score").agg(pl.col("risk").n_unique())["risk"].max() == 1) == same


@pytest.mark.parametrize("name", SCORES)
def test_a_score_is_the_same_bits_again_and_needs_no_seed(name: str, cohort: Cohort) -> None:
    made = baseline(cohort, {"name": name}, **SETTINGS)
    content = (made.path / "predictions.parquet").read_bytes()
    shutil.rmtree(made.path)
    assert (baseline(cohort, {"name": name}, **SETTINGS).path / "predictions.parquet").read_bytes() == content
    assert predictions(cohort, name, seed=2).equals(predictions(cohort, name))


@pytest.mark.parametrize("kind", ["temperature", "identity"])
def test_no_points_are_no_risk_of_one_half(kind: str, cohort: Cohort) -> None:
    table = predictions(cohort, "news2", calibration=kind)
    assert table["risk"].equals(predictions(cohort, "news2", calibration="platt")["risk"])
    assert table["risk"].mean() < 0.2
    clock = baseline(cohort, ELAPSED, **SETTINGS | {"calibration": kind}).table("predictions.parquet")
    other = baseline(cohort, ELAPSED, **SETTINGS).table("predictions.parquet")
    assert not clock["risk"].equals(other["risk"]), "what learns is calibrated as it is told"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Cohort]:
    """Return what makes a cohort of 80 synthetic stays in three shards, with the given variables and task."""

    def made(variables: list[str], **task: float | None) -> Cohort:
        source = Synthetic(
            stays=80, mean_hours=20, variables=variables, effects={}, onset_per_hour=0.02, shard_stays=30
        )
        path = tmp_path_factory.mktemp("drawn") / "cohort"
        return prepare(source, Task("t", ["planted"], [6.0], **task), SHARES, path, "", {}, say=lambda line: None)

    return made


TASKS = [{"step_hours": 0.25}, {"step_hours": None}, {"step_hours": 1.5}, {"lookback_hours": 3.0}]


@pytest.mark.parametrize("task", TASKS)
def test_between_the_hours_the_last_whole_hour_counts(task: dict[str, float | None], drawn: Callable) -> None:
    cohort = drawn(["respiratory_rate", "sbp", "heart_rate"], **task)
    length = dict(cohort.table("stays.parquet").select("stay_id", "length_hours").rows())
    score = {row[:2]: row[2] for row in hourly(cohort, "news2").rows()}
    risks: dict[int, set[float]] = {}
    early = 0
    for stay, hours, risk in predictions(cohort, "news2").select("stay_id", "hours", "risk").rows():
        hour = float(min(np.floor(hours + 1e-6), np.floor(length[stay])))
        early += hour < 1
        risks.setdefault(score.get((stay, hour), 0), set()).add(risk)
    assert all(len(found) == 1 for found in risks.values())
    assert len({min(found) for found in risks.values()}) == len(risks) > 4
    assert (early > 0) == (task.get("step_hours", 1) in (0.25, None)), "rows before the first whole hour"


def test_a_component_that_is_not_measured_counts_nothing(drawn: Callable) -> None:
    cohort = drawn(["map"])
    found = predictions(cohort, "sofa").join(hourly(cohort, "sofa"), on=["stay_id", "hours"])
    assert set(found["score"]) == {0, 1}
    assert found.group_by("score").agg(pl.col("risk").n_unique())["risk"].to_list() == [1, 1]


def test_a_cohort_that_measures_nothing_of_a_score_is_refused(drawn: Callable) -> None:
    cohort = drawn(["lactate", "pao2"])
    message = r"none of the \d+ steps of the \d+ stays of cohort .* has a qsofa: it reads respiratory_rate, sbp, .*gcs"
    with pytest.raises(InputError, match=message):
        baseline(cohort, {"name": "qsofa"}, **SETTINGS)
    with pytest.raises(InputError, match=r"sofa: it reads pao2, fio2.*nothing of that can be scored; leave it out"):
        baseline(cohort, {"name": "sofa"}, **SETTINGS)
    assert not (cohort.path / "baselines").exists()
