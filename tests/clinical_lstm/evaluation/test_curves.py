"""Curves keep their shape with few points, and their areas are the areas that the metrics state."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm.evaluation.curves import curves_of, decimate
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics import discrimination

KEY = {"predictor": "model", "complication": "sepsis", "horizon_hours": 6.0}


def _rows(n: int, prevalence_logit: float = -2.0, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    risk = np.sort(1 / (1 + np.exp(-random.normal(prevalence_logit, 1.3, n))))
    label = (random.random(n) < risk).astype(np.int8)
    code, none = np.arange(n), np.zeros(n)
    return Rows(code, code, np.full(n, "A", object), label, risk, none > 0, none, none)


def _curve(table: pl.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part = table.filter(pl.col("curve") == name)
    return part["x"].to_numpy(), part["y"].to_numpy(), part["n"].to_numpy()


def test_decimated_roc_keeps_its_area_and_ends() -> None:
    rows = _rows(30_000)
    x, y, _ = _curve(curves_of(rows, KEY), "roc")
    assert 100 < len(x) <= 400
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(discrimination.auroc(rows.label, rows.risk), abs=5e-4)


def test_decimated_precision_recall_lies_on_the_curve_and_keeps_its_area() -> None:
    rows = _rows(30_000)
    x, y, n = _curve(curves_of(rows, KEY), "pr")
    assert len(x) <= 400
    positives = rows.label.sum()
    np.testing.assert_allclose(x * positives, y * n, atol=1e-9)  # both count the true alarms
    area = np.trapezoid(y, x) + x[0] * y[0]
    assert area == pytest.approx(discrimination.average_precision(rows.label, rows.risk), abs=5e-3)


def test_hand_worked_curves() -> None:
    code, none = np.arange(4), np.zeros(4)
    risk, label = np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1], np.int8)
    table = curves_of(Rows(code, code, np.full(4, "A", object), label, risk, none > 0, none, none), KEY)
    x, y, n = _curve(table, "roc")
    assert (x.tolist(), y.tolist(), n.tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 1, 1], [0, 1, 3, 4])
    x, y, n = _curve(table, "pr")
    assert (x.tolist(), y.tolist()) == ([0.5, 1, 1], [1, pytest.approx(2 / 3), 0.5])
    x, y, n = _curve(table, "calibration")
    assert (x.tolist(), y.tolist(), n.tolist()) == (pytest.approx([0.1, 0.4, 0.8]), [0, 0.5, 1], [1, 2, 1])


def test_calibration_bins_hold_all_rows_equally() -> None:
    x, y, n = _curve(curves_of(_rows(30_000), KEY), "calibration")
    assert n.tolist() == [2000] * 15
    assert (np.diff(x) > 0).all()
    np.testing.assert_allclose(x, y, atol=0.05)


def test_one_class_has_no_roc() -> None:
    rows = _rows(50)
    kinds = {label: set(curves_of(rows.where(rows.label == label), KEY)["curve"]) for label in (0, 1)}
    assert kinds == {0: {"calibration"}, 1: {"calibration", "pr"}}


def test_decimation_never_leaves_a_gap() -> None:
    x = np.sort(np.random.default_rng(0).random(5000) ** 4)
    kept = decimate(x, x)
    assert len(kept) <= 400
    assert {0, 4999} <= set(kept.tolist())
    gap = np.diff(x[kept])
    assert ((gap < 2 / 198) | (np.diff(kept) == 1)).all()
