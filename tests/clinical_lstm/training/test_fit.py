from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.errors import InputError
from clinical_lstm.inference import logits
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.fit import SLOW, TrainerSettings, fit
from clinical_lstm.training.module import validation_metrics
from clinical_lstm.training.weights import base_rates

FAST = TrainerSettings(epochs=3, batch_size=32, learning_rate=0.01)


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "uniform")[0]


def untrained(data: TrainingData) -> LSTM:
    torch.manual_seed(0)
    return LSTM(len(data.scaler.variables), len(data.scaler.statics), [("sepsis_label", 6.0)], hidden=8)


def silent(line: str) -> None:
    pass


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"monitor": "val_aurok"}, "did you mean 'val_auroc'"),
        ({"weighting": "clas"}, "did you mean 'class'"),
        ({"calibration": "plat"}, "did you mean 'platt'"),
        ({"threshold": "yoden"}, "did you mean 'youden'"),
        ({"precision": "16"}, "16-mixed"),
        ({"accelerator": "tpu"}, "cpu"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": -1}, "at least 1"),
        ({"epochs": "many"}, "trainer.epochs"),
        ({"epochs": 1.5}, "trainer.epochs"),
        ({"epochs": True}, "trainer.epochs"),
        ({"learning_rate": None}, "trainer.learning_rate"),
        ({"learning_rate": 0}, "above 0"),
        ({"warmup_share": 1.5}, "0..1"),
        ({"patience": -1}, "negative"),
    ],
)
def test_settings_refuse_what_cannot_be(spec: dict, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        TrainerSettings.of(spec)


def test_settings_take_every_default_and_whole_numbers_for_shares() -> None:
    assert TrainerSettings.of(dataclasses.asdict(TrainerSettings())) == TrainerSettings()
    assert TrainerSettings.of({"weight_decay": 0, "monitor": "val_auroc"}).monitor == "val_auroc"


def test_a_missing_gpu_is_an_input_error(data: TrainingData, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="no GPU"):
        fit(untrained(data), data, dataclasses.replace(FAST, accelerator="gpu"), 1, tmp_path, resume=False)


def test_history_has_one_row_per_epoch_and_is_told_as_it_grows(data: TrainingData, tmp_path: Path) -> None:
    lines: list[str] = []
    rows: list[dict[str, float]] = []
    history = fit(untrained(data), data, FAST, 1, tmp_path, False, lines.append, lambda row: rows.append(dict(row)))
    assert rows == history
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert set(history[0]) == {"epoch", "train_loss", "val_loss", "val_auroc", "val_auprc"}
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert lines[0].startswith("train: epoch 1/3") and len(lines) == 3


@pytest.mark.parametrize("monitor", ["val_loss", "val_auroc"])
def test_the_best_weights_are_kept_not_the_last(monitor: str, data: TrainingData, tmp_path: Path) -> None:
    model = untrained(data)
    settings = dataclasses.replace(FAST, epochs=6, learning_rate=0.1, monitor=monitor)
    history = fit(model, data, settings, 1, tmp_path, False, silent)
    metrics = validation_metrics(logits(model, data.tensors, data.scaler, data.val), data)
    found = [row[monitor] for row in history]
    best = min(found) if monitor == "val_loss" else max(found)
    assert metrics[monitor] == pytest.approx(best, abs=1e-9)
    assert best != found[-1]


def test_training_stops_when_patience_runs_out(data: TrainingData, tmp_path: Path) -> None:
    settings = dataclasses.replace(FAST, epochs=30, patience=2, learning_rate=0.1)
    history = fit(untrained(data), data, settings, 1, tmp_path, False, silent)
    losses = [row["val_loss"] for row in history]
    assert len(history) < 30
    assert len(history) - 1 - int(np.argmin(losses)) == 2


def test_training_starts_at_the_base_rate(data: TrainingData, tmp_path: Path) -> None:
    model = untrained(data)
    settings = dataclasses.replace(FAST, epochs=1, learning_rate=1e-9)
    fit(model, data, settings, 1, tmp_path, False, silent)
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    expected = base_rates(data.target, data.weight, is_train)[0]
    assert expected == pytest.approx(data.label[is_train & (data.label[:, 0] >= 0)].mean())
    assert torch.sigmoid(model.head.linear.bias).item() == pytest.approx(expected, rel=1e-4)


def test_every_finished_epoch_can_be_resumed(data: TrainingData, tmp_path: Path) -> None:
    """Also one that was not the best so far."""
    settings = dataclasses.replace(FAST, epochs=6, learning_rate=0.1)
    whole = fit(untrained(data), data, settings, 1, tmp_path / "whole", False, silent)
    worse = next(k for k in range(1, 6) if whole[k]["val_loss"] > min(row["val_loss"] for row in whole[:k]))

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == min(worse + 1, 5):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fit(untrained(data), data, settings, 1, tmp_path / "cut", False, silent, stop)
    lines: list[str] = []
    history = fit(untrained(data), data, settings, 1, tmp_path / "cut", True, lines.append)
    assert history == whole
    assert lines[0].startswith("train: resuming") and lines[1].startswith(f"train: epoch {min(worse + 1, 5) + 1}/6")


def test_mixed_precision_trains(data: TrainingData, tmp_path: Path) -> None:
    model = untrained(data)
    before = copy.deepcopy(model.state_dict())
    fit(model, data, dataclasses.replace(FAST, epochs=1, precision="bf16-mixed"), 1, tmp_path, False, silent)
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in model.parameters())
    assert not torch.equal(before["layers.weight_hh_l0"], model.layers.weight_hh_l0)


def test_the_last_weights_are_kept_where_asked(data: TrainingData, tmp_path: Path) -> None:
    model = untrained(data)
    settings = dataclasses.replace(FAST, epochs=6, learning_rate=0.1, keep="last")
    history = fit(model, data, settings, 1, tmp_path, False, silent)
    metrics = validation_metrics(logits(model, data.tensors, data.scaler, data.val), data)
    assert metrics["val_loss"] == pytest.approx(history[-1]["val_loss"], abs=1e-9)
    assert min(row["val_loss"] for row in history) < history[-1]["val_loss"]


def test_accumulated_draws_are_one_step_of_the_mean_gradient(data: TrainingData, tmp_path: Path) -> None:
    """All draws of the epoch together: the step of one draw as large as all of them."""
    found = []
    size = -(-len(data.train) // 3)
    few = dataclasses.replace(data, train=data.train[: 3 * (len(data.train) // 3)])
    for settings in (
        dataclasses.replace(FAST, epochs=1, batch_size=len(few.train) // 3, accumulate=3),
        dataclasses.replace(FAST, epochs=1, batch_size=len(few.train)),
    ):
        torch.manual_seed(0)
        sizes = len(data.scaler.variables), len(data.scaler.statics), [("sepsis_label", 6.0)]
        model = LSTM(*sizes, hidden=8, dropout=0.0)
        fit(model, few, settings, 1, tmp_path / str(settings.accumulate), False, silent)
        found.append(model.state_dict())
    assert size > 1
    moved = {name: (found[0][name] - found[1][name]).abs().max().item() for name in found[0]}
    assert max(moved.values()) < 1e-4, moved


def test_training_of_hazards_starts_at_the_base_rate(data: TrainingData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    targets = [("sepsis_label", 6.0)]
    model = LSTM(len(data.scaler.variables), len(data.scaler.statics), targets, hidden=8, head="hazard")
    fit(model, data, dataclasses.replace(FAST, epochs=1, learning_rate=1e-9), 1, tmp_path, False, silent)
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    expected = base_rates(data.target, data.weight, is_train)[0]
    risk = torch.sigmoid(model.head(torch.zeros(1, 8))).item()
    assert risk == pytest.approx(expected, rel=1e-3)


def test_a_processor_without_bf16_is_told_to_be_slow(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    settings = dataclasses.replace(FAST, epochs=1, precision="bf16-mixed")
    for able, told in [(True, []), (False, [SLOW])]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able, "avx512_f": True})
        lines.clear()
        fit(untrained(data), data, settings, 1, tmp_path / str(able), False, lines.append)
        assert lines[:-1] == told
