"""The calibration line, the error over bins of equally many rows and the smooth curve's errors of many replicates."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.calibration.binned import BINS, ece_equal_mass
from clinical_lstm.metrics.calibration.cells import cells_of
from clinical_lstm.metrics.calibration.grouped import GroupedLogistic
from clinical_lstm.metrics.calibration.line import calibration_line, in_the_large
from clinical_lstm.metrics.calibration.logits import logit, sigmoid
from clinical_lstm.metrics.calibration.smooth import SmoothFit, spline_basis, spline_knots
from clinical_lstm.metrics.replicates.family import CellSums, Family
from clinical_lstm.metrics.weights import NAN, ratio

TOLERANCE = 1e-3  # of a replicate's last Newton step; the error left is about its square, far below an interval's own


class Calibration(Family):
    """calibration_slope, _intercept, _in_the_large, ece_equal_mass, ici, e50, e90 and emax, from at most 2,048 cells.

    Where the rows have more distinct risks than that, replicates are approximate: a row counts with the mean logit of
    its cell (`cells_of`: within 0.027 of its own), and a cell lies in one bin of equal mass with all of its rows. The
    knots of the smooth curve are those of all rows in every replicate. Point values of the smooth curve are fitted on
    the same cells, all others row by row.

    >>> label, risk = np.array([0, 0, 1, 0, 1, 1]), np.array([0.2, 0.2, 0.2, 0.8, 0.8, 0.8])
    >>> family = Calibration(label, risk, patient=np.array([0, 1, 2, 2, 1, 0]), patients=3)
    >>> family(np.array([[1.0], [1.0], [1.0]]))["calibration_slope"].round(6).tolist()
    [0.5]
    """

    def __init__(self, label: np.ndarray, risk: np.ndarray, patient: np.ndarray, patients: int) -> None:
        self.label, self.risk = label, risk
        cells = cells_of(risk)
        self.cells, size = cells, len(cells.logit)
        positive = np.flatnonzero(label == 1)
        self.rows = CellSums(cells.cell, size, patient, patients)
        self.positives = CellSums(cells.cell[positive], size, patient[positive], patients)
        self.line = GroupedLogistic(np.stack([np.ones(size), cells.logit], axis=1))
        self.shift = GroupedLogistic(np.ones((size, 1)), offset=cells.logit)
        self.smooth = SmoothFit(cells, spline_knots(label, risk))
        n = np.bincount(cells.cell, minlength=size).astype(np.float64)[None]
        y = np.bincount(cells.cell[positive], minlength=size).astype(np.float64)[None]
        self.counts = y, n
        # the solutions for all rows, where Newton's method begins in every replicate
        self.theta_line = _fit(self.line, y, n, _overlap(y, n), np.array([0.0, 1.0]), 1e-9)[0]
        self.theta_shift = _fit(self.shift, y, n, _both(y, n), np.zeros(1), 1e-9)[0]
        self.theta_smooth = self.smooth.theta(y, n)[0]

    def point(self) -> dict[str, float]:
        """Return the values of the rows."""
        slope, intercept = calibration_line(self.label, self.risk)
        errors = self.smooth.errors(self.theta_smooth[None], self.counts[1])._asdict()
        return {
            "calibration_slope": slope,
            "calibration_intercept": intercept,
            "calibration_in_the_large": in_the_large(self.label, self.risk),
            "ece_equal_mass": ece_equal_mass(self.label, self.risk),
        } | {name: float(value[0]) for name, value in errors.items()}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values of every replicate."""
        y, n = self.positives.of(counts), self.rows.of(counts)  # (R, C)
        line = _fit(self.line, y, n, _overlap(y, n), self.theta_line, TOLERANCE)
        shift = _fit(self.shift, y, n, _both(y, n), self.theta_shift, TOLERANCE)
        theta = self.smooth.theta(y, n, self.theta_smooth, TOLERANCE)
        return {
            "calibration_slope": line[:, 1],
            "calibration_intercept": line[:, 0],
            "calibration_in_the_large": shift[:, 0],
            "ece_equal_mass": _equal_mass_error(y, n, self.cells.risk),
            **self.smooth.errors(theta, n)._asdict(),
        }

    def curve(self, at: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the frequency (R, M) that the smooth curve of each replicate says for the risks `at` (M,)."""
        theta = self.smooth.theta(self.positives.of(counts), self.rows.of(counts), self.theta_smooth, TOLERANCE)
        return sigmoid(np.einsum("mk,rk->rm", spline_basis(logit(at), self.smooth.knots), theta))


def _fit(
    model: GroupedLogistic, y: np.ndarray, n: np.ndarray, exists: np.ndarray, start: np.ndarray, tolerance: float
) -> np.ndarray:
    found = np.full((len(y), len(start)), NAN)
    if exists.any() and np.isfinite(start).all():  # what all rows do not define, no replicate does
        keep: slice | np.ndarray = slice(None) if exists.all() else exists
        found[keep] = model.fit(y[keep], n[keep], start, tolerance)
    return found


def _both(y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Say for every replicate (R,) whether it has both classes."""
    return (y.sum(axis=1) > 0) & (y.sum(axis=1) < n.sum(axis=1))


def _overlap(y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Say for every replicate (R,) whether no threshold separates the classes: only then has the line a maximum."""
    if not y.shape[1]:
        return np.zeros(len(y), bool)
    has_1, has_0 = y > 0, n > y
    low_1, low_0 = has_1.argmax(axis=1), has_0.argmax(axis=1)
    high_1, high_0 = (y.shape[1] - 1 - has[:, ::-1].argmax(axis=1) for has in (has_1, has_0))
    return _both(y, n) & (low_1 < high_0) & (low_0 < high_1)


def _equal_mass_error(y: np.ndarray, n: np.ndarray, risk: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return `ece_equal_mass` (R,) of cells: bin of a cell = ceil(bins c / n), c = rows up to its end."""
    mass = np.cumsum(n, axis=1)
    total = mass[:, -1] if n.shape[1] else np.zeros(len(n))
    whole = np.maximum(total, 1)[:, None]
    which = np.maximum(np.ceil(bins * mass / whole).astype(np.int64), 1) - 1
    flat = which + bins * np.arange(len(n))[:, None]
    excess = np.bincount(flat.ravel(), (n * risk - y).ravel(), bins * len(n)).reshape(len(n), bins)
    return ratio(np.abs(excess).sum(axis=1), total)
