"""The points of a predictor's curves, few enough to draw and true in shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics.alarms import AlarmCurve
from clinical_lstm.metrics.bootstrap import interval, replicate
from clinical_lstm.metrics.calibration import BINS, equal_mass_ends, smooth_curve
from clinical_lstm.metrics.decision_curve import decision_curve
from clinical_lstm.metrics.discrimination import thresholds
from clinical_lstm.metrics.profile import TO_ONSET, by_hours_to_onset
from clinical_lstm.metrics.replicates import Calibration

POINTS = 400
DECISIONS = 100
TYPES = {"curve": pl.String, "x": pl.Float64, "y": pl.Float64, "n": pl.Int64}


def curves_of(rows: Rows, key: dict[str, Any], operation: Operation, blocks: Sequence[np.ndarray] = ()) -> pl.DataFrame:
    """Return `schemas.Curves` of `rows`: at most 400 points of a curve, 15 bins of a calibration.

    With `blocks` (`metrics.bootstrap.draws`) the smooth calibration curve has its interval.
    `n` is the number of alarms at the point (roc, pr, decision), of rows in the bin (calibration, by_onset). A curve
    that the rows do not define (one class, no event) has no points.
    """
    _, found, alarms = thresholds(rows.label, rows.risk)
    positives = int(rows.label.sum())
    negatives = len(rows.label) - positives
    parts = [_calibration(rows), _decision(rows), _by_onset(rows, operation)]
    if positives:
        parts += [_points("pr", found / positives, found / alarms, alarms), _event_pr(rows, operation)]
    if positives and negatives:
        alarms, found = np.r_[0, alarms], np.r_[0, found]
        parts += [_points("roc", (alarms - found) / negatives, found / positives, alarms), _smooth(rows, blocks)]
    return _of(pl.concat(parts, how="diagonal"), key)


def reliability_of(rows: Rows, key: dict[str, Any]) -> pl.DataFrame:
    """Return the calibration bins alone, as `schemas.Curves`: of a subgroup."""
    return _of(_calibration(rows), key)


def _of(table: pl.DataFrame, key: dict[str, Any]) -> pl.DataFrame:
    table = table.with_columns([pl.lit(value).alias(name) for name, value in key.items()])
    return schemas.check(schemas.Curves, table.cast({"curve": schemas.Curves.curve.dtype}), "curves")


def _points(curve: str, x: np.ndarray, y: np.ndarray, n: np.ndarray) -> pl.DataFrame:
    kept = decimate(x, y)
    return _table(curve, x[kept], y[kept], n[kept])


def _decision(rows: Rows) -> pl.DataFrame:
    """Return net benefit at 100 thresholds, up to the risk that 0.1 % of the rows reach; never more than 0.99."""
    top = min(float(np.quantile(rows.risk, 0.999)), 0.99)
    curve = decision_curve(rows.label, rows.risk, np.linspace(0, top, DECISIONS + 1)[1:])
    alarms = len(rows.risk) - np.searchsorted(np.sort(rows.risk), curve.threshold, side="left")
    return _table("decision", curve.threshold, curve.net_benefit, alarms)


def _event_pr(rows: Rows, operation: Operation) -> pl.DataFrame:
    """Return event recall and alarm precision; rows with an event before onset are needed."""
    policy, course = operation.policy, rows.course()
    curve = AlarmCurve(course, policy.silence_hours, policy.reset_hours)
    known = np.isfinite(curve.recall) & np.isfinite(curve.precision)
    return _table("event_pr", curve.recall[known], curve.precision[known], curve.alarms[known])


def _by_onset(rows: Rows, operation: Operation) -> pl.DataFrame:
    """Return the share of rows at or above the threshold, and AUROC, by hours to the onset (far ends of the bins)."""
    found = by_hours_to_onset(rows.label, rows.risk, rows.onset - rows.hours, rows.stay, operation.threshold)
    parts = []
    for name, values in (("by_onset", found.sensitivity), ("auroc_by_onset", found.auroc)):
        known = np.isfinite(values)
        parts.append(_table(name, TO_ONSET[1:][known], values[known], found.rows[known]))
    return pl.concat(parts)


def _smooth(rows: Rows, blocks: Sequence[np.ndarray]) -> pl.DataFrame:
    """Return the smooth calibration curve at 100 quantiles of the risk, with its interval where there are `blocks`."""
    at = np.unique(np.quantile(rows.risk, np.linspace(0, 1, DECISIONS)))
    curve = smooth_curve(rows.label, rows.risk, at=at)
    below = np.searchsorted(np.sort(rows.risk), at, side="right")
    family = Calibration(rows.label, rows.risk, rows.patient, rows.patients)
    drawn = replicate(lambda counts: {"curve": family.curve(at, counts)}, blocks).get("curve", np.zeros((0, len(at))))
    ends = np.array([interval(column) for column in drawn.T])  # (M, 2)
    known = np.isfinite(curve)
    return _table("smooth", at[known], curve[known], below[known]).with_columns(
        pl.Series(name, ends[known, side], pl.Float64).fill_nan(None) for side, name in enumerate(("low", "high"))
    )


def _table(curve: str, x: np.ndarray, y: np.ndarray, n: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"curve": curve, "x": x, "y": y, "n": n.astype(np.int64)}, schema_overrides=TYPES)


def decimate(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Return the indices of at most `points` points: half spread evenly over x, half over the length of the curve.

    Both ends stay. Where x ascends, two kept neighbours are closer than 2 / points of the range of x, or neighbours.

    >>> decimate(np.arange(5.0), np.zeros(5), points=4).tolist()
    [0, 4]
    >>> decimate(np.arange(3.0), np.zeros(3), points=4).tolist()
    [0, 1, 2]
    """
    if len(x) <= points:
        return np.arange(len(x))
    kept = []
    for travelled in (np.abs(np.diff(x)), np.abs(np.diff(x)) + np.abs(np.diff(y))):
        along = np.r_[0.0, np.cumsum(travelled)]
        kept.append(np.searchsorted(along, np.linspace(0, along[-1], points // 2), side="left"))
    return np.unique(np.r_[0, np.minimum(np.concatenate(kept), len(x) - 1), len(x) - 1])[-points:]


def _calibration(rows: Rows) -> pl.DataFrame:
    """Return mean risk and event rate in bins of equal mass."""
    order = np.argsort(rows.risk, kind="stable")
    ranked, label = rows.risk[order], rows.label[order]
    mass = np.arange(1.0, len(ranked) + 1)
    last = equal_mass_ends(ranked, mass, BINS) - 1
    n = np.diff(mass[last], prepend=0.0)
    risk = np.diff(np.cumsum(ranked)[last], prepend=0.0) / n
    observed = np.diff(np.cumsum(label, dtype=np.float64)[last], prepend=0.0) / n
    return _table("calibration", risk, observed, n)
