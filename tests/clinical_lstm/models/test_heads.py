from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from clinical_lstm.errors import InputError
from clinical_lstm.models.heads import HazardHead, RiskHead, make_head

TARGETS = [("death", 24.0), ("sepsis", 6.0), ("sepsis", 12.0), ("sepsis", 24.0)]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_logits_cumulate_over_the_horizons_of_one_complication() -> None:
    head = RiskHead(1, TARGETS)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0], [2.0], [-1.0], [0.5]]))
        head.linear.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    found = head(torch.tensor([2.0])).tolist()
    first = 2 * 2.0 + 0.2
    second = first + softplus(-2.0 + 0.3)
    assert found == pytest.approx([2.1, first, second, second + softplus(1.4)], abs=1e-6)


def test_single_horizons_are_a_linear_layer() -> None:
    head, hidden = RiskHead(3, [("death", 24.0), ("sepsis", 6.0)]), torch.randn(2, 5, 3)
    assert torch.equal(head(hidden), head.linear(hidden))


def test_logits_rise_with_the_horizon_for_any_state() -> None:
    torch.manual_seed(0)
    logits = RiskHead(8, TARGETS)(100 * torch.randn(1000, 8))
    assert (logits[:, 1:].diff(dim=1) >= 0).all()
    assert (logits[:, 0] > logits[:, 1]).any(), "another complication is not tied to this one"


@pytest.mark.parametrize("rates", [[0.5, 0.02, 0.03, 0.2], [0.01, 0.1, 0.4, 0.401]])
def test_bias_gives_the_base_rates(rates: list[float]) -> None:
    head = RiskHead(4, TARGETS)
    head.start_at(np.array(rates))
    found = torch.sigmoid(head(torch.zeros(4))).tolist()
    assert found[:3] == pytest.approx(rates[:3], rel=1e-4)
    assert found[3] == pytest.approx(rates[3], rel=0.01)  # horizons start at least 0.01 logits apart


def test_base_rates_of_zero_one_and_falling_ones_stay_finite() -> None:
    head = RiskHead(4, TARGETS)
    head.start_at(np.array([0.0, 1.0, 0.5, 0.5]))
    found = torch.sigmoid(head(torch.zeros(4)))
    assert found[0].item() == pytest.approx(1e-4, rel=1e-3)
    assert found[1].item() == pytest.approx(1 - 1e-4, rel=1e-3)
    assert found[1] < found[2] < found[3]


def test_targets_out_of_order_are_refused() -> None:
    for horizons in ([12.0, 6.0], [6.0, 6.0]):
        with pytest.raises(ValueError, match="sorted"):
            RiskHead(4, [("sepsis", h) for h in horizons])


HALVES = [("death", 24.0), ("sepsis", 1.0), ("sepsis", 6.5), ("sepsis", 12.0)]  # 6.5 h count the 7th hour


def hazard_head(width: int = 3, seed: int = 0) -> HazardHead:
    torch.manual_seed(seed)
    return HazardHead(width, HALVES).double()


def test_a_risk_is_what_the_hazards_of_its_hours_leave_unsurvived() -> None:
    head = hazard_head()
    hidden = torch.randn(3, dtype=torch.float64)
    hazard = torch.sigmoid(head.linear(hidden)).tolist()  # hours 1..24 of death, then of sepsis
    expected = []
    for first, hours in [(0, 24), (24, 1), (24, 7), (24, 12)]:
        survived = 1.0
        for hour in range(hours):
            survived *= 1 - hazard[first + hour]
        expected.append(1 - survived)
    assert torch.sigmoid(head(hidden)).tolist() == pytest.approx(expected, rel=1e-12)


def test_hazards_are_the_logits_of_every_hour() -> None:
    head = hazard_head()
    hidden = torch.randn(2, 5, 3, dtype=torch.float64)
    assert head.hazards(hidden).shape == (2, 5, 2, 24)
    assert torch.equal(head.hazards(hidden).flatten(2), head.linear(hidden))
    assert head(hidden).shape == (2, 5, 4)


@pytest.mark.parametrize("rates", [[0.5, 0.02, 0.03, 0.2], [0.01, 0.1, 0.4, 0.401], [0.9, 2e-4, 3e-4, 0.5]])
def test_hazards_start_at_the_base_rates(rates: list[float]) -> None:
    head = hazard_head()
    head.start_at(np.array(rates))
    assert torch.sigmoid(head(torch.zeros(3, dtype=torch.float64))).tolist() == pytest.approx(rates, rel=1e-6)


def test_hazards_of_falling_and_impossible_base_rates_stay_finite() -> None:
    head = hazard_head()
    head.start_at(np.array([0.0, 1.0, 0.5, 0.0]))
    found = torch.sigmoid(head(torch.zeros(3, dtype=torch.float64)))
    assert found[0].item() == pytest.approx(1e-4, rel=1e-6)
    assert found[1].item() == pytest.approx(1 - 1e-4, rel=1e-6)
    assert found[1] < found[2] < found[3]


@pytest.mark.parametrize("size", [1.0, 100.0, 1e6])
def test_hazard_risks_of_any_state_rise_and_are_finite(size: float) -> None:
    head = hazard_head().float()
    hidden = (size * torch.randn(1000, 3)).requires_grad_()
    logits = head(hidden)
    assert logits.isfinite().all()
    assert (logits[:, 1:].diff(dim=1) >= 0).all()
    assert (logits[:, 0] > logits[:, 1]).any(), "another complication is not tied to this one"
    logits.sum().backward()
    assert hidden.grad.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in head.parameters())


def test_a_head_is_made_by_its_name() -> None:
    assert type(make_head("cumulative", 3, TARGETS)) is RiskHead
    assert type(make_head("hazard", 3, TARGETS)) is HazardHead
    with pytest.raises(InputError, match="did you mean 'hazard'"):
        make_head("hasard", 3, TARGETS)
    with pytest.raises(ValueError, match="sorted"):
        HazardHead(3, [("sepsis", 12.0), ("sepsis", 6.0)])
