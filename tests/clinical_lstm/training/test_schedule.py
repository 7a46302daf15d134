from __future__ import annotations

import pytest
import torch

from clinical_lstm.training.schedule import scheduler


def run(schedule: str, steps: int = 20, share: float = 0.25) -> tuple[list[float], list[float]]:
    """Return rate and first momentum at every step."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    plan = scheduler(optimiser, schedule, 0.1, steps, share)
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        momenta.append(optimiser.param_groups[0]["betas"][0])
        optimiser.step()
        plan.step()
    return rates, momenta


def test_constant_warms_up_in_a_straight_line_and_stays() -> None:
    rates, momenta = run("constant")
    assert rates == pytest.approx([0.02, 0.04, 0.06, 0.08] + [0.1] * 16)
    assert set(momenta) == {0.9}
    assert run("constant", steps=3, share=0.0)[0] == [0.1] * 3


def test_one_cycle_has_the_rates_of_cosine_and_mirrors_them_in_the_momentum() -> None:
    (rates, momenta), (cosine, fixed) = run("one_cycle"), run("cosine")
    assert rates == cosine and set(fixed) == {0.9}
    assert momenta.index(min(momenta)) == rates.index(max(rates))
    assert min(momenta) == pytest.approx(0.85) and max(momenta) == pytest.approx(0.95)
