"""The smooth curve equals a fit by scikit-learn, finds what is known, and its errors are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clinical_lstm.metrics.calibration import smooth as s
from clinical_lstm.metrics.calibration.logits import logit, sigmoid


def _rows(n: int = 4000, bent: float = 0.0, digits: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    z = random.normal(-2, 1.3, n)
    risk = np.clip(np.round(sigmoid(z), digits), 0.001, 0.999)
    return (random.random(n) < sigmoid(logit(risk) + bent * np.sin(logit(risk)))).astype(int), risk


def test_curve_is_the_regression_of_scikit_learn_on_the_same_basis() -> None:
    label, risk = _rows(bent=0.8)
    x = logit(risk)
    knots = s.spline_knots(label, risk)
    assert np.isin(knots, x).all()
    assert len(knots) == 5
    basis = s.spline_basis(x, knots)[:, 1:]
    fit = LogisticRegression(C=1 / s.RIDGE, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(basis, label)
    expected = fit.predict_proba(basis)[:, 1]
    np.testing.assert_allclose(s.smooth_curve(label, risk, risk), expected, atol=1e-8)
    distance = np.abs(expected - risk)
    found = s.smooth_errors(label, risk)
    quantiles = np.quantile(distance, [0.5, 0.9], method="inverted_cdf")
    np.testing.assert_allclose(found, [distance.mean(), *quantiles, distance.max()], atol=1e-8)


def test_basis_is_linear_outside_the_knots_and_smooth_between() -> None:
    knots = np.array([-2.0, -1.0, 0.5, 1.0, 3.0])
    x = np.linspace(-5, 6, 1101)
    basis = s.spline_basis(x, knots)
    bends = np.abs(np.diff(basis, n=2, axis=0)).max(axis=1)
    outside = (x[1:-1] < -2.02) | (x[1:-1] > 3.02)
    assert bends[outside].max() < 1e-11
    assert np.abs(np.diff(basis, n=3, axis=0)).max() < 1e-4, "the second derivative has no jump"
    assert np.linalg.matrix_rank(basis) == 5


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.5])
def test_a_known_shift_of_the_logit_is_found_exactly(shift: float) -> None:
    risk = np.repeat(sigmoid(np.linspace(-5, 1, 400)), 2)
    true = sigmoid(logit(risk) + shift)
    label = np.tile([0, 1], 400)
    weight = 1e6 * np.where(label == 1, true, 1 - true)  # each risk comes true exactly as often as `true` says
    distance = np.abs(true - risk)
    expected = [distance.mean(), *np.quantile(distance, [0.5, 0.9], method="inverted_cdf"), distance.max()]
    np.testing.assert_allclose(s.smooth_errors(label, risk, weight), expected, atol=1e-5)
    np.testing.assert_allclose(s.smooth_curve(label, risk, risk, weight), true, atol=1e-5)


def test_true_risks_lie_on_the_diagonal_and_exaggerated_ones_do_not() -> None:
    random = np.random.default_rng(1)
    risk = random.beta(1, 8, 200_000)
    label = (random.random(len(risk)) < risk).astype(int)
    assert s.smooth_errors(label, risk).ici < 0.003
    doubled = np.minimum(2 * risk, 1)
    assert s.smooth_errors(label, doubled).ici == pytest.approx(np.abs(doubled - risk).mean(), abs=0.004)


def test_cells_of_many_risks_give_the_errors_of_the_rows() -> None:
    label, risk = _rows(20_000, bent=0.6, digits=9)
    knots = s.spline_knots(label, risk)
    cells = s.cells_of(risk, most=len(risk))
    assert len(cells.logit) > 19_000
    y, n = np.bincount(cells.cell, label)[None], np.bincount(cells.cell).astype(float)[None]
    each = s.SmoothFit(cells, knots)
    exact = each.errors(each.theta(y, n), n)
    np.testing.assert_allclose(s.smooth_errors(label, risk), np.ravel(exact), atol=1e-4)


def test_few_events_get_few_knots_and_few_risks_no_more_than_they_are() -> None:
    risk = np.linspace(0.01, 0.99, 501)
    label = np.arange(501) < 100
    at = [0.05, 0.275, 0.5, 0.725, 0.95]
    np.testing.assert_allclose(sigmoid(s.spline_knots(label, risk)), np.quantile(risk, at, method="inverted_cdf"))
    fewer, at = np.arange(501) < 99, [0.1, 0.5, 0.9]
    np.testing.assert_allclose(sigmoid(s.spline_knots(fewer, risk)), np.quantile(risk, at, method="inverted_cdf"))
    np.testing.assert_allclose(sigmoid(s.spline_knots(label, np.where(label, 0.5, 0.2))), [0.2, 0.5])
    assert s.spline_basis(np.zeros(3), np.zeros(1)).tolist() == [[1, 0]] * 3, "one knot: a constant"


def test_weights_count_rows_literally() -> None:
    label, risk = _rows(300, digits=2)
    weight = np.random.default_rng(2).integers(0, 4, 300)
    again = np.repeat(np.arange(300), weight)
    weighted, repeated = s.smooth_errors(label, risk, weight.astype(float)), s.smooth_errors(label[again], risk[again])
    np.testing.assert_allclose(weighted, repeated, atol=1e-9)


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_and_no_rows_are_undefined(label: list[int]) -> None:
    risk = np.array([0.1, 0.5, 0.9])[: len(label)]
    assert np.isnan(s.smooth_errors(np.array(label), risk)).all()
    assert np.isnan(s.smooth_curve(np.array(label), risk, np.array([0.2]))).all()


def test_separated_classes_risks_of_0_and_1_and_one_risk_have_a_curve() -> None:
    label = np.array([0, 0, 0, 1, 1, 1])
    apart = s.smooth_errors(label, np.array([0.0, 0.0, 0.2, 0.7, 1.0, 1.0]))
    assert np.isfinite(apart).all()
    assert apart.ici < 0.1, "the risks are right but for the 0.2 and 0.7"
    same = s.smooth_errors(label, np.full(6, 0.3))
    np.testing.assert_allclose(same, 0.2, atol=1e-9)
