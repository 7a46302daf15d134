"""Engineered inputs from end to end, on real stays: nets, baselines and a teacher leak nothing, a stream is the record.

Each law is that of its own file (`test_leakage`, `test_determinism`, `test_streaming`), here with all blocks at once.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.batch import Ragged, assemble
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, logits
from clinical_lstm.prediction import predict
from clinical_lstm.sources.base import Extract
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.streaming import Ward
from clinical_lstm.training.baseline import baseline
from clinical_lstm.training.data import training_data
from clinical_lstm.training.ensemble import ensemble
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.teacher import fold_of, teacher_risks
from clinical_lstm.training.train import train


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"test_{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


leakage = _beside("leakage")
futures, one_thread = leakage.futures, leakage.one_thread  # fixtures
BLOCKS = plugins.names("features")
FLAT = {"name": "lstm", "hidden": 8, "inputs": {"engineered": BLOCKS}}
BINNED = {"name": "gru", "hidden": 6, "inputs": {"engineered": BLOCKS, "engineered_bins": 4, "statistics": True}}
BASELINE = {"name": "logistic_regression", "engineered": BLOCKS}
TREES = {"name": "gradient_boosting", "engineered": BLOCKS, "max_rounds": 20}
WITHOUT_COUNTS = [name for name in BLOCKS if name != "counts"]
LEARNING = dataclasses.replace(leakage.LEARNING, teacher=BASELINE)
CLOSE = 1e-6  # of risks in 32 bits: a step and a whole stay are sums in another shape


def silent(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def runs(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """An LSTM and a GRU with all blocks, of one epoch."""
    folder, settings = tmp_path_factory.mktemp("engineered"), TrainerSettings(epochs=1, batch_size=32)
    specs = {"flat": FLAT, "binned": BINNED}
    return [train(tiny_cohort, spec, settings, 1, folder / name, name, say=silent) for name, spec in specs.items()]


@pytest.fixture(scope="module")
def extract(tiny_source: Path) -> Extract:
    """Thirty stays as they would arrive, their outcomes unknown."""
    found = next(iter(PhysioNet2019(str(tiny_source), shard_stays=30).extracts()))
    return found._replace(episodes=found.episodes.clear(), labelled=False)


# --- nothing leaks ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_epoch(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("leakage")

    def trained(*splits: str) -> Run:
        """Return a training of one epoch on the cohort with the stays of `splits` altered; made once."""
        path = folder / ("-".join(splits) or "as_it_is") / "runs" / "tiny"
        if not path.is_dir():
            cohort = leakage.altered(tiny_cohort, path.parents[1] / "cohorts" / "tiny", *splits)
            train(cohort, BINNED, LEARNING, 1, path, "key", say=silent)
        return Run(path)

    return trained


@pytest.mark.parametrize("changed", ["train", "calib", "val", "test"])
def test_files_of_a_run_depend_on_their_splits_alone(changed: str, one_epoch: Callable[..., Run]) -> None:
    leakage.test_files_of_a_run_depend_on_their_splits_alone(changed, one_epoch)


@pytest.mark.parametrize("hours", [1.0, 7.0, 20.0])
def test_the_future_does_not_change_a_bit_of_the_past(hours: float, runs: list[Run], tiny_source: Path) -> None:
    for run in runs:
        leakage.test_the_future_does_not_change_a_bit_of_the_past(hours, run, tiny_source)


@pytest.mark.parametrize(
    "spec",
    [BASELINE, TREES, {**BASELINE, "engineered": WITHOUT_COUNTS, "observation_process": False}],
    ids=["logistic_regression", "gradient_boosting", "without_the_observation_process"],
)
def test_a_baseline_knows_neither_the_future_nor_the_test_split(
    spec: dict[str, Any], futures: tuple[Cohort, Cohort]
) -> None:
    leakage.test_a_baseline_knows_neither_the_future_nor_the_test_split(spec, futures)


def test_a_teacher_knows_no_label_of_whom_it_teaches(tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    patients = tiny_cohort.table("stays.parquet")["patient_id"].to_numpy()
    folds = fold_of(patients, data.train, 3, seed=3)
    row = np.repeat(folds, data.tensors.lengths)
    turned = np.where((row == 0)[:, None], 1 - data.target, data.target)
    other = dataclasses.replace(data, target=turned)
    one, changed = (teacher_risks(each, patients, BASELINE, 3, seed=3) for each in (data, other))
    assert np.isfinite(one[row == 0]).any()
    assert np.array_equal(one[row == 0], changed[row == 0], equal_nan=True)
    assert not np.array_equal(one[row == 1], changed[row == 1], equal_nan=True)
    plain = teacher_risks(data, patients, {"name": "logistic_regression"}, 3, seed=3)
    assert not np.array_equal(one, plain, equal_nan=True), "the blocks are what it learnt from"


# --- the same bits ----------------------------------------------------------------------------------------------------


def test_the_same_seed_and_an_interruption_give_the_same_files(tiny_cohort: Cohort, tmp_path: Path) -> None:
    settings = TrainerSettings(epochs=2, batch_size=32)

    def trained(name: str, **more: Any) -> Run:
        return train(tiny_cohort, BINNED, settings, 1, tmp_path / name / "tiny", "key", say=silent, **more)

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise RuntimeError("the power is out")

    one = trained("one")
    torch.rand(17)
    same = trained("same")
    with pytest.raises(RuntimeError):
        trained("resumed", on_epoch=stop)
    resumed = trained("resumed", resume=True)
    outputs = (one.marker("train") or {})["outputs"]
    assert {"weights.safetensors", "model.json", "calibrator.json", "thresholds.json"} <= set(outputs)
    for other in (same, resumed):
        assert (other.marker("train") or {})["outputs"] == outputs


def test_predictions_are_the_same_bits_however_stays_are_grouped(runs: list[Run], tiny_source: Path) -> None:
    run, tables = runs[1], []
    for shard in (1000, 37):
        extracts: Iterator[Extract] = PhysioNet2019(str(tiny_source), shard_stays=shard).extracts()
        parts = [found.select("stay_id", "hours", "risk") for found, _ in predict(run, Predictor.load(run), extracts)]
        tables.append(pl.concat(parts).sort("stay_id", "hours"))
    assert tables[0].equals(tables[1])


def test_what_was_learnt_of_the_columns_is_that_of_the_train_rows(runs: list[Run], tiny_cohort: Cohort) -> None:
    data, splits = training_data(tiny_cohort, "uniform")
    engineered = Predictor.load(runs[0]).model.inputs.engineered
    assert engineered is not None and np.allclose(engineered.location, data.scaler.location, atol=1e-5)
    alone = (assemble(data.tensors, [stay], data.scaler) for stay in np.flatnonzero(splits == "train"))
    together = torch.cat([engineered.plain(batch.tensors())[0][0] for batch in alone]).double()
    torch.testing.assert_close(engineered.mean.double(), together.mean(dim=0), atol=1e-4, rtol=1e-4)
    spread = together.std(dim=0, correction=0)
    moving = spread > 1e-6
    torch.testing.assert_close(engineered.deviation.double()[moving], spread[moving], atol=1e-4, rtol=1e-4)


# --- live -------------------------------------------------------------------------------------------------------------


def lengths(extract: Extract) -> dict[str, float]:
    return dict(extract.stays.select("stay_id", "length_hours").iter_rows())


def admitted(run: Run, extract: Extract) -> Ward:
    ward = Ward.load(run)
    for stay in extract.stays.iter_rows(named=True):
        ward.admit(stay["stay_id"], {n: stay[n] for n in ward.predictor.scaler.statics}, stay["start_hours"])
    return ward


def tell(ward: Ward, observations: pl.DataFrame) -> None:
    for row in observations.select("stay_id", "hours", "variable", "value").iter_rows():
        ward.observe(*row)


def table(rows: list[Any]) -> pl.DataFrame:
    found = [(row.stay_id, row.hours, row.risk) for row in rows]
    return pl.DataFrame(found, ["stay_id", "hours", "risk"], orient="row").sort("stay_id", "hours")


@pytest.fixture(scope="module", params=[0, 1], ids=["flat", "binned"])
def live(request: pytest.FixtureRequest, runs: list[Run], extract: Extract) -> tuple[Run, pl.DataFrame]:
    """A run and the risks of a ward that is told everything at once."""
    ward = admitted(runs[request.param], extract)
    tell(ward, extract.observations)
    return runs[request.param], table(ward.advance(lengths(extract)))


def test_the_ward_says_what_predict_says(live: tuple[Run, pl.DataFrame], extract: Extract) -> None:
    run, found = live
    expected, _ = next(predict(run, Predictor.load(run), [extract]))
    expected = expected.select("stay_id", "hours", "risk").sort("stay_id", "hours")
    assert found.select("stay_id", "hours").equals(expected.select("stay_id", "hours"))
    assert np.abs(found["risk"].to_numpy() - expected["risk"].to_numpy()).max() <= CLOSE
    assert np.ptp(expected["risk"].to_numpy()) > 0.01, "the risks hardly move"


def test_a_restart_in_the_middle_changes_no_bit(
    live: tuple[Run, pl.DataFrame], extract: Extract, tmp_path: Path
) -> None:
    run, expected = live
    ward, until = admitted(run, extract), pl.col("hours") <= 11.0
    tell(ward, extract.observations.filter(until))
    rows = ward.advance({stay: min(11.0, length) for stay, length in lengths(extract).items()})
    safetensors.numpy.save_file(ward.state(), tmp_path / "ward.safetensors")
    again = Ward.load(run)
    again.restore(safetensors.numpy.load_file(tmp_path / "ward.safetensors"))
    tell(again, extract.observations.filter(~until))
    assert table(rows + again.advance(lengths(extract))).equals(expected)
    forgetful = Ward.load(run)
    state = ward.state()
    blank = {name: part * 0 for name, part in state.items() if name == "bed.memory.memory_total"}
    assert blank, "what the blocks remember is in the state"
    forgetful.restore(state | blank)
    tell(forgetful, extract.observations.filter(~until))
    assert not table(rows + forgetful.advance(lengths(extract))).equals(expected)


# --- in company -------------------------------------------------------------------------------------------------------


def test_an_ensemble_averages_them(runs: list[Run], tiny_cohort: Cohort, extract: Extract, tmp_path: Path) -> None:
    average = ensemble(tiny_cohort, runs, tmp_path / "average", "key", files={})
    data, _ = training_data(tiny_cohort, "uniform")
    one, other, mean = (logits(Predictor.load(r).model, data.seen, data.scaler) for r in (*runs, average))
    assert np.abs(one - other).max() > 1e-3
    assert np.abs((one + other) / 2 - mean).max() <= 1e-6
    ward = admitted(average, extract)
    tell(ward, extract.observations)
    expected, _ = next(predict(average, Predictor.load(average), [extract]))
    expected = expected.sort("stay_id", "hours")
    assert np.abs(table(ward.advance(lengths(extract)))["risk"] - expected["risk"]).max() <= CLOSE


def test_a_run_of_an_ensemble_of_them_is_trained_as_one(tiny_cohort: Cohort, tmp_path: Path) -> None:
    spec = {"name": "ensemble", "members": [FLAT, BINNED]}
    settings = TrainerSettings(epochs=1, batch_size=32)
    run = train(tiny_cohort, spec, settings, 1, tmp_path / "run", "key", say=silent)
    members = Predictor.load(run).model.members
    for member in members:
        assert member.inputs.engineered.deviation.ne(1).any(), "every member has learnt its scale"


def test_windows_of_a_lookback_have_blocks_of_their_own(tiny_cohort: Cohort, tiny_source: Path, tmp_path: Path) -> None:
    manifest = tiny_cohort.json("manifest.json")
    task = Task.of(manifest["task"] | {"lookback_hours": 8.0, "every_hours": 6.0})
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    cohort = prepare(source, task, manifest["split"], tmp_path / "c", "", {}, say=silent)
    made = baseline(cohort, BASELINE, "uniform", "platt", "youden", 1)
    assert made.table("predictions.parquet")["risk"].is_finite().all()
    run = train(cohort, FLAT, TrainerSettings(epochs=1, batch_size=64), 1, tmp_path / "run", "key", say=silent)
    predictor, tensors = Predictor.load(run), Ragged.load(cohort.path / "tensors")
    found = predictor.risks(tensors, asked=cohort.array("asked.npy"))
    assert np.isfinite(found[cohort.array("asked.npy")]).all()


def test_native_event_times_are_refused_before_any_training(
    tiny_cohort: Cohort, tiny_source: Path, tmp_path: Path
) -> None:
    manifest = tiny_cohort.json("manifest.json")
    task = Task.of(manifest["task"] | {"step_hours": None})
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    cohort = prepare(source, task, manifest["split"], tmp_path / "c", "", {}, say=silent)
    with pytest.raises(InputError, match="this cohort has native event times"):
        train(cohort, FLAT, TrainerSettings(epochs=1), 1, tmp_path / "run", "key", say=silent)
