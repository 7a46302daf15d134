from __future__ import annotations

import math

import pytest
import torch

from clinical_lstm.training.losses import weighted_bce


def test_loss_is_the_weighted_sum_of_cross_entropies() -> None:
    logits = torch.tensor([[[0.0], [2.0]], [[-1.0], [3.0]]])
    target = torch.tensor([[[1.0], [1.0]], [[0.0], [0.0]]])
    weight = torch.tensor([[[1.0], [0.5]], [[2.0], [0.0]]])
    expected = math.log(2) + 0.5 * math.log1p(math.exp(-2)) + 2 * math.log1p(math.exp(-1))
    assert weighted_bce(logits, target, weight).item() == pytest.approx(expected, abs=1e-6)


def test_rows_of_no_weight_have_no_gradient() -> None:
    logits = torch.randn(3, 4, 2, requires_grad=True)
    weight = (torch.rand(3, 4, 2) < 0.5).float()
    weighted_bce(logits, torch.ones(3, 4, 2), weight).backward()
    assert torch.equal(logits.grad != 0, weight != 0)


def test_padding_does_not_change_the_loss() -> None:
    logits, target, weight = torch.randn(2, 5, 1), torch.ones(2, 5, 1), torch.rand(2, 5, 1)
    longer = [
        torch.cat([part, fill * torch.ones(2, 9, 1)], 1) for part, fill in [(logits, 7), (target, 0), (weight, 0)]
    ]
    assert torch.allclose(weighted_bce(logits, target, weight), weighted_bce(*longer))


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[[300.0], [-300.0]]])
    assert weighted_bce(logits, torch.tensor([[[0.0], [1.0]]]), torch.ones(1, 2, 1)).item() == pytest.approx(600)
