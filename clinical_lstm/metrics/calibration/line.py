"""The calibration line: is a logit of the risk worth a logit of the outcome, and is the average right?"""

from __future__ import annotations

import math

import numpy as np

from clinical_lstm.metrics.calibration.logits import logit, sigmoid
from clinical_lstm.metrics.weights import NAN, ascending

BLOCK = 16_384  # rows per pass


class CalibrationFit:
    """Logits prepared once; a fit to every weighting of the rows then costs two or three passes over them."""

    def __init__(self, label: np.ndarray, risk: np.ndarray) -> None:
        self.order = ascending(risk)
        self.x = logit(risk[self.order])
        self.y = (label[self.order] == 1).astype(np.float64)

    def line(
        self, weight: np.ndarray | None = None, start: tuple[float, float] = (1.0, 0.0), tolerance: float = 1e-9
    ) -> tuple[float, float]:
        """Return (slope, intercept) as `calibration_line`; Newton's method ends at a relative step of `tolerance`.

        The error left is about the square of that step. A `start` near the solution saves passes.
        """
        w = self._weights(weight)
        if not self._overlap(w):
            return NAN, NAN
        b, a = start if np.all(np.isfinite(start)) else (1.0, 0.0)
        for _ in range(200):
            g_a, g_b, h_aa, h_ab, h_bb = self._derivatives(w, b, a)
            determinant = h_aa * h_bb - h_ab * h_ab
            if not determinant > 0:
                return NAN, NAN
            d_b, d_a = (h_aa * g_b - h_ab * g_a) / determinant, (h_bb * g_a - h_ab * g_b) / determinant
            if max(abs(d_b), abs(d_a)) > 0.1:  # far away a full step can overshoot: halve it until it gains
                value = self._log_likelihood(w, b, a)
                while self._log_likelihood(w, b + d_b, a + d_a) < value and abs(d_b) + abs(d_a) > tolerance:
                    d_b, d_a = d_b / 2, d_a / 2
            b, a = b + d_b, a + d_a
            if max(abs(d_b) / (1 + abs(b)), abs(d_a) / (1 + abs(a))) <= tolerance:
                return b, a
        return NAN, NAN

    def in_the_large(self, weight: np.ndarray | None = None, start: float = 0.0, tolerance: float = 1e-9) -> float:
        """Return the intercept as `in_the_large`: the root of sum w (y - sigmoid(a + x)), which falls in a."""
        w = self._weights(weight)
        events, rows = float((w * self.y).sum()), float(w.sum())
        if not 0 < events < rows:
            return NAN
        base = math.log(events / (rows - events))
        low, high = base - float(self.x[-1]), base - float(self.x[0])  # the root lies between
        a = min(max(start if math.isfinite(start) else 0.0, low), high)
        for _ in range(200):
            missing, _, spread, _, _ = self._derivatives(w, 1.0, a)
            low, high = (low, a) if missing < 0 else (a, high)
            after = a + missing / spread if spread > 0 else math.inf
            after = after if low <= after <= high else (low + high) / 2
            if abs(after - a) <= tolerance * (1 + abs(a)):
                return after
            a = after
        return a

    def _derivatives(self, w: np.ndarray, b: float, a: float) -> list[float]:
        """Return the gradient (a, b) and the information (aa, ab, bb), by blocks that fit into the processor cache."""
        total = np.zeros(5)
        for begin in range(0, len(w), BLOCK):
            part = slice(begin, begin + BLOCK)
            x, weight = self.x[part], w[part]
            p = sigmoid(a + b * x)
            residual = weight * (self.y[part] - p)
            spread = weight * p * (1 - p)
            moment = spread * x
            total += [residual.sum(), (residual * x).sum(), spread.sum(), moment.sum(), (moment * x).sum()]
        return total.tolist()

    def _log_likelihood(self, w: np.ndarray, b: float, a: float) -> float:
        z = a + b * self.x
        return float((w * (self.y * z - np.logaddexp(0, z))).sum())

    def _overlap(self, w: np.ndarray) -> bool:
        """Say whether no threshold separates the classes: only then does the likelihood have a maximum."""
        positive = self.x[(w * self.y) > 0]
        negative = self.x[(w * (1 - self.y)) > 0]
        if not (len(positive) and len(negative)):
            return False
        return bool(positive[0] < negative[-1] and negative[0] < positive[-1])  # x ascends

    def _weights(self, weight: np.ndarray | None) -> np.ndarray:
        return np.ones(len(self.x)) if weight is None else weight[self.order].astype(np.float64, copy=False)


def calibration_line(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """Return (slope b, intercept a) of the unpenalised maximum-likelihood fit

        logit P(y = 1) = a + b logit(risk)

    with risks clipped to [1e-6, 1 - 1e-6]. Slope < 1: risks too extreme. (NaN, NaN) where the maximum does not exist:
    one class, one risk, or classes that a threshold separates.
    Source: Cox, Biometrika 45:562-565 (1958), doi 10.1093/biomet/45.3-4.562.

    >>> b, a = calibration_line(np.array([0, 0, 1, 0, 1, 1]), np.array([0.2, 0.2, 0.2, 0.8, 0.8, 0.8]))
    >>> round(b, 6), round(abs(a), 6)
    (0.5, 0.0)
    """
    return CalibrationFit(label, risk).line(weight)


def in_the_large(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the intercept a of logit P(y = 1) = a + logit(risk), 0 = right on average; NaN with one class.

    >>> round(in_the_large(np.array([0, 0, 0, 1]), np.full(4, 0.5)), 6)
    -1.098612
    """
    return CalibrationFit(label, risk).in_the_large(weight)
