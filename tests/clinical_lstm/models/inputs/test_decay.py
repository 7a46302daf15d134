from __future__ import annotations

import math

import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.inputs.decay import Decay


def one(value: float, mask: float, delta: float) -> Batch:
    cell = torch.ones(1, 1, 1)
    return Batch(value * cell, mask * cell, delta * cell, torch.tensor([[60.0]]), torch.zeros(1, 0), torch.tensor([1]))


def faded(w: float, b: float, batch: Batch) -> float:
    decay = Decay(1)
    with torch.no_grad():
        decay.rate.fill_(w)
        decay.bias.fill_(b)
    return decay(batch).item()


def test_the_equations_written_out() -> None:
    for w, b, value, delta in [(0.5, 0.0, 2.0, 33.0), (0.1, 0.3, -1.0, 5.0), (-0.1, 0.5, 1.5, 48.0)]:
        gamma = math.exp(-max(0.0, w * delta / 24 + b))
        assert math.isclose(faded(w, b, one(value, 0, delta)), gamma * value, rel_tol=1e-6)
        assert faded(w, b, one(value, 1, delta)) == value, "what is observed now has not faded"


def test_nothing_grows_while_it_waits() -> None:
    assert faded(-3.0, -1.0, one(2.0, 0, 100.0)) == 2.0
    assert faded(3.0, 1.0, one(2.0, 0, 1e6)) == 0.0


def test_half_is_left_after_33_hours_at_the_start_and_the_pace_can_be_learned() -> None:
    decay = Decay(1)
    found = decay(one(2.0, 0, 24 * math.log(4)))
    assert math.isclose(found.item(), 1.0, rel_tol=1e-6)
    found.sum().backward()
    assert decay.rate.grad < 0
    assert decay.bias.grad < 0
