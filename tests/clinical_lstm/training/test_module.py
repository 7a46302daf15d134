from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.nn import functional

from clinical_lstm.artifacts import Cohort
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.datamodule import DataModule, draws
from clinical_lstm.training.module import Training, validation_metrics


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "class")[0]


def made(data: TrainingData, **other: float) -> Training:
    torch.manual_seed(0)
    model = LSTM(len(data.scaler.variables), len(data.scaler.statics), [("sepsis_label", 6.0)], hidden=8, dropout=0.3)
    settings = {"learning_rate": 0.1, "weight_decay": 0.01, "warmup_share": 0.25, "steps": 40, "batch_weight": 50.0}
    return Training(model, data, **{**settings, **other}, seed=3)


def groups_of(data: TrainingData, size: int, groups: int) -> list:
    drawn = draws(data.train, data.tensors.lengths, size, groups, seed=1, epoch=0)[0]
    return DataModule(data, size, groups, 1).assemble(drawn)


def test_loss_is_the_weighted_sum_over_a_constant(data: TrainingData) -> None:
    module = made(data).eval()
    for size in (1, 7, 32):
        groups = groups_of(data, size, groups=2)
        total = 0.0
        for batch, target, weight in groups:
            logit = module.model(batch).detach()
            total += float(
                (functional.binary_cross_entropy_with_logits(logit, target, reduction="none") * weight).sum()
            )
        assert module.training_step(groups, 0).item() == pytest.approx(total / 50.0, rel=1e-5)


def test_loss_and_gradient_do_not_depend_on_the_groups(data: TrainingData) -> None:
    found = []
    for groups in (1, 4):
        module = made(data).eval()
        loss = module.training_step(groups_of(data, 32, groups), 0)
        loss.backward()
        found.append((loss.item(), module.model.head.linear.weight.grad.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


def test_losses_of_draws_add_up_to_the_mean_over_the_split(data: TrainingData) -> None:
    """The draws of an epoch together: (sum of all losses) / (expected weight of a draw), whatever their lengths."""
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    expected = float(data.weight[is_train].sum()) / len(data.train) * 16
    module = made(data, batch_weight=expected).eval()
    loader = DataModule(data, 16, 2, 1)
    epoch = draws(data.train, data.tensors.lengths, 16, 2, seed=1, epoch=0)
    total = sum(module.training_step(loader.assemble(draw), 0).item() for draw in epoch)
    one = made(data, batch_weight=float(data.weight[is_train].sum())).eval()
    whole = one.training_step(loader.assemble([data.train]), 0).item()
    assert total * 16 / len(data.train) == pytest.approx(whole, rel=1e-4)


def test_dropout_depends_on_seed_and_epoch_alone(data: TrainingData) -> None:
    module, groups = made(data).train(), groups_of(data, 16, 2)
    losses = []
    for _ in range(2):
        module.on_train_epoch_start()
        losses.append([module.training_step(groups, 0).item() for _ in range(2)])
        torch.rand(5)
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[0][1]


def rates(module: Training, steps: int) -> list[float]:
    made = module.configure_optimizers()
    found = []
    for _ in range(steps):
        found.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    return found


def test_rate_warms_up_to_its_peak_and_falls_to_nothing(data: TrainingData) -> None:
    found = rates(made(data), 40)
    assert max(found) == found[9] == pytest.approx(0.1)
    assert found[:10] == sorted(found[:10]) and found[9:] == sorted(found[9:], reverse=True)
    assert 0 < found[0] < 0.01 and found[-1] < 1e-5


@pytest.mark.parametrize(("steps", "share"), [(1, 0.15), (1, 1.0), (4, 0.25), (2, 0.5), (3, 0.0)])
def test_rate_of_a_very_short_training_is_defined_and_not_all_zero(
    steps: int, share: float, data: TrainingData
) -> None:
    found = rates(made(data, steps=steps, warmup_share=share), steps)
    assert all(0 <= rate <= 0.1 for rate in found) and max(found) > 1e-3


def test_validation_metrics_are_those_of_scikit_learn(data: TrainingData) -> None:
    draw = np.random.default_rng(0)
    logits = np.full(data.label.shape, np.nan)
    val = np.isin(np.repeat(np.arange(len(data.tensors.lengths)), data.tensors.lengths), data.val)
    logits[val] = draw.normal(size=(int(val.sum()), 1)) + data.label[val]
    metrics = validation_metrics(logits, data)
    label, found = data.label[val, 0], logits[val, 0]
    weight, at_risk = data.weight[val, 0].astype(float), label >= 0
    losses = -np.log(np.where(data.target[val, 0] == 1, 1 / (1 + np.exp(-found)), 1 / (1 + np.exp(found))))
    assert metrics["val_loss"] == pytest.approx((losses * weight).sum() / weight.sum())
    assert metrics["val_auroc"] == pytest.approx(roc_auc_score(label[at_risk], found[at_risk]))
    assert metrics["val_auprc"] == pytest.approx(average_precision_score(label[at_risk], found[at_risk]))


def test_rows_not_at_risk_do_not_count_in_validation(data: TrainingData) -> None:
    rows = slice(0, 200)
    logits = np.full(data.label.shape, np.nan)
    logits[rows] = np.random.default_rng(1).normal(size=(200, 1))
    label, weight = data.label.copy(), data.weight.copy()
    label[rows] = np.arange(200)[:, None] % 2
    label[:50], weight[:50] = -1, 0
    judged = replace(data, label=label, weight=weight)
    expected = validation_metrics(logits, judged)
    logits[:50] = 99.0
    assert validation_metrics(logits, judged) == expected
