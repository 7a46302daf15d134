"""The ridge finds a planted line, whatever the scale of its columns, and lets validation choose the penalty."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.baselines.logistic_regression import LogisticRegression


def _line(n: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, columns))
    return rows, (random.random(n) < 1 / (1 + np.exp(-(rows[:, 0] - 1)))).astype(int)


def test_a_planted_line_is_found() -> None:
    rows, label = _line(50_000, 2)
    baseline = LogisticRegression(strengths=[10.0]).fit(rows, label)
    found = baseline.logits(np.array([[-1.0, 3.0], [1.0, -3.0]]))
    assert found == pytest.approx([-2, 0], abs=0.1)


def test_units_and_unknown_or_constant_columns_do_not_matter() -> None:
    rows, label = _line(2000, 3)
    scaled = np.column_stack([rows * 1000 + 7, np.full(2000, np.nan), np.full(2000, 3.0)])
    one = LogisticRegression(strengths=[0.01]).fit(rows, label).logits(rows)
    two = LogisticRegression(strengths=[0.01]).fit(scaled, label).logits(scaled)
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_unknown_values_count_as_the_mean() -> None:
    rows, label = _line(2000, 3)
    baseline = LogisticRegression().fit(rows, label)
    known = np.append(rows.mean(axis=0), 0)[None, :3]
    np.testing.assert_allclose(baseline.logits(np.full((1, 3), np.nan)), baseline.logits(known), atol=1e-5)


def test_validation_chooses_a_strong_penalty_for_noise_and_a_weak_one_for_signal() -> None:
    random = np.random.default_rng(0)
    noise, coin = random.normal(size=(300, 100)), random.integers(0, 2, 600)
    fresh = random.normal(size=(300, 100))
    extremes = [1e-5, 10.0]
    by_noise = LogisticRegression(extremes).fit(noise, coin[:300], validation=(fresh, coin[300:]))
    rows, label = _line(3000, 5)
    by_signal = LogisticRegression(extremes).fit(rows, label, validation=_line(3000, 5, seed=1))
    assert (by_noise.strength, by_signal.strength) == (1e-5, 10.0)


def test_thinned_rows_keep_the_base_rate() -> None:
    rows, label = _line(20_000, 2)
    rare = (label == 1) & (np.arange(20_000) % 10 == 0)
    logits = LogisticRegression(strengths=[1.0], max_rows=5000).fit(rows, rare.astype(int)).logits(rows)
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(rare.mean(), rel=0.1)


def test_the_observation_process_can_be_left_out() -> None:
    assert LogisticRegression().features == "window"
    assert LogisticRegression(observation_process=False).features == "window_values"
