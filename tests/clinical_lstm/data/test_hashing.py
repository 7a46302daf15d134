from __future__ import annotations

import numpy as np

from clinical_lstm.data.hashing import uniform


def test_draws_are_uniform_and_follow_seed_and_name() -> None:
    draws = np.array([[uniform(seed, f"p{i}") for i in range(4000)] for seed in (0, 1)])
    assert draws.min() >= 0 and draws.max() < 1
    assert np.abs(np.histogram(draws, bins=10, range=(0, 1))[0] / draws.size - 0.1).max() < 0.01
    assert abs(np.corrcoef(draws)[0, 1]) < 0.05
    assert uniform(0, "p1") != uniform(0, "p2")
