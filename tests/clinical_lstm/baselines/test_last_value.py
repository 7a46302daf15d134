"""The last values alone: a planted line is found, and nothing but the values is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.baselines.last_value import LastValue
from clinical_lstm.baselines.logistic_regression import LogisticRegression


def test_it_is_the_ridge_on_another_matrix() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 2)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    label = (random.random(3000) < 1 / (1 + np.exp(1 - np.nan_to_num(rows[:, 0])))).astype(int)
    held = rows[2000:], label[2000:]
    one = LastValue(strengths=[0.01, 1.0]).fit(rows[:2000], label[:2000], validation=held)
    other = LogisticRegression(strengths=[0.01, 1.0]).fit(rows[:2000], label[:2000], validation=held)
    assert (one.features, other.features) == ("last", "window")
    assert np.array_equal(one.logits(rows), other.logits(rows))
    assert one.logits(np.array([[1.0, 0.0]], np.float32)) == pytest.approx(0, abs=0.3)
