"""Calibration metrics meet the reference cases, their invariants and a fit by scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from clinical_lstm.metrics import calibration as c

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"
METRICS = (c.brier, c.log_loss, c.in_the_large, c.ece_equal_width, c.ece_equal_mass)


def _cases() -> list[Any]:
    path = REFERENCE / "metric_cases.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{path} is absent"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text())["cases"]]


def _close(value: float, expected: float | None, tolerance: float = 1e-9) -> bool:
    return np.isnan(value) if expected is None else abs(value - expected) <= tolerance


rows = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=40)


@pytest.mark.parametrize("case", _cases())
def test_reference_cases(case: dict[str, Any]) -> None:
    y, p, expected = np.array(case["y"]), np.array(case["p"]), case["expected"]
    assert _close(c.brier(y, p), expected["brier"])
    assert _close(c.log_loss(y, p), expected["log_loss"])
    slope, intercept = c.calibration_line(y, p)
    assert _close(slope, expected["calibration_slope"], 1e-6)
    assert _close(intercept, expected["calibration_intercept"], 1e-6)
    assert _close(c.in_the_large(y, p), expected["calibration_in_the_large"], 1e-6)
    assert _close(c.ece_equal_width(y, p), expected["ece_equal_width_15"])
    assert _close(c.ece_equal_mass(y, p), expected["ece_equal_mass_15"])


@given(rows)
@settings(max_examples=80, deadline=None)
def test_weights_count_rows_literally(sample: list[tuple[int, int, int]]) -> None:
    y, p, w = (np.array(column) for column in zip(*sample, strict=True))
    again = np.repeat(np.arange(len(y)), w)
    for metric in METRICS:
        weighted, repeated = metric(y, p / 10, w.astype(float)), metric(y[again], p[again] / 10)
        assert weighted == pytest.approx(repeated, abs=1e-9, nan_ok=True), metric.__name__
    weighted, repeated = c.calibration_line(y, p / 10, w.astype(float)), c.calibration_line(y[again], p[again] / 10)
    assert weighted == pytest.approx(repeated, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.3, -2.0), (3.0, 1.5)])
def test_line_equals_scikit_learn_and_forgets_its_start(slope: float, intercept: float) -> None:
    random = np.random.default_rng(1)
    z = random.normal(-1, 1.5, 3000)
    y = (random.random(3000) < 1 / (1 + np.exp(-(intercept + slope * z)))).astype(int)
    p = 1 / (1 + np.exp(-z))
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z[:, None], y)
    expected = (float(fit.coef_[0, 0]), float(fit.intercept_[0]))
    assert c.calibration_line(y, p) == pytest.approx(expected, abs=1e-5)
    again = c.CalibrationFit(y, p)
    assert again.line(start=(5.0, 4.0)) == pytest.approx(c.calibration_line(y, p), abs=1e-8)
    assert again.in_the_large(start=30.0) == pytest.approx(c.in_the_large(y, p), abs=1e-8)


def test_true_risks_are_calibrated() -> None:
    random = np.random.default_rng(2)
    p = random.beta(1, 6, 100_000)
    y = (random.random(len(p)) < p).astype(int)
    slope, intercept = c.calibration_line(y, p)
    assert abs(slope - 1) < 0.03
    assert abs(intercept) < 0.06
    assert abs(c.in_the_large(y, p)) < 0.03
    assert c.ece_equal_width(y, p) < 0.01
    assert c.ece_equal_mass(y, p) < 0.01
    assert c.ece_equal_mass(y, np.minimum(p * 2, 1)) > 0.1


def test_shifting_the_logit_shifts_only_the_intercept() -> None:
    random = np.random.default_rng(3)
    z = random.normal(-1, 1, 2000)
    y = (random.random(2000) < 1 / (1 + np.exp(-z))).astype(int)
    slope, intercept = c.calibration_line(y, 1 / (1 + np.exp(-z)))
    moved, lower = c.calibration_line(y, 1 / (1 + np.exp(-(z + 1))))
    assert moved == pytest.approx(slope, abs=1e-8)
    assert lower == pytest.approx(intercept - slope, abs=1e-8)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_line(label: int) -> None:
    y, p = np.full(4, label), np.array([0.1, 0.2, 0.2, 0.9])
    assert np.isnan([*c.calibration_line(y, p), c.in_the_large(y, p)]).all()
    assert np.isfinite([c.brier(y, p), c.log_loss(y, p), c.ece_equal_mass(y, p)]).all()


def test_no_rows_are_undefined() -> None:
    nothing = np.zeros(0)
    assert np.isnan([metric(nothing, nothing) for metric in METRICS]).all()
    assert np.isnan(c.calibration_line(nothing, nothing)).all()
