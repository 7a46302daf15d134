"""The points of the ROC, precision-recall and calibration curves, few enough to draw and true in shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics.calibration import BINS, equal_mass_ends
from clinical_lstm.metrics.discrimination import thresholds

POINTS = 400


def curves_of(rows: Rows, key: dict[str, Any]) -> pl.DataFrame:
    """Return `schemas.Curves` of `rows`: roc and pr with at most 400 points, calibration with at most 15 bins.

    `n` is the number of alarms at the point (roc, pr) or of rows in the bin. With one class there is no roc, without
    positives no pr.
    """
    _, found, alarms = thresholds(rows.label, rows.risk)
    positives = int(rows.label.sum())
    negatives = len(rows.label) - positives
    parts = [_calibration(rows)]
    if positives:
        parts.append(_points("pr", found / positives, found / alarms, alarms))
    if positives and negatives:
        alarms, found = np.r_[0, alarms], np.r_[0, found]
        parts.append(_points("roc", (alarms - found) / negatives, found / positives, alarms))
    table = pl.concat(parts).with_columns([pl.lit(value).alias(name) for name, value in key.items()])
    order = schemas.Curves.column_names()
    return schemas.check(schemas.Curves, table.select(order).cast({"curve": schemas.Curves.curve.dtype}), "curves")


def _points(curve: str, x: np.ndarray, y: np.ndarray, n: np.ndarray) -> pl.DataFrame:
    kept = decimate(x, y)
    return pl.DataFrame({"curve": curve, "x": x[kept], "y": y[kept], "n": n[kept].astype(np.int64)})


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
    """Return mean risk and event rate in bins of equal mass; `rows` ascend by risk."""
    mass = np.arange(1.0, len(rows.risk) + 1)
    last = equal_mass_ends(rows.risk, mass, BINS) - 1
    n = np.diff(mass[last], prepend=0.0)
    risk = np.diff(np.cumsum(rows.risk)[last], prepend=0.0) / n
    observed = np.diff(np.cumsum(rows.label, dtype=np.float64)[last], prepend=0.0) / n
    return pl.DataFrame({"curve": "calibration", "x": risk, "y": observed, "n": n.astype(np.int64)})
