from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, logits
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.module import validation_metrics
from clinical_lstm.training.train import FILES, environment, train

SPEC = {"name": "lstm", "hidden": 8}
ONE = TrainerSettings(epochs=1, batch_size=32)
WHOLE = """
from clinical_lstm.models.lstm import LSTM

class Whole(LSTM):
    causal = False
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def training(cohort: Cohort, path: Path, key: str = "key", spec: dict[str, Any] = SPEC, **more: Any) -> Run:
    return train(cohort, spec, ONE, 1, path, key, say=lambda line: None, **more)


def test_a_run_holds_its_files_and_nothing_else(tiny_run: Run) -> None:
    marker = tiny_run.marker("train")
    assert marker is not None and marker["key"] == "tiny"
    assert sorted(marker["outputs"]) == sorted(FILES)
    assert tiny_run.files(".") == sorted([*FILES, "done/train.json", "timing.json"])
    schemas.check(schemas.ScalerTable, tiny_run.table("scaler.parquet"), "scaler")


def test_its_manifest_says_how_it_was_made(tiny_run: Run, tiny_cohort: Cohort) -> None:
    manifest, cohort = tiny_run.json("manifest.json"), tiny_cohort.json("manifest.json")
    assert manifest["model"] == {"name": "lstm", "arguments": {"hidden": 8}}
    assert manifest["cohort"] == "tiny" and manifest["seed"] == 1
    for key in ("task", "targets", "variables", "statics"):
        assert manifest[key] == cohort[key]
    assert manifest["training"]["epochs"] == 2 and manifest["training"]["batch_size"] == 32
    weights = load_file(tiny_run.path / "weights.safetensors")
    assert manifest["parameters"] == sum(weight.numel() for weight in weights.values())
    assert tiny_run.json("cohort.json") == cohort


def test_its_weights_are_those_of_the_best_epoch_of_its_history(tiny_run: Run, tiny_cohort: Cohort) -> None:
    with (tiny_run.path / "history.csv").open(encoding="utf-8", newline="") as lines:
        history = list(csv.DictReader(lines))
    assert [float(row["epoch"]) for row in history] == [0, 1]
    best = min(history, key=lambda row: float(row["val_loss"]))
    assert tiny_run.json("manifest.json")["best_epoch"] == float(best["epoch"]) + 1
    data, _ = training_data(tiny_cohort, "uniform")
    found = Predictor.load(tiny_run)
    metrics = validation_metrics(logits(found.model, data.tensors, data.scaler, data.val), data)
    assert metrics["val_loss"] == pytest.approx(float(best["val_loss"]), abs=1e-9)


def test_calibrator_and_threshold_are_of_each_target(tiny_run: Run) -> None:
    [calibrator], [threshold] = tiny_run.json("calibrator.json"), tiny_run.json("thresholds.json")
    for item in (calibrator, threshold):
        assert (item["complication"], item["horizon_hours"]) == ("sepsis_label", 6.0)
    assert calibrator["kind"] == calibrator["map"]["kind"]
    assert 0 < threshold["threshold"] <= 1 and threshold["chosen_on"] == "val"


def test_files_and_facts_of_the_caller_are_kept(tiny_cohort: Cohort, tmp_path: Path) -> None:
    run = training(tiny_cohort, tmp_path / "run", files={"config.yaml": "a: 1\n"}, facts={"git_commit": "abc"})
    assert (run.path / "config.yaml").read_text(encoding="utf-8") == "a: 1\n"
    assert "config.yaml" in (run.marker("train") or {})["outputs"]
    assert run.json("manifest.json")["git_commit"] == "abc"


def test_training_anew_forgets_what_later_stages_said(tiny_cohort: Cohort, tmp_path: Path) -> None:
    run = training(tiny_cohort, tmp_path / "run")
    run.mark("evaluate", "other", ["manifest.json"])
    training(tiny_cohort, tmp_path / "run", key="another")
    assert run.marker("evaluate") is None
    assert (run.marker("train") or {})["key"] == "another"


def stop(row: dict[str, float]) -> None:
    raise RuntimeError("stop")


def test_nothing_to_resume_is_refused(tiny_cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        training(tiny_cohort, tmp_path / "run", resume=True)
    with pytest.raises(RuntimeError):
        training(tiny_cohort, tmp_path / "run", on_epoch=stop)
    with pytest.raises(InputError, match="no epoch was finished"):
        training(tiny_cohort, tmp_path / "run", resume=True)


def test_a_training_of_other_settings_is_not_resumed(tiny_cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "run" / "weights.safetensors").mkdir(parents=True)
    with pytest.raises(OSError):
        training(tiny_cohort, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(InputError, match="other settings"):
        training(tiny_cohort, tmp_path / "run", key="another", resume=True)


def test_a_damaged_cohort_is_refused(tiny_cohort: Cohort, tmp_path: Path) -> None:
    shutil.copytree(tiny_cohort.path, tmp_path / "cohort")
    (tmp_path / "cohort" / "labels" / "part-00000.parquet").write_bytes(b"x")
    with pytest.raises(InputError, match=r"labels/part-00000\.parquet was altered"):
        training(Cohort(tmp_path / "cohort"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def whole_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A user's own model that sees the whole window, loaded by its dotted name."""
    (tmp_path / "my_ward").mkdir()
    (tmp_path / "my_ward" / "whole_window.py").write_text(WHOLE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return {"name": "my_ward.whole_window", "hidden": 8}


def test_a_model_that_sees_ahead_is_refused(whole_window: dict[str, Any], tiny_cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fixed hour"):
        training(tiny_cohort, tmp_path / "run", spec=whole_window)


def test_it_may_learn_a_task_with_a_fixed_hour(whole_window: dict[str, Any], tmp_path: Path) -> None:
    source = Synthetic(stays=300, mean_hours=30.0, variables=["map"], effects={"map": -1.0}, onset_per_hour=0.01)
    task = Task("once", ["planted"], [100.0], at_hours=12.0, censoring=False)
    shares = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}
    cohort = prepare(source, task, shares, tmp_path / "cohort", "", {}, say=lambda line: None)
    run = training(cohort, tmp_path / "run", spec=whole_window)
    data, _ = training_data(cohort, "uniform")
    assert np.array_equal(np.unique(data.tensors.hours[data.weight[:, 0] > 0]), [12.0])
    assert run.json("model.json")["model"] == whole_window
    assert not Predictor.load(run).model.causal


def test_it_may_learn_a_task_with_a_lookback(whole_window: dict[str, Any], tmp_path: Path) -> None:
    """Every window ends at its prediction, so that nothing lies ahead; the same training fails without."""
    source = Synthetic(stays=200, mean_hours=20.0, variables=["map"], effects={"map": -1.0}, onset_per_hour=0.01)
    shares = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}
    for lookback in (4.0, None):
        task = Task("windows", ["planted"], [6.0], lookback_hours=lookback)
        cohort = prepare(source, task, shares, tmp_path / f"{lookback}", "", {}, say=lambda line: None)
        if lookback:
            run = training(cohort, tmp_path / "run", spec=whole_window)
            assert Predictor.load(run).lookback_hours == 4.0
        else:
            with pytest.raises(InputError, match="lookback_hours"):
                training(cohort, tmp_path / "other", spec=whole_window)


def test_environment_lists_every_package_once() -> None:
    lines = environment().splitlines()
    assert len(lines) == len(set(lines)) > 50
    assert any(line.startswith("torch==") for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_scaler_of_a_run_is_the_cohorts(tiny_run: Run, tiny_cohort: Cohort) -> None:
    assert tiny_run.table("scaler.parquet").equals(tiny_cohort.table("scaler.parquet"))


HAZARD = {"name": "lstm", "hidden": 8, "dropout": 0.4, "head": "hazard"}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ema": ({"ema_decay": 0.9}, SPEC),
    "swa": ({"swa_epochs": 3, "keep": "last"}, SPEC),
    "accumulate": ({"accumulate": 2, "schedule": "constant"}, SPEC),
    "one cycle": ({"schedule": "one_cycle", "precision": "bf16-mixed"}, SPEC),
    "teacher": ({"distil_weight": 0.5, "teacher": "logistic_regression", "loss": "focal"}, SPEC),
    "auxiliary": ({"forecast_weight": 0.1, "outcomes_weight": 0.1, "tbptt_steps": 12}, SPEC),
    "survival": ({"loss": "survival", "ema_decay": 0.9}, HAZARD),
    "smoothing": ({"smoothing": "exponential", "weighting": "class"}, HAZARD),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_is_resumed_to_the_bit(way: str, tiny_cohort: Cohort, tmp_path: Path) -> None:
    """Stopped in the third epoch of four and resumed: all files of the run are those of the uninterrupted training."""
    more, spec = WAYS[way]
    settings = TrainerSettings.of({"epochs": 4, "batch_size": 32, "learning_rate": 0.01, **more})

    def run(folder: str, **extra: Any) -> Run:
        return train(tiny_cohort, spec, settings, 1, tmp_path / folder / "run", "key", say=lambda line: None, **extra)

    def stop_in_the_third(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise RuntimeError("stop")

    whole = run("whole")
    with pytest.raises(RuntimeError, match="stop"):
        run("cut", on_epoch=stop_in_the_third)
    resumed = run("cut", resume=True)
    names = [*FILES, "done/train.json"]
    assert [n for n in names if (whole.path / n).read_bytes() != (resumed.path / n).read_bytes()] == []
    plain = train(
        tiny_cohort, spec, TrainerSettings(epochs=4, batch_size=32, learning_rate=0.01), 1, tmp_path / "p", "k"
    )
    assert (plain.path / "weights.safetensors").read_bytes() != (whole.path / "weights.safetensors").read_bytes()
    risks = Predictor.load(resumed).risks(training_data(tiny_cohort, "uniform")[0].tensors)
    assert ((risks > 0) & (risks < 1)).all()


def test_best_epoch_of_a_run_that_keeps_the_last_is_the_last(tiny_cohort: Cohort, tmp_path: Path) -> None:
    settings = TrainerSettings(epochs=3, batch_size=32, learning_rate=0.1, keep="last")
    run = train(tiny_cohort, SPEC, settings, 1, tmp_path / "run", "key", say=lambda line: None)
    assert run.json("manifest.json")["best_epoch"] == run.json("timing.json")["epochs"] == 3


def test_a_loss_that_a_model_cannot_have_is_refused(tiny_cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.head=hazard"):
        train(tiny_cohort, SPEC, TrainerSettings(loss="survival"), 1, tmp_path / "run", "key")
