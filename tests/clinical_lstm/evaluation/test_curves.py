"""Curves keep their shape with few points, and their areas are the areas that the metrics state."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.evaluation.curves import curves_of, decimate
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics import calibration, decision_curve, discrimination
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.metrics.bootstrap import draws

KEY = {"predictor": "model", "complication": "sepsis", "horizon_hours": 6.0, "subset": "all"}
OPERATION = Operation(0.2, Policy(0.2, silence_hours=4.0))
ALL = {"roc", "pr", "calibration", "smooth", "decision", "event_pr", "by_onset", "auroc_by_onset"}


@pytest.fixture(scope="module")
def rows(ward: Any, rows_in: Any) -> Rows:
    """Rows of 1,500 patients whose risks are true."""
    return rows_in(ward(patients=1500, after=0.0))


@pytest.fixture(scope="module")
def curves(rows: Rows) -> pl.DataFrame:
    """Their curves."""
    return curves_of(rows, KEY, OPERATION)


def points(table: pl.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part = table.filter(pl.col("curve") == name)
    return part["x"].to_numpy(), part["y"].to_numpy(), part["n"].to_numpy()


def by_hand(risk: list[float], label: list[int], onset: float = 5.5) -> Rows:
    """Return the rows of one stay, hour by hour from 1."""
    n, none = len(risk), np.zeros(len(risk))
    return Rows(
        stay_id=np.full(n, "s", object),
        stay=none.astype(int),
        patient=none.astype(int),
        patients=1,
        site=np.full(n, "A", object),
        hours=np.arange(1.0, n + 1),
        label=np.array(label, np.int8),
        risk=np.array(risk),
        after_onset=none > 0,
        onset=np.full(n, onset),
        ended=np.full(n, np.nan),
        gain=none,
        early_gain=none,
    )


def test_every_curve_is_there_within_its_contract(curves: pl.DataFrame) -> None:
    schemas.check(schemas.Curves, curves, "curves")
    assert set(curves["curve"].cast(pl.String)) == ALL
    assert curves.group_by("curve").len()["len"].max() <= 400
    assert curves.select(pl.col("x", "y").is_finite().all()).row(0) == (True, True)


def test_decimated_roc_keeps_its_area_and_ends(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, _ = points(curves, "roc")
    assert 100 < len(x) <= 400
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(discrimination.auroc(rows.label, rows.risk), abs=5e-4)


def test_decimated_precision_recall_lies_on_the_curve_and_keeps_its_area(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "pr")
    np.testing.assert_allclose(x * rows.label.sum(), y * n, atol=1e-9)  # both count the true alarms
    area = np.trapezoid(y, x) + x[0] * y[0]
    assert area == pytest.approx(discrimination.average_precision(rows.label, rows.risk), abs=5e-3)


def test_decision_curve_is_net_benefit_where_alarms_are(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "decision")
    assert len(x) == 100
    assert x[-1] == pytest.approx(np.quantile(rows.risk, 0.999))
    for k in (0, 50, 99):
        assert y[k] == pytest.approx(decision_curve.net_benefit(rows.label, rows.risk, x[k]), abs=1e-12)
        assert n[k] == np.count_nonzero(rows.risk >= x[k])


def test_event_curve_has_the_area_that_the_scores_state(rows: Rows, curves: pl.DataFrame) -> None:
    recall, precision, n = points(curves, "event_pr")
    gained = np.diff(np.maximum.accumulate(recall), prepend=0)
    assert (gained * precision).sum() == pytest.approx(Measures(rows, OPERATION, False)()["event_auprc"])
    assert (n > 0).all()


def test_sensitivity_by_hours_to_onset_counts_rows(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "by_onset")
    left = rows.onset - rows.hours
    for far, near, share, count in zip(x, np.r_[0.0, x], y, n):
        own = (left > near) & (left <= far)
        assert count == own.sum()
        assert share == pytest.approx((rows.risk[own] >= OPERATION.threshold).mean())


def test_auroc_by_hours_to_onset_is_against_the_stays_without_one(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "auroc_by_onset")
    left, struck = rows.onset - rows.hours, np.unique(rows.stay[np.isfinite(rows.onset) | (rows.label == 1)])
    free = ~np.isin(rows.stay, struck)
    own = (left > 0) & (left <= x[0])
    label = np.r_[np.ones(own.sum()), np.zeros(free.sum())]
    assert y[0] == pytest.approx(discrimination.auroc(label, np.r_[rows.risk[own], rows.risk[free]]), abs=1e-12)
    assert n[0] == own.sum()


def test_true_risks_lie_on_the_diagonal(curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "calibration")
    assert len(x) == 15 and np.ptp(n) <= 1
    assert (np.diff(x) > 0).all()
    np.testing.assert_allclose(x, y, atol=0.06)
    x, y, n = points(curves, "smooth")
    assert n[-1] == curves.filter(pl.col("curve") == "calibration")["n"].sum()
    inner = (n > 0.02 * n[-1]) & (n < 0.98 * n[-1])
    np.testing.assert_allclose(x[inner], y[inner], atol=0.05)


def test_true_risks_lie_inside_the_band_of_the_smooth_curve(rows: Rows, ward: Any, rows_in: Any) -> None:
    few, blocks = rows_in(ward(patients=200, after=0.0)), draws(200, 60, seed=0)
    table = curves_of(few, KEY, OPERATION, blocks)
    band = table.filter(curve="smooth")
    assert band.select((pl.col("low") <= pl.col("y")) & (pl.col("y") <= pl.col("high"))).to_series().mean() > 0.9
    assert ((band["low"] <= band["x"]) & (band["x"] <= band["high"])).mean() > 0.8
    assert table.filter(pl.col("curve") != "smooth")["low"].null_count() == table.height - band.height
    plain = curves_of(few, KEY, OPERATION)
    assert plain["low"].null_count() == plain["high"].null_count() == plain.height
    assert plain.drop("low", "high").equals(table.drop("low", "high"))
    many = curves_of(rows, KEY, OPERATION, draws(1500, 60, seed=0)).filter(curve="smooth")
    assert (many["high"] - many["low"]).median() < 0.6 * (band["high"] - band["low"]).median()


def test_calibration_bins_are_those_of_the_error(rows: Rows, curves: pl.DataFrame) -> None:
    x, y, n = points(curves, "calibration")
    error = (n * np.abs(x - y)).sum() / n.sum()
    assert error == pytest.approx(calibration.ece_equal_mass(rows.label, rows.risk), abs=1e-12)


def test_hand_worked_curves() -> None:
    table = curves_of(by_hand([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]), KEY, Operation(0.4, Policy(0.4)))
    x, y, n = points(table, "roc")
    assert (x.tolist(), y.tolist(), n.tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 1, 1], [0, 1, 3, 4])
    x, y, n = points(table, "pr")
    assert (x.tolist(), y.tolist(), n.tolist()) == ([0.5, 1, 1], [1, pytest.approx(2 / 3), 0.5], [1, 3, 4])
    x, y, n = points(table, "calibration")
    assert (x.tolist(), y.tolist(), n.tolist()) == (pytest.approx([0.1, 0.4, 0.8]), [0, 0.5, 1], [1, 2, 1])
    assert [part.tolist() for part in points(table, "event_pr")] == [[1], [1], [1]]
    # hours to onset 4.5, 3.5, 2.5, 1.5: bins (1, 2], (2, 4], (4, 6]
    assert [part.tolist() for part in points(table, "by_onset")] == [[2, 4, 6], [1, 1, 0], [1, 2, 1]]


def test_what_the_rows_do_not_define_has_no_points(rows: Rows) -> None:
    kinds = {}
    for label in (0, 1):
        table = curves_of(rows.where(rows.label == label), KEY, OPERATION)
        kinds[label] = set(table["curve"].cast(pl.String))
    approaching = {"by_onset", "auroc_by_onset"}  # an onset beyond the horizon has hours to it and no label 1
    assert kinds == {0: {"calibration", "decision"} | approaching, 1: ALL - {"roc", "smooth", "auroc_by_onset"}}
    late = curves_of(
        Rows(**vars(rows.where(rows.label == 1)) | {"after_onset": rows.label[rows.label == 1] == 1}), KEY, OPERATION
    )
    assert "event_pr" not in set(late["curve"].cast(pl.String)), "no row before onset"


def test_ties_everywhere_give_one_point(rows: Rows) -> None:
    table = curves_of(Rows(**vars(rows) | {"risk": np.full(len(rows.risk), 0.3)}), KEY, OPERATION)
    assert [len(points(table, name)[0]) for name in ("roc", "pr", "calibration", "smooth")] == [2, 1, 1, 1]
    thresholds, _, alarms = points(table, "decision")
    assert (thresholds[-1], set(alarms)) == (0.3, {len(rows.risk)}), "a risk at the threshold is an alarm"


def test_decimation_never_leaves_a_gap() -> None:
    x = np.sort(np.random.default_rng(0).random(5000) ** 4)
    kept = decimate(x, x)
    assert len(kept) <= 400
    assert {0, 4999} <= set(kept.tolist())
    gap = np.diff(x[kept])
    assert ((gap < 2 / 198) | (np.diff(kept) == 1)).all()
