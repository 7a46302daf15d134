from __future__ import annotations

import math

import pytest
import torch

from clinical_lstm.training.losses import masked_squares, survival_loss, weighted_bce, weighted_focal


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


def test_focal_loss_is_that_of_the_paper_for_hard_labels() -> None:
    logits, target = torch.tensor([[[1.0], [-2.0]]]), torch.tensor([[[1.0], [0.0]]])
    weight = torch.tensor([[[1.0], [3.0]]])
    right = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-2))]  # p_t
    expected = (1 - right[0]) ** 2 * -math.log(right[0]) + 3 * (1 - right[1]) ** 2 * -math.log(right[1])
    assert weighted_focal(logits, target, weight, 2.0).item() == pytest.approx(expected, rel=1e-6)


def test_focal_loss_of_gamma_0_is_the_cross_entropy_and_a_soft_target_is_its_minimum() -> None:
    logits, target, weight = torch.randn(2, 5, 3), torch.rand(2, 5, 3), torch.rand(2, 5, 3)
    assert torch.allclose(weighted_focal(logits, target, weight, 0.0), weighted_bce(logits, target, weight))
    one, soft = torch.ones(1, 1, 1), torch.full((1, 1, 1), 0.3)
    found = [weighted_focal(torch.logit(torch.tensor([[[p]]])), soft, one, 2.0).item() for p in (0.1, 0.3, 0.5)]
    assert found[1] == min(found) == pytest.approx(0, abs=1e-6)


def test_survival_loss_is_the_likelihood_written_out() -> None:
    hazards = torch.tensor([[0.3, -1.0, 0.5], [2.0, 0.1, -0.4], [0.7, 0.7, 0.7], [9.0, 9.0, 9.0]])[:, None]  # (B, C, J)
    h = torch.sigmoid(hazards[:, 0]).tolist()
    in_hour_2 = -math.log(h[0][1]) - math.log(1 - h[0][0])
    lived_1 = -math.log(1 - h[1][0])
    lived_all = -sum(math.log(1 - p) for p in h[2])
    hours, event = torch.tensor([[2.0], [1.0], [3.0], [0.0]]), torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    found = survival_loss(hazards, hours, event).item()
    assert found == pytest.approx(in_hour_2 + lived_1 + lived_all, rel=1e-6)


def test_survival_likelihoods_of_all_that_can_happen_add_up_to_one() -> None:
    hazards = torch.randn(1, 5, dtype=torch.float64).expand(6, 5)[:, None]
    hours = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [5.0]], dtype=torch.float64)
    event = torch.tensor([[1.0]] * 5 + [[0.0]], dtype=torch.float64)
    each = [survival_loss(hazards[k : k + 1], hours[k : k + 1], event[k : k + 1]) for k in range(6)]
    assert torch.exp(-torch.stack(each)).sum().item() == pytest.approx(1, abs=1e-12)


def test_masked_squares_are_means_of_what_is_known() -> None:
    found, target = (
        torch.tensor([[1.0, 2.0], [5.0, 5.0], [3.0, 0.0]]),
        torch.tensor([[0.0, 4.0], [9.0, 9.0], [1.0, 7.0]]),
    )
    known = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    assert masked_squares(found, target, known).item() == pytest.approx((1 + 4) / 2 + 4)
    target[1] = math.nan
    assert masked_squares(found, target, known).item() == pytest.approx((1 + 4) / 2 + 4)


@pytest.mark.parametrize("name", ["bce", "focal", "survival", "squares"])
def test_gradients_are_right(name: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    target, weight = torch.rand(2, 3, 4, dtype=torch.float64), torch.rand(2, 3, 4, dtype=torch.float64)
    hours = torch.tensor([[2, 4, 0], [1, 3, 4]], dtype=torch.float64)
    event = torch.tensor([[1, 0, 0], [1, 1, 0]], dtype=torch.float64)
    losses = {
        "bce": lambda x: weighted_bce(x, target, weight),
        "focal": lambda x: weighted_focal(x, target, weight, 1.5),
        "survival": lambda x: survival_loss(x, hours, event),
        "squares": lambda x: masked_squares(x, target, (weight > 0.5).double()),
    }
    assert torch.autograd.gradcheck(losses[name], (logits,))
