from __future__ import annotations

import math

import numpy as np
import pytest

from clinical_lstm.training.smoothing import soft_label


def test_exponential_is_the_formula() -> None:
    found = soft_label(np.array([3.0, 5.0, 9.0]), 6.0, "exponential", 0.3, least=2.0)
    bottom = math.exp(-0.3 * 2) - math.exp(-0.3 * 12)
    expected = [(math.exp(-0.3 * d) - math.exp(-0.3 * 12)) / bottom for d in (3.0, 5.0, 9.0)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["exponential", "step"])
def test_it_is_1_near_the_onset_0_far_from_it_and_falls_between(kind: str) -> None:
    until = np.linspace(0.1, 30, 300)
    found = soft_label(until, 6.0, kind, 0.4, least=1.0)
    assert (found[until <= 1] == 1).all() and (found[until > 12] == 0).all()
    assert (np.diff(found) <= 0).all()
    assert ((found[(until > 1) & (until < 12)] > 0) & (found[(until > 1) & (until < 12)] < 1)).all()
    assert soft_label(np.array([np.inf]), 6.0, kind, 0.4).tolist() == [0]


def test_a_weak_exponential_is_a_straight_line_and_a_long_horizon_stays_finite() -> None:
    until = np.array([1.0, 4.0, 10.0])
    assert soft_label(until, 6.0, "exponential", 1e-9).tolist() == pytest.approx((1 - until / 12).tolist(), abs=1e-7)
    assert soft_label(until, 1e5, "exponential", 0.5).tolist() == pytest.approx(np.exp(-0.5 * until).tolist())


def test_a_longer_horizon_never_has_the_lower_target() -> None:
    until = np.linspace(0.1, 60, 500)
    short, long = (soft_label(until, h, "exponential", 0.1) for h in (6.0, 12.0))
    assert (long >= short).all()
