"""With a finite lookback the risk at t is a function of (t - lookback, t] alone. End to end, on every kind of grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm import explanation, plugins
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.baselines.features import row_matrix
from clinical_lstm.batch import Ragged
from clinical_lstm.data import tensors
from clinical_lstm.data.cleaning import clean
from clinical_lstm.data.labels import predicted
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.explanation import keys
from clinical_lstm.inference import Predictor
from clinical_lstm.lookback import sequences
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.prediction import predict
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.baseline import baseline
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train

LOOKBACK = 6.0
KEY = ["stay_id", "hours"]
EFFECTS = {"heart_rate": 2.0, "map": -2.0, "respiratory_rate": 1.5, "lactate": 2.0}
SHARES = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}
TASKS: dict[str, dict[str, Any]] = {
    "hourly": {},
    "event_times": {"step_hours": None},
    "every_4_h": {"every_hours": 4.0},
    "once": {"at_hours": 20.0, "censoring": False},  # a third of the stays is shorter
    "uneven": {"step_hours": 1.5, "every_hours": 3.0},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def silent(line: str) -> None:
    pass


class Trained(NamedTuple):
    """A run with a lookback, its cohort, and the stays it was trained on."""

    task: Task
    cohort: Cohort
    run: Run
    predictor: Predictor
    extract: Extract

    def risks(self, extract: Extract, lookback: float | None = LOOKBACK) -> pl.DataFrame:
        """Return one row per prediction time: stay_id, hours, risk."""
        predictor = replace(self.predictor, lookback_hours=lookback)
        return pl.concat([found for found, _ in predict(self.run, predictor, [extract])]).select(*KEY, "risk")

    def ragged(self, extract: Extract) -> Ragged:
        scaler = self.predictor.scaler
        observations, _ = clean(extract)
        return tensors.ragged(extract.stays, observations, scaler.variables, scaler.statics, self.task.step_hours)

    def matrix(self, extract: Extract, lookback: float | None = LOOKBACK) -> np.ndarray:
        """Return the rows that a baseline sees, in the order of `risks`."""
        ragged = self.ragged(extract)
        asked = predicted(self.task, ragged.hours)
        every = np.arange(len(ragged.lengths))
        found = row_matrix(sequences(ragged, lookback, asked), every, self.predictor.scaler, "window")
        return found[asked] if lookback is None else found


@pytest.fixture(scope="module")
def source() -> Synthetic:
    return Synthetic(stays=150, mean_hours=24.0, variables=list(EFFECTS), effects=EFFECTS, onset_per_hour=0.01)


@pytest.fixture(scope="module", params=list(TASKS))
def trained(request: pytest.FixtureRequest, source: Synthetic, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp(request.param)
    task = Task("t", ["planted"], [6.0], lookback_hours=LOOKBACK, **TASKS[request.param])
    cohort = prepare(source, task, SHARES, folder / "cohort", "", {}, say=silent)
    settings = TrainerSettings(epochs=1, batch_size=32, learning_rate=0.02)
    run = train(cohort, {"name": "lstm", "hidden": 8}, settings, 1, folder / "run", "key", say=silent)
    return Trained(task, cohort, run, Predictor.load(run), next(source.extracts()))


# --- what lies outside the window, and what inside --------------------------------------------------------------------


def chosen_times(found: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return one prediction time `t` of every stay."""
    shuffled = found.sample(fraction=1.0, shuffle=True, seed=seed)
    return shuffled.unique("stay_id", keep="first", maintain_order=True).select("stay_id", t="hours").sort("stay_id")


def changed(extract: Extract, times: pl.DataFrame, outside: bool) -> Extract:
    """Return the extract with everything outside (or inside) the windows of `times` altered, a part dropped and added.

    Rows are added exactly at both edges of the outside: at t - lookback, and just after t.
    """
    rows = extract.observations.join(times, on="stay_id", how="inner", maintain_order="left").with_row_index("row")
    inside = (pl.col("hours") > pl.col("t") - LOOKBACK) & (pl.col("hours") <= pl.col("t"))
    hit = inside.not_() if outside else inside
    altered = rows.filter(hit).with_columns(pl.col("value") * 1.07)
    parts = [rows.filter(hit.not_())]
    if outside:
        altered = altered.filter(pl.col("row") % 3 > 0)
        edges = [(pl.col("t") - LOOKBACK).clip(0), pl.col("t") + 1e-3]
        ends = times.join(extract.stays.select("stay_id", "length_hours"), on="stay_id", maintain_order="left")
        new = {"row": pl.lit(0, pl.UInt32), "variable": pl.lit("lactate"), "value": pl.lit(19.0)}
        added = [
            ends.with_columns(hours=edge, **new).filter(hit, pl.col("hours") <= pl.col("length_hours"))
            for edge in edges
        ]
        parts += [part.select(rows.columns) for part in added]
    observations = pl.concat([*parts, altered]).select(extract.observations.columns)
    stays = extract.stays.join(times, on="stay_id", how="semi", maintain_order="left")
    return extract._replace(stays=stays, observations=observations, episodes=extract.episodes.clear())


def at(found: pl.DataFrame, times: pl.DataFrame) -> pl.DataFrame:
    return times.join(found, left_on=["stay_id", "t"], right_on=KEY, how="left", maintain_order="left")


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_outside_the_window_does_not_change_a_bit(seed: int, trained: Trained) -> None:
    expected = trained.risks(trained.extract)
    times = chosen_times(expected, seed)
    other = changed(trained.extract, times, outside=True)
    assert other.observations.height != trained.extract.observations.height
    found = trained.risks(other)
    assert at(found, times)["risk"].null_count() == 0
    assert at(found, times).equals(at(expected, times))
    elsewhere = found.join(expected, on=KEY).join(times, left_on=KEY, right_on=["stay_id", "t"], how="anti")
    if elsewhere.height:
        assert (elsewhere["risk"] != elsewhere["risk_right"]).mean() > 0.9, "the change reached the model"


def test_without_a_lookback_it_would(trained: Trained) -> None:
    """The law has teeth: the same change is seen by the same model once it sees everything since admission."""
    expected = trained.risks(trained.extract, None)
    times = chosen_times(expected, 0).filter(pl.col("t") > LOOKBACK + 2)
    found = trained.risks(changed(trained.extract, times, outside=True), None)
    assert times.height > 40
    assert (at(found, times)["risk"] != at(expected, times)["risk"]).mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_inside_the_window_counts(seed: int, trained: Trained) -> None:
    expected = trained.risks(trained.extract)
    times = chosen_times(expected, seed)
    found = trained.risks(changed(trained.extract, times, outside=False))
    assert (at(found, times)["risk"] != at(expected, times)["risk"]).mean() > 0.9


def test_rows_of_the_baselines_obey_the_same(trained: Trained) -> None:
    expected = trained.risks(trained.extract)
    for outside in (True, False):
        times = chosen_times(expected, 3)
        other = changed(trained.extract, times, outside)
        rows = []
        for extract in (trained.extract._replace(stays=other.stays), other):
            places = trained.risks(extract).with_row_index("place")
            rows.append(trained.matrix(extract)[at(places, times)["place"].to_numpy()])
        same = [np.array_equal(one, two, equal_nan=True) for one, two in zip(*rows)]
        assert np.mean(same) == 1 if outside else np.mean(same) < 0.1


# --- long and short windows -------------------------------------------------------------------------------------------


def test_a_lookback_beyond_the_stay_is_everything_since_admission(trained: Trained) -> None:
    whole, long = trained.risks(trained.extract, None), trained.risks(trained.extract, 1000.0)
    assert whole.select(KEY).equals(long.select(KEY))
    assert np.allclose(whole["risk"], long["risk"], atol=1e-6, rtol=0)
    rows = trained.matrix(trained.extract, None), trained.matrix(trained.extract, 1000.0)
    assert np.array_equal(*rows, equal_nan=True)
    hours = trained.extract.stays.select("stay_id", end=pl.col("length_hours"))
    last = whole.join(hours, on="stay_id").filter(pl.col("hours") > pl.col("end") - 1)
    if trained.task.step_hours == 1.0 and trained.task.every_hours is None and trained.task.at_hours is None:
        assert last.height == len(hours)
        assert last.join(long, on=KEY)["risk"].equals(last["risk"]), "the last step has the shape of the stay"


def test_the_first_risks_of_a_stay_have_all_they_could_have(trained: Trained) -> None:
    """Only what is stamped at hour 0 may be missing, where the window begins with admission itself."""
    early = pl.col("hours") < LOOKBACK
    whole, short = (trained.risks(trained.extract, lookback).filter(early) for lookback in (None, LOOKBACK))
    assert whole.height > 100 or trained.task.at_hours
    assert np.allclose(whole["risk"], short["risk"], atol=1e-6, rtol=0)


def test_windows_of_few_and_of_many_stays_give_the_same_bits(trained: Trained) -> None:
    expected = trained.risks(trained.extract)
    stays = trained.extract.stays
    turned = trained.extract._replace(stays=stays.reverse())
    assert trained.risks(turned).sort(KEY).equals(expected.sort(KEY))
    for stay in stays["stay_id"].gather([0, 71, 149]):
        alone = trained.extract._replace(stays=stays.filter(pl.col("stay_id") == stay))
        assert trained.risks(alone).equals(expected.filter(pl.col("stay_id") == stay))


# --- a run knows its lookback -----------------------------------------------------------------------------------------


def test_a_run_remembers_its_lookback(trained: Trained) -> None:
    assert trained.predictor.lookback_hours == trained.run.json("manifest.json")["task"]["lookback_hours"] == LOOKBACK
    data, splits = training_data(trained.cohort, "uniform")
    learnt = data.seen.answered(np.arange(len(data.seen.lengths)))[2]
    assert np.array_equal(learnt, np.flatnonzero(data.label[:, 0] >= 0)), "it learns from windows"
    val = np.flatnonzero(splits == "val")
    asked = trained.cohort.array("asked.npy")
    risks = trained.predictor.risks(data.tensors, val, asked)
    row = np.repeat(np.isin(np.arange(len(splits)), val), data.tensors.lengths)
    assert np.array_equal(np.isfinite(risks[:, 0]), row & asked), "prediction times alone cost a window"
    every = trained.predictor.risks(data.tensors, val)
    assert np.array_equal(np.isfinite(every[:, 0]), row)
    assert np.array_equal(every[row & asked], risks[row & asked])


def test_an_explanation_stays_inside_the_window(trained: Trained) -> None:
    found = trained.risks(trained.extract)
    target = {"complication": "planted", "horizon_hours": 6.0, "reason": "typical"}
    latest = found.unique("stay_id", keep="last", maintain_order=True).head(12)
    chosen = latest.with_columns(pl.lit(value).alias(name) for name, value in target.items())
    ragged = trained.ragged(trained.extract)
    explained, attributions = explanation.explain(
        trained.predictor.model,
        ragged,
        trained.predictor.scaler,
        {stay: index for index, stay in enumerate(trained.extract.stays["stay_id"])},
        trained.predictor.targets,
        chosen.select(keys.CHOSEN),
        plugins.build("explainers", {"name": "integrated_gradients"}),
        lookback_hours=LOOKBACK,
    )
    assert explained["explained"].all() and explained.height == 12
    risk = trained.predictor.calibrators[0].apply(explained["logit"].to_numpy())
    assert np.allclose(risk, explained["risk"], atol=1e-5)
    age = attributions["hours"] - attributions["input_hours"]
    assert attributions.height > 50 and age.min() == 0 and age.max() < LOOKBACK
    total = attributions.group_by("stay_id").agg(pl.col("attribution").sum()).sort("stay_id")["attribution"]
    gap = total - (explained["logit"] - explained["baseline_logit"])
    assert gap.abs().max() < 0.011


# --- training ---------------------------------------------------------------------------------------------------------


def taught(cohort: Cohort, path: Path, settings: TrainerSettings, seed: int = 1, **more: Any) -> Run:
    spec = {"name": "lstm", "hidden": 8, "dropout": 0.0}
    return train(cohort, spec, settings, seed, path / "run", "key", say=silent, **more)


@pytest.mark.parametrize("trained", ["event_times", "once"], indirect=True)
def test_a_seed_fixes_a_training_and_an_interruption_leaves_no_trace(trained: Trained, tmp_path: Path) -> None:
    settings = TrainerSettings(epochs=3, batch_size=7, learning_rate=0.02)
    one, same, other = (taught(trained.cohort, tmp_path / f"{n}", settings, 1 + n // 2) for n in range(3))

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise RuntimeError("the power is out")

    with pytest.raises(RuntimeError):
        taught(trained.cohort, tmp_path / "resumed", settings, on_epoch=stop)
    resumed = taught(trained.cohort, tmp_path / "resumed", settings, resume=True)
    for name in ("weights.safetensors", "history.csv", "calibrator.json", "thresholds.json"):
        expected = (one.path / name).read_bytes()
        assert (same.path / name).read_bytes() == (resumed.path / name).read_bytes() == expected
    assert (other.path / "weights.safetensors").read_bytes() != (one.path / "weights.safetensors").read_bytes()


def history(run: Run) -> pl.DataFrame:
    return pl.read_csv(run.path / "history.csv")


def test_a_long_lookback_learns_what_none_learns(source: Synthetic, tmp_path: Path) -> None:
    """The same draws, weights and normalisation: losses differ only by the rounding of another shape."""
    runs = []
    for lookback in (None, 1000.0):
        every = {"censoring": False, "after_onset_hours": 100.0}  # every step has a label, so no stay is left out
        task = Task("t", ["planted"], [6.0], lookback_hours=lookback, **every)
        cohort = prepare(source, task, SHARES, tmp_path / f"{lookback}", "", {}, say=silent)
        settings = TrainerSettings(epochs=2, batch_size=16, learning_rate=0.01, weighting="class")
        runs.append(taught(cohort, tmp_path / f"run of {lookback}", settings))
    one, other = (history(run) for run in runs)
    assert np.allclose(one.to_numpy(), other.to_numpy(), rtol=1e-4)
    assert one["train_loss"][1] < one["train_loss"][0]


def test_baselines_are_fitted_to_windows(source: Synthetic, tmp_path: Path) -> None:
    tables: dict[float | None, pl.DataFrame] = {}
    for lookback in (None, LOOKBACK):
        task = Task("t", ["planted"], [6.0], lookback_hours=lookback, every_hours=2.0)
        cohort = prepare(source, task, SHARES, tmp_path / f"{lookback}", "", {}, say=silent)
        for name in ("elapsed_time", "logistic_regression"):
            made = baseline(cohort, {"name": name}, "uniform", "platt", "youden", 1)
            tables[lookback] = made.table("predictions.parquet")
            assert tables[lookback]["risk"].is_finite().all()
            if name == "elapsed_time":
                clock = tables.setdefault(-1.0, tables[lookback])
                assert tables[lookback].equals(clock), "the clock needs no window"
    whole, windows = tables[None], tables[LOOKBACK]
    assert whole.select(KEY).equals(windows.select(KEY))
    assert (whole["risk"] != windows["risk"]).mean() > 0.9


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float | None], float]:
    folder = tmp_path_factory.mktemp("signal")
    source = Synthetic(
        stays=1500,
        mean_hours=24.0,
        rate_per_hour=2.0,
        variables=list(EFFECTS),
        effects=EFFECTS,
        missing={"vital": 0.1, "lab": 0.3},
        lead_hours=12,
        horizon_hours=12,
        onset_per_hour=0.002,
    )

    def area(lookback: float | None) -> float:
        task = Task("t", ["planted"], [12.0], lookback_hours=lookback)
        cohort = prepare(source, task, SHARES, folder / f"{lookback}", "", {}, say=silent)
        run = taught(
            cohort, folder / f"run of {lookback}", TrainerSettings(epochs=10, learning_rate=0.01, batch_size=32)
        )
        data, splits = training_data(cohort, "uniform")
        found = Predictor.load(run).risks(data.tensors, np.flatnonzero(splits == "test"), cohort.array("asked.npy"))
        judged = np.isfinite(found[:, 0]) & (data.label[:, 0] >= 0)
        return auroc(data.label[judged, 0], found[judged, 0])

    return area


def test_a_window_is_enough_to_find_the_planted_signal(tested: Callable[[float | None], float]) -> None:
    """The hidden state forgets within 12 h, so that 12 h of measurements hold about all there is."""
    whole, window = tested(None), tested(12.0)
    assert whole > 0.8
    assert window > whole - 0.03
