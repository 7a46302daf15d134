"""The smooth calibration curve, and how far it lies from the diagonal: ICI, E50, E90, Emax.

observed |         . '
frequency|     . ' /       curve: P(y = 1 | risk), a logistic regression on a spline of logit(risk)
         |  .'  /          ICI: mean |curve - risk| over the rows;  E50, E90, Emax: its quantiles
         |.' /
         +------------ risk
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.calibration.cells import Cells, cells_of
from clinical_lstm.metrics.calibration.grouped import GroupedLogistic
from clinical_lstm.metrics.calibration.logits import logit, sigmoid
from clinical_lstm.metrics.weights import NAN, ratio, row_weights

QUANTILES = (0.05, 0.275, 0.5, 0.725, 0.95)  # where the knots lie
FEW, FEW_QUANTILES = 100, (0.1, 0.5, 0.9)  # with fewer rows of the rarer class there are three
RIDGE = 1e-6  # keeps the curve finite where a threshold separates the classes; elsewhere it changes nothing visible
LEVELS = {"e50": 0.5, "e90": 0.9}


class SmoothErrors(NamedTuple):
    """The mean, the median, the 90 % quantile and the maximum of |curve - risk| over the rows; arrays or floats."""

    ici: np.ndarray
    e50: np.ndarray
    e90: np.ndarray
    emax: np.ndarray


def spline_knots(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the knots (k,) as logits: the distinct ones of the 5, 27.5, 50, 72.5 and 95 % quantiles of logit(risk).

    Those of 10, 50 and 90 % where fewer than 100 rows are in the rarer class. A quantile is the lowest value with at
    least that share of the weight at or below it.
    Source: Harrell, Regression Modeling Strategies, 2nd ed., section 2.4.6 (2015), doi 10.1007/978-3-319-19425-7.

    >>> spline_knots(np.array([0, 1]), np.array([0.5, 0.2])).round(4).tolist()
    [-1.3863, 0.0]
    """
    order, once = np.argsort(risk, kind="stable"), row_weights(label, weight)
    mass, positives = np.cumsum(once[order]), float(once[label == 1].sum())
    if not len(mass) or not mass[-1] > 0:
        return np.zeros(0)
    rarer = min(positives, float(mass[-1]) - positives)
    place = np.searchsorted(mass, np.array(FEW_QUANTILES if rarer < FEW else QUANTILES) * mass[-1], side="left")
    return np.unique(logit(risk[order][place]))


def spline_basis(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the restricted cubic spline basis (N, max(k, 2)) of x (N,): cubic between the knots, linear outside.

        u = (x - t_1) / (t_k - t_1), knots t alike; columns 1, u and, for j = 1 ... k - 2,

        (u - t_j)+^3 - (u - t_{k-1})+^3 (t_k - t_j) / (t_k - t_{k-1}) + (u - t_k)+^3 (t_{k-1} - t_j) / (t_k - t_{k-1})

    Fewer than three knots give a line. Source: Harrell (2015), section 2.4.5.

    >>> spline_basis(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [[1.0, 0.0, 0.0], [1.0, 0.5, 0.125], [1.0, 1.5, 1.5]]
    """
    low, width = (knots[0], knots[-1] - knots[0]) if len(knots) else (0.0, 0.0)
    width = width if width > 0 else 1.0
    u, t = (x - low) / width, (knots - low) / width
    columns = [np.ones(len(x)), u]
    for j in range(len(knots) - 2):
        ends = np.maximum(u - t[-2], 0) ** 3 * (t[-1] - t[j]) - np.maximum(u - t[-1], 0) ** 3 * (t[-2] - t[j])
        columns.append(np.maximum(u - t[j], 0) ** 3 - ends / (t[-1] - t[-2]))
    return np.stack(columns, axis=1)


class SmoothFit:
    """The curve's cells and basis, prepared once; `curves` then fits it to many weightings of the cells at once.

        logit P(y = 1 | risk) = B(logit(risk)) theta,    theta = argmax L(theta) - 1e-6 sum_{k > 0} theta_k^2 / 2

    Fitted on at most 2,048 cells of nearly equal risk (`cells_of`), which for so many distinct risks is exact.
    """

    def __init__(self, cells: Cells, knots: np.ndarray) -> None:
        basis = spline_basis(cells.logit, knots)
        self.cells, self.knots = cells, knots
        self.model = GroupedLogistic(basis, ridge=np.r_[0.0, np.full(basis.shape[1] - 1, RIDGE)])
        slope = knots[-1] - knots[0] if len(knots) > 1 else 1.0  # theta of the diagonal, where a fit begins
        self.diagonal = np.r_[knots[0] if len(knots) else 0.0, slope, np.zeros(basis.shape[1] - 2)]

    def theta(
        self, positives: np.ndarray, rows: np.ndarray, start: np.ndarray | None = None, tolerance: float = 1e-9
    ) -> np.ndarray:
        """Return the coefficients (R, K) from counts (R, C) by cell; NaN for replicates with one class."""
        n1, n = positives.sum(axis=1), rows.sum(axis=1)
        found = np.full((len(rows), len(self.diagonal)), NAN)
        both = (n1 > 0) & (n1 < n)
        keep: slice | np.ndarray = slice(None) if both.all() else both
        begin = self.diagonal if start is None or not np.isfinite(start).all() else start
        found[keep] = self.model.fit(positives[keep], rows[keep], begin, tolerance)
        return found

    def errors(self, theta: np.ndarray, rows: np.ndarray) -> SmoothErrors:
        """Return ICI, E50, E90 and Emax, each (R,); NaN where theta is."""
        if not len(self.cells.logit):
            return SmoothErrors(*(np.full(len(theta), NAN) for _ in SmoothErrors._fields))
        distance = np.abs(self.model.predict(theta) - self.cells.risk)  # (R, C)
        n = rows.sum(axis=1)
        order = np.argsort(distance, axis=1, kind="stable")
        mass = np.take_along_axis(rows, order, axis=1).cumsum(axis=1)
        quantile = {}
        for name, level in LEVELS.items():
            place = np.minimum((mass < level * n[:, None]).sum(axis=1), rows.shape[1] - 1)
            at = np.take_along_axis(order, place[:, None], axis=1)
            quantile[name] = np.take_along_axis(distance, at, axis=1)[:, 0]
        most = np.where(rows > 0, distance, -np.inf).max(axis=1)
        defined = np.isfinite(theta).all(axis=1)
        found = SmoothErrors(ratio((rows * distance).sum(axis=1), n), **quantile, emax=most)
        return SmoothErrors(*(np.where(defined, value, NAN) for value in found))


def smooth_curve(label: np.ndarray, risk: np.ndarray, at: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the frequency (M,) that the smooth calibration curve says for the risks `at` (M,); NaN with one class.

    >>> risk = np.tile([0.2, 0.4, 0.6, 0.8], 5)
    >>> label = np.repeat([0, 0, 0, 1, 1], 4)  # 40 % at every risk
    >>> smooth_curve(label, risk, np.array([0.3, 0.7])).round(3).tolist()
    [0.4, 0.4]
    """
    fit, theta, _ = _fitted(label, risk, weight, None)
    if fit is None:
        return np.full(len(at), NAN)
    return sigmoid(np.einsum("mk,k->m", spline_basis(logit(at), fit.knots), theta[0]))


def smooth_errors(
    label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None, knots: np.ndarray | None = None
) -> SmoothErrors:
    """Return (ICI, E50, E90, Emax) of the rows, floats; NaN with one class. `knots`: logits, None: `spline_knots`.

        e_i = |curve(risk_i) - risk_i|;   ICI = mean, E50 = median, E90 = 90 % quantile, Emax = maximum of e

    Source: Austin & Steyerberg, Stat Med 38:4051-4065 (2019), doi 10.1002/sim.8281.

    >>> risk = np.tile([0.2, 0.4, 0.6, 0.8], 5)
    >>> label = np.repeat([0, 0, 0, 1, 1], 4)  # 40 % at every risk
    >>> [round(float(error), 3) for error in smooth_errors(label, risk)]
    [0.2, 0.2, 0.4, 0.4]
    """
    fit, theta, rows = _fitted(label, risk, weight, knots)
    if fit is None:
        return SmoothErrors(*(np.array(NAN) for _ in SmoothErrors._fields))
    return SmoothErrors(*(value[0] for value in fit.errors(theta, rows)))


def _fitted(
    label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None, knots: np.ndarray | None
) -> tuple[SmoothFit | None, np.ndarray, np.ndarray]:
    if weight is not None and not (weight > 0).all():
        label, risk, weight = label[weight > 0], risk[weight > 0], weight[weight > 0]
    cells = cells_of(risk)
    if not len(cells.logit):
        return None, np.zeros((1, 0)), np.zeros((1, 0))
    once = np.ones(len(risk)) if weight is None else weight
    rows = np.bincount(cells.cell, once, len(cells.logit))[None]
    positives = np.bincount(cells.cell, once * (label == 1), len(cells.logit))[None]
    fit = SmoothFit(cells, spline_knots(label, risk, weight) if knots is None else knots)
    return fit, fit.theta(positives, rows), rows
