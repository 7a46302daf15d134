from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from clinical_lstm.artifacts import Cohort
from clinical_lstm.inference import logits
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.training import fit as fitting
from clinical_lstm.training.averaging import Averaging, put
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.fit import TrainerSettings, fit
from clinical_lstm.training.module import validation_metrics

FAST = TrainerSettings(epochs=4, batch_size=32, learning_rate=0.05, keep="last", patience=9)
Weights = dict[str, torch.Tensor]


class Witness(Callback):
    """Keep a copy of the weights after every batch, at the end of every epoch and while validating."""

    def __init__(self) -> None:
        self.steps: list[Weights] = []
        self.epochs: list[Weights] = []
        self.judged: list[Weights] = []

    @staticmethod
    def copied(module: torch.nn.Module) -> Weights:
        return {name: weight.detach().clone() for name, weight in module.model.named_parameters()}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        self.steps.append(self.copied(module))

    def on_validation_epoch_end(self, trainer, module) -> None:  # type: ignore[no-untyped-def]
        self.judged.append(self.copied(module))

    def on_train_epoch_end(self, trainer, module) -> None:  # type: ignore[no-untyped-def]
        self.epochs.append(self.copied(module))


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "uniform")[0]


def trained(
    data: TrainingData, settings: TrainerSettings, folder: Path, patch: pytest.MonkeyPatch
) -> tuple[LSTM, Witness, list[dict[str, float]]]:
    witness, made = Witness(), fitting._trainer
    patch.setattr(fitting, "_trainer", lambda settings, callbacks: made(settings, [*callbacks, witness]))
    torch.manual_seed(0)
    model = LSTM(len(data.scaler.variables), len(data.scaler.statics), [("sepsis_label", 6.0)], hidden=8)
    history = fit(model, data, settings, 1, folder, False, lambda line: None)
    return model, witness, history


def same(found: Weights, expected: Weights) -> bool:
    return all(torch.allclose(found[name], expected[name], rtol=1e-5, atol=1e-7) for name in expected)


def test_ema_is_the_recursion_over_all_steps(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen, history = trained(data, replace(FAST, ema_decay=0.7), tmp_path, monkeypatch)
    average = seen.steps[0]
    for s, weights in enumerate(seen.steps[1:], start=1):
        decay = min(0.7, (1 + s) / (10 + s))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
    assert same(dict(model.named_parameters()), average)
    assert same(seen.judged[-1], average) and same(seen.epochs[-1], seen.steps[-1])
    assert not same(average, seen.steps[-1])
    metrics = validation_metrics(logits(model, data.seen, data.scaler, data.val), data)
    assert metrics["val_loss"] == pytest.approx(history[-1]["val_loss"], abs=1e-9)


def test_swa_is_the_mean_of_the_last_epochs(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen, _ = trained(data, replace(FAST, swa_epochs=3), tmp_path, monkeypatch)
    mean = {name: torch.stack([weights[name] for weights in seen.epochs[-3:]]).mean(0) for name in seen.epochs[0]}
    assert same(dict(model.named_parameters()), mean)
    assert same(seen.judged[0], seen.epochs[0]), "no average yet"
    assert same(seen.judged[-1], mean)


def test_averaging_does_not_change_the_training(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _, plain, _ = trained(data, FAST, tmp_path / "plain", patch)
    with monkeypatch.context() as patch:
        _, averaged, _ = trained(data, replace(FAST, ema_decay=0.9), tmp_path / "ema", patch)
    assert all(torch.equal(plain.steps[-1][name], averaged.steps[-1][name]) for name in plain.steps[-1])


def test_draws_that_only_accumulate_are_no_step(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    monkeypatch.setattr(Averaging, "_take", lambda self, model, share: counts.append(1))
    _, seen, _ = trained(
        data, replace(FAST, epochs=2, ema_decay=0.9, accumulate=2, swa_epochs=0), tmp_path, monkeypatch
    )
    assert len(counts) == 2 * -(-(len(seen.steps) // 2) // 2) < len(seen.steps)


def test_put_replaces_what_is_named() -> None:
    model = torch.nn.Linear(2, 1)
    bias = model.bias.clone()
    put(model, {"weight": torch.full((1, 2), 7.0)})
    assert model.weight.tolist() == [[7, 7]] and torch.equal(model.bias, bias)
