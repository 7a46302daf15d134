"""Regressions on cells equal scikit-learn's, one by one or together, and say where there is no maximum."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clinical_lstm.metrics.calibration.grouped import GroupedLogistic, solve_positive


def _counts(replicates: int = 6, cells: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = np.linspace(-4, 2, cells)
    rows = random.integers(0, 30, (replicates, cells)).astype(float)
    positives = random.binomial(rows.astype(int), 1 / (1 + np.exp(-(0.7 * x - 0.3)))).astype(float)
    return np.stack([np.ones(cells), x, x**2], axis=1), positives, rows


@pytest.mark.parametrize("ridge", [1e-9, 0.5])
def test_every_replicate_is_the_regression_of_scikit_learn(ridge: float) -> None:
    basis, positives, rows = _counts()
    found = GroupedLogistic(basis, ridge=np.array([0, ridge, ridge])).fit(positives, rows, np.zeros(3))
    for y, n, theta in zip(positives, rows, found, strict=True):
        label = np.repeat([1, 0], len(y))
        fit = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-12, max_iter=500)
        fit.fit(np.r_[basis, basis][:, 1:], label, sample_weight=np.r_[y, n - y])
        np.testing.assert_allclose(theta, [fit.intercept_[0], *fit.coef_[0]], atol=1e-6)


def test_the_start_the_neighbours_and_the_offset_do_not_matter() -> None:
    basis, positives, rows = _counts()
    model = GroupedLogistic(basis)
    together = model.fit(positives, rows, np.zeros(3))
    alone = np.concatenate([model.fit(positives[r : r + 1], rows[r : r + 1], np.zeros(3)) for r in range(6)])
    assert np.array_equal(together, alone)
    far = model.fit(positives, rows, np.array([20.0, -15.0, 8.0]))
    np.testing.assert_allclose(far, together, atol=1e-7)
    moved = GroupedLogistic(basis, offset=basis @ np.array([1.0, 2.0, 0.0])).fit(positives, rows, np.zeros(3))
    np.testing.assert_allclose(moved + np.array([1.0, 2.0, 0.0]), together, atol=1e-7)


def test_no_maximum_is_nan_and_leaves_the_others_alone() -> None:
    basis, positives, rows = _counts(3)
    positives[1] = 0
    rows[2] = 0
    positives[2] = 0
    found = GroupedLogistic(basis).fit(positives, rows, np.zeros(3))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_solutions_solve_their_equations() -> None:
    random = np.random.default_rng(3)
    factor = random.normal(size=(50, 5, 5))
    matrix, right = factor @ factor.transpose(0, 2, 1) + 0.1 * np.eye(5), random.normal(size=(50, 5))
    np.testing.assert_allclose(solve_positive(matrix, right), np.linalg.solve(matrix, right[..., None])[..., 0])
