from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.datamodule import DataModule, Group, Taught
from clinical_lstm.training.lessons import lessons
from clinical_lstm.training.losses import weighted_bce
from clinical_lstm.training.objective import Objective
from clinical_lstm.training.settings import TrainerSettings


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "uniform")[0]


def model_of(data: TrainingData, head: str = "cumulative") -> LSTM:
    torch.manual_seed(0)
    sizes = len(data.scaler.variables), len(data.scaler.statics), [("sepsis_label", 6.0)]
    return LSTM(*sizes, hidden=8, head=head).eval()


def group_of(data: TrainingData, hours: float = 0.0) -> Group | Taught:
    return DataModule(data, 16, 1, 1, hours).assemble([data.train[:10]])[0]


def test_the_default_is_the_cross_entropy_of_the_models_own_logits(data: TrainingData) -> None:
    model, group = model_of(data), group_of(data)
    main, beside = Objective(TrainerSettings(), model, data)(model, group)
    assert isinstance(group, Group) and beside is None
    assert torch.equal(main, weighted_bce(model(group.batch), group.target, group.weight))
    assert not list(Objective(TrainerSettings(), model, data).parameters())


def test_survival_sums_the_landmarks_written_out(tiny_cohort: Cohort, data: TrainingData) -> None:
    settings = TrainerSettings(loss="survival")
    data = lessons(tiny_cohort, data, settings)
    model, group = model_of(data, "hazard"), group_of(data)
    main, _ = Objective(settings, model, data)(model, group)
    hazards = torch.sigmoid(model.head.hazards(model.hidden(group.batch))).detach().double()
    expected = 0.0
    for row, stay in enumerate(data.train[:10]):
        for step, at in enumerate(range(*data.tensors.step_offsets[stay : stay + 2])):
            hours, event = int(data.landmarks.hours[at, 0]), bool(data.landmarks.event[at, 0])
            own = hazards[row, step, 0, :hours]
            lived = own[:-1] if event else own
            expected -= float(torch.log1p(-lived).sum() + (torch.log(own[-1]) if event else 0))
    assert main.item() == pytest.approx(expected, rel=1e-4)


def test_auxiliary_losses_are_weighted_and_reach_the_model(tiny_cohort: Cohort, data: TrainingData) -> None:
    settings = TrainerSettings(forecast_weight=0.5, outcomes_weight=0.25)
    data = lessons(tiny_cohort, data, settings)
    model, group = model_of(data), group_of(data, 6.0)
    objective = Objective(settings, model, data)
    main, beside = objective(model, group)
    assert torch.equal(main, weighted_bce(model(group.batch), group.target, group.weight))
    seen = model.hidden(group.batch)
    total = 0.0
    for name, head, weight in [("ahead", objective.forecast, 0.5), ("outcomes", objective.outcomes, 0.25)]:
        target, known = group.more[name], group.more[f"{name}_known"]
        squares = ((head(seen) - target) ** 2 * known).sum(2) / known.sum(2).clamp_min(1)
        total += weight * squares.sum().item()
    assert beside.item() == pytest.approx(total, rel=1e-5)
    beside.backward()
    assert model.layers.weight_hh_l0.grad.abs().sum() > 0 and model.head.linear.weight.grad is None
    assert not any("forecast" in name for name in model.state_dict()), "the saved model does not know of them"


def test_outcomes_stand_at_every_step_of_their_stay_and_not_in_the_padding(
    tiny_cohort: Cohort, data: TrainingData
) -> None:
    data = lessons(tiny_cohort, data, TrainerSettings(outcomes_weight=0.1))
    group = group_of(data)
    known = group.more["outcomes_known"][:, :, 0].numpy()
    lengths = data.tensors.lengths[data.train[:10]]
    assert np.array_equal(known.sum(1), lengths)
    for row, stay in enumerate(data.train[:10]):
        assert (group.more["outcomes"][row, : lengths[row], 0].numpy() == data.outcomes[stay, 0]).all()


def test_focal_needs_no_hard_target(data: TrainingData) -> None:
    soft = replace(data, taught=np.where(data.target > 0, 0.7, 0.1).astype(np.float32))
    model, settings = model_of(data), TrainerSettings(loss="focal", focal_gamma=1.0)
    main, _ = Objective(settings, model, soft)(model, group_of(soft))
    logits, group = model(group_of(soft).batch), group_of(soft)
    p = torch.sigmoid(logits)
    entropy = -(group.target * torch.log(p) + (1 - group.target) * torch.log(1 - p))
    assert main.item() == pytest.approx(((group.target - p).abs() * entropy * group.weight).sum().item(), rel=1e-4)
