"""Refined paths: any two ends, the bound on the gap, prefixes of other lengths, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.paths import AdaptivePaths
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.bilstm import BiLSTM
from clinical_lstm.models.lstm import LSTM

TARGETS = [("sepsis", 6.0), ("death", 6.0)]
USUAL = {"nodes": 4, "min_depth": 3, "max_depth": 16, "max_evaluations": 1000, "batch_steps": 3072}


class Step(SequenceModel):
    """logit_t = tanh(sharpness * (sum of all values up to t - edge)): as steep as wished, anywhere on the path."""

    def __init__(self, sharpness: float, edge: float) -> None:
        nn.Module.__init__(self)
        self.sharpness, self.edge = nn.Parameter(torch.tensor(sharpness)), nn.Parameter(torch.tensor(edge))

    def forward(self, batch: Batch) -> Tensor:
        total = batch.values.sum(2).cumsum(1)  # (B, T)
        return torch.tanh(self.sharpness * (total - self.edge))[:, :, None]

    states = initial_state = advance = None  # type: ignore[assignment]  # a closed form has no memory


def ones(batch: Batch) -> Batch:
    return batch._replace(values=torch.full_like(batch.values, 0.1))


def flat(found: Explanation) -> np.ndarray:
    return np.concatenate([part.reshape(len(part), -1) for part in found[:4]], axis=1)


@pytest.mark.parametrize("sharpness", [1.0, 30.0, 1000.0])
def test_a_step_anywhere_on_the_path_is_found_and_accounted_for(sharpness: float, stays: Batch) -> None:
    batch = ones(stays)
    step, target = stays.lengths - 1, torch.zeros_like(stays.lengths)
    empty = batch._replace(values=torch.zeros_like(batch.values))
    found = AdaptivePaths(tolerance=0.002, **USUAL)(Step(sharpness, 0.37).eval(), batch, empty, step, target)
    end = np.tanh(sharpness * (0.5 * stays.lengths.numpy() - 0.37))
    np.testing.assert_allclose(found.logit, end, atol=1e-3)
    missing = np.abs(flat(found).sum(1) - (found.logit - found.baseline_logit))
    assert (missing <= found.gap + 1e-12).all() and found.gap.max() < 0.002 and found.explained.all()
    share = found.values.sum((1, 2)) / (stays.lengths.numpy() * 5)  # all cells move alike: equal shares
    until = np.arange(stays.hours.shape[1]) < stays.lengths.numpy()[:, None]
    np.testing.assert_allclose(found.values[until], np.repeat(share, stays.lengths)[:, None].repeat(5, 1), atol=1e-6)
    assert found.evaluations.max() > (100 if sharpness == 1000 else 0), "a steep step takes refinement"


@pytest.mark.parametrize("kind", [LSTM, BiLSTM])
def test_the_way_back_is_the_way_there(kind: type[SequenceModel], stays: Batch) -> None:
    """The path from a to b and that from b to a have opposite attributions, and each end its own logit."""
    torch.manual_seed(1)
    model = kind(5, 3, TARGETS, hidden=8).eval()
    other = Batch(*(part.flip(0) for part in stays[:3]), stays.hours, stays.static.flip(0), stays.lengths)
    step, target = stays.lengths - 1, torch.arange(len(stays.lengths)) % 2
    paths = AdaptivePaths(tolerance=0.001, **USUAL)
    there, back = paths(model, stays, other, step, target), paths(model, other, stays, step, target)
    np.testing.assert_allclose(flat(there), -flat(back), atol=2e-4)
    assert np.abs(flat(there)).max() > 0.01
    assert np.array_equal(there.logit, back.baseline_logit) and np.array_equal(there.baseline_logit, back.logit)


def test_ends_that_are_the_same_get_exactly_zero(stays: Batch) -> None:
    torch.manual_seed(1)
    model = LSTM(5, 3, TARGETS, hidden=8).eval()
    step, target = stays.lengths - 1, torch.zeros_like(stays.lengths)
    partly = stays._replace(values=torch.zeros_like(stays.values))
    found = AdaptivePaths(tolerance=0.01, **USUAL)(model, stays, partly, step, target)
    assert found.values.any()
    assert not found.mask.any() and not found.delta.any() and not found.static.any()


def test_refuses_what_cannot_be_explained(stays: Batch) -> None:
    paths, ends = AdaptivePaths(tolerance=0.01, **USUAL), (stays, ones(stays))
    step, target = stays.lengths - 1, torch.zeros_like(stays.lengths)
    with pytest.raises(InputError, match="training mode"):
        paths(LSTM(5, 3, TARGETS, hidden=4), *ends, step, target)
    with pytest.raises(InputError, match="no finite logit for 6 prediction"):
        paths(Step(float("nan"), 0.0).eval(), *ends, step, target)
    with pytest.raises(InputError, match=r"at least 0\.001"):
        AdaptivePaths(tolerance=1e-4, **USUAL)
    with pytest.raises(InputError, match="at least 1"):
        AdaptivePaths(tolerance=0.01, **(USUAL | {"nodes": 0}))
