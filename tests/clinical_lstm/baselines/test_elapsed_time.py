"""The clock alone finds a planted bump in the hazard and does not run away outside the hours of training."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.baselines.elapsed_time import ElapsedTime


def test_a_bump_in_the_hazard_is_found() -> None:
    random = np.random.default_rng(0)
    hours = random.integers(1, 49, 60_000).astype(np.float32)[:, None]
    truth = np.where((hours > 20) & (hours <= 30), 0.3, 0.05)[:, 0]
    label = (random.random(len(hours)) < truth).astype(int)
    logits = ElapsedTime().fit(hours, label).logits(np.array([[5.0], [25.0], [45.0]]))
    assert 1 / (1 + np.exp(-logits)) == pytest.approx([0.05, 0.3, 0.05], abs=0.04)


def test_logits_are_constant_outside_the_hours_of_training() -> None:
    hours = np.arange(1.0, 41.0)[:, None]
    baseline = ElapsedTime().fit(hours, (np.arange(40) > 25).astype(int))
    low, first, last, high = baseline.logits(np.array([[-5.0], [1.0], [40.0], [500.0]]))
    assert (low, high) == (first, last)


def test_a_single_hour_gives_the_base_rate() -> None:
    hours, label = np.full((40, 1), 48.0), (np.arange(40) < 10).astype(int)
    assert ElapsedTime().fit(hours, label).logits(hours[:1]) == pytest.approx(np.log(1 / 3), abs=1e-4)
