"""Occlusion: literal loops over windows and fresh assemblies, and the laws of a causal explanation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.occlusion import Occlusion
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.bilstm import BiLSTM
from clinical_lstm.models.lstm import LSTM

TARGETS = [("sepsis", 6.0), ("sepsis", 12.0), ("death", 24.0)]
VARIABLES, STATICS, NEVER = 5, 3, 4
ROWS = np.arange(6)
Without = Callable[[Ragged, np.ndarray], Ragged]


def built(kind: Callable[..., SequenceModel] = LSTM) -> SequenceModel:
    torch.manual_seed(2)
    model = kind(VARIABLES, STATICS, TARGETS, hidden=8).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.4 * torch.randn_like(weight)
    return model


class Counts(SequenceModel):
    """logit_t = sum over s <= t of w . mask_s + u . static: every observation is worth its weight."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.weight, self.fixed = (
            nn.Parameter(torch.tensor([1.0, -2, 3, 0.5, 9])),
            nn.Parameter(torch.tensor([1.0, 2, 3])),
        )

    def forward(self, batch: Batch) -> Tensor:
        return ((batch.mask @ self.weight).cumsum(1) + (batch.static @ self.fixed)[:, None])[:, :, None]

    states = initial_state = advance = None  # type: ignore[assignment]  # a closed form has no memory


def asked(batch: Batch) -> tuple[Tensor, Tensor]:
    """The last step of every stay, or one before it, and the targets in turn."""
    return (batch.lengths - 1 - torch.tensor([0, 4, 0, 2, 0, 0])), torch.arange(len(batch.lengths)) % len(TARGETS)


def same(one: Explanation, other: Explanation) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other))


@pytest.mark.parametrize("kind", [LSTM, BiLSTM])
@pytest.mark.parametrize("stride", [1.0, 2.0, 4.0])
def test_equals_loops_over_windows_and_assemblies(
    kind: type[SequenceModel], stride: float, ward: Ragged, scaler: Scaler, stays: Batch, without: Without
) -> None:
    model, (step, target) = built(kind), asked(stays)
    step = step if model.causal else stays.lengths - 1
    window = 4.0

    def logits(hidden: np.ndarray, statics: np.ndarray) -> np.ndarray:
        batch = assemble(without(ward, hidden), ROWS, scaler, stays.hours.shape[1]).tensors()
        batch = batch._replace(static=batch.static * torch.from_numpy(~statics))
        with torch.no_grad():
            return model(batch)[ROWS, step, target].double().numpy()

    none, fixed = np.zeros(stays.values.shape, bool), np.zeros(stays.static.shape, bool)
    hours, until = stays.hours.numpy(), np.arange(stays.hours.shape[1]) <= step.numpy()[:, None]
    seen, end = (stays.mask.numpy() > 0) & until[:, :, None], hours[ROWS, step][:, None]
    full, total, held = logits(none, fixed), np.zeros(none.shape), np.zeros(none.shape)
    for variable in range(VARIABLES):
        for k in range(-8, 30):
            high = end - k * stride
            cells = none.copy()
            cells[:, :, variable] = (hours > high - window + 1e-3) & (hours <= high + 1e-3) & seen[:, :, variable]
            number = cells.sum((1, 2))[:, None, None]
            total += cells * (full - logits(cells, fixed))[:, None, None] / np.maximum(number, 1)
            held += cells
    expected = total / np.maximum(held, 1)
    found = Occlusion(window_hours=window, stride_hours=stride)(model, stays, step, target)
    assert (np.abs(expected) > 0.05).any()
    np.testing.assert_allclose(found.values, expected, atol=2e-6)
    for static in range(STATICS):
        away = fixed.copy()
        away[:, static] = True
        np.testing.assert_allclose(found.static[:, static], full - logits(none, away), atol=2e-6)
    np.testing.assert_allclose(found.logit, full, atol=2e-6)
    np.testing.assert_allclose(found.baseline_logit, logits(~none & until[:, :, None], ~fixed), atol=2e-6)
    sums = found.values.sum((1, 2)) + found.static.sum(1)
    np.testing.assert_allclose(found.gap, np.abs(sums - (found.logit - found.baseline_logit)), atol=1e-12)
    assert (found.explained == (found.gap < 0.01)).all()
    assert not found.explained.all()


@pytest.mark.parametrize("stride", [1.0, 2.0, 6.0])
def test_an_observation_of_an_additive_model_is_worth_its_weight(stride: float, stays: Batch) -> None:
    model, step = Counts().eval(), asked(stays)[0]
    found = Occlusion(window_hours=6.0, stride_hours=stride)(model, stays, step, torch.zeros_like(step))
    until = (np.arange(stays.hours.shape[1]) <= step.numpy()[:, None])[:, :, None]
    np.testing.assert_allclose(found.values, stays.mask.numpy() * until * model.weight.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(found.static, (stays.static * model.fixed).detach().numpy(), atol=1e-5)
    assert found.explained.all()


def test_what_a_prediction_did_not_use_gets_exactly_zero(stays: Batch) -> None:
    step, target = asked(stays)
    found = Occlusion()(built(), stays, step, target)
    later = np.arange(stays.hours.shape[1]) > step.numpy()[:, None]
    assert not found.values[later].any()
    assert not found.values[:, :, NEVER].any()
    assert not found.values[stays.mask.numpy() == 0].any()
    assert not found.static[stays.static.numpy() == 0].any()
    assert not found.mask.any()
    assert not found.delta.any()
    assert found.values.shape == tuple(stays.values.shape)


def test_the_future_changes_no_bit(stays: Batch) -> None:
    step, target = torch.tensor([2, 2, 2, 2, 2, 0]), asked(stays)[1]
    values, mask, delta = (torch.cat([part[:, :3], 1 - part[:, 3:]], dim=1) for part in stays[:3])
    inside = torch.arange(14)[None, :, None] < stays.lengths[:, None, None]
    values, mask, delta = (torch.where(inside, part, 0) for part in (values, mask, delta))
    values[5], mask[5], delta[5] = (part[5] for part in stays[:3])
    model = built()
    found = Occlusion()(model, stays._replace(values=values, mask=mask, delta=delta), step, target)
    assert same(found, Occlusion()(model, stays, step, target))


def test_batch_mates_and_chunks_do_not_matter(stays: Batch) -> None:
    model, (step, target) = built(), asked(stays)
    together = Occlusion()(model, stays, step, target)
    assert same(together, Occlusion()(model, stays, step, target))
    others = [Occlusion(batch_steps=30)(model, stays, step, target)]
    rows = [Batch(*(part[row : row + 1] for part in stays)) for row in ROWS]
    alone = [Occlusion()(model, one, step[r : r + 1], target[r : r + 1]) for r, one in enumerate(rows)]
    others.append(Explanation(*(np.concatenate(parts) for parts in zip(*alone))))
    for other in others:
        for name in Explanation._fields:
            np.testing.assert_allclose(getattr(other, name), getattr(together, name), atol=5e-6)


def test_windows_that_hide_the_same_are_evaluated_once(stays: Batch) -> None:
    step, target = asked(stays)
    long = Occlusion(window_hours=100.0, stride_hours=100.0)(built(), stays, step, target)
    fine = Occlusion(window_hours=100.0, stride_hours=1.0)(built(), stays, step, target)
    used = (stays.mask.numpy() > 0) & (np.arange(14) <= step.numpy()[:, None])[:, :, None]
    assert (long.evaluations == 2 + used.any(1).sum(1) + (stays.static.numpy() != 0).sum(1)).all()
    assert (fine.evaluations <= 2 + 2 * used.sum((1, 2)) + (stays.static.numpy() != 0).sum(1)).all()


def test_a_stay_with_nothing_to_hide_has_no_effects(stays: Batch) -> None:
    zero = torch.zeros_like
    empty = stays._replace(values=zero(stays.values), mask=zero(stays.mask), static=zero(stays.static))
    found = Occlusion()(built(), empty, *asked(stays))
    assert not found.values.any()
    assert not found.gap.any()
    assert (found.evaluations == 2).all()


def test_arguments_are_checked() -> None:
    assert plugins.build("explainers", {"name": "occlusion", "window_hours": 8.0, "stride_hours": 2.0}).strides == 4
    for arguments in (
        {"stride_hours": 4.0},
        {"stride_hours": 0.0},
        {"window_hours": -6.0},
        {"window_hours": float("nan")},
    ):
        with pytest.raises(InputError, match="must be a multiple of stride_hours"):
            Occlusion(**arguments)
    with pytest.raises(InputError, match="batch_steps at least 1"):
        Occlusion(batch_steps=0)
