"""Calibration: do risks of 10 % come true in 10 % of the rows? Proper scores, the calibration line, binned errors.

Labels are 0/1 arrays (N,), risks float arrays (N,) in [0, 1], weights float arrays (N,) or None (all 1); a weight of k
counts a row k times, exactly. A value that the rows do not define is NaN.
"""

from __future__ import annotations

import math

import numpy as np

NAN = float("nan")
CLIP = 1e-6  # logits and logarithms are taken of risks within [CLIP, 1 - CLIP]
BINS = 15
BLOCK = 16_384  # rows per pass


def brier(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean squared error mean((risk - label)^2); NaN without rows.

    Source: Brier, Mon Weather Rev 78:1-3 (1950), doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    >>> brier(np.array([0, 1]), np.array([0.5, 0.5]))
    0.25
    """
    return _mean((risk - label) ** 2, weight)


def log_loss(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return -mean(y ln q + (1 - y) ln(1 - q)) with q the risk clipped to [1e-6, 1 - 1e-6]; NaN without rows.

    >>> round(log_loss(np.array([0, 1]), np.array([0.5, 0.5])), 6)
    0.693147
    """
    clipped = np.clip(risk, CLIP, 1 - CLIP)
    return _mean(-np.log(np.where(label == 1, clipped, 1 - clipped)), weight)


class CalibrationFit:
    """Logits prepared once; a fit to every weighting of the rows then costs two or three passes over them."""

    def __init__(self, label: np.ndarray, risk: np.ndarray) -> None:
        self.order = ascending(risk)
        clipped = np.clip(risk[self.order], CLIP, 1 - CLIP)
        self.x = np.log(clipped / (1 - clipped))
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
            p = _sigmoid(a + b * x)
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


def ece_equal_width(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None, bins: int = BINS) -> float:
    """Return the expected calibration error over bins (e_k, e_{k+1}] of equal width, the first one including 0.

        ECE = sum_b n_b / n |mean_b(risk) - mean_b(label)| = sum_b |sum_b (risk - label)| / n

    Source: Naeini et al., AAAI 2015, doi 10.1609/aaai.v29i1.9602.

    >>> round(ece_equal_width(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.9])), 6)
    0.133333
    """
    w = _weights(label, weight)
    rows = float(w.sum())
    excess = np.bincount(equal_width_bin(risk, bins), w * (risk - label), bins)
    return float(np.abs(excess).sum() / rows) if rows > 0 else NAN


def equal_width_bin(risk: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin (N,) 0, 1, ... of each risk: (e_k, e_{k+1}] with e = linspace(0, 1, bins + 1), 0 in the first.

    >>> equal_width_bin(np.array([0.0, 0.5, 0.51, 1.0]), bins=2).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], risk, side="left")


def ece_equal_mass(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None, bins: int = BINS) -> float:
    """Return the expected calibration error over bins that hold equally many rows; equal risks stay together.

        bin of row i = ceil(bins c_i / n),    c_i = number of rows with a risk of at most risk_i

    Source: Nixon et al., CVPR Workshops 2019, arXiv 1904.01685.

    >>> ece_equal_mass(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75]), bins=2)
    0.25
    """
    if not len(risk):
        return NAN
    order = ascending(risk)
    ranked, w = risk[order], _weights(label, weight)[order]
    mass, excess = np.cumsum(w), np.cumsum(w * (ranked - label[order]))
    ends = equal_mass_ends(ranked, mass, bins)
    return float(np.abs(np.diff(excess[ends - 1], prepend=0.0)).sum() / mass[-1]) if mass[-1] > 0 else NAN


def equal_mass_ends(ranked: np.ndarray, mass: np.ndarray, bins: int) -> np.ndarray:
    """Return where each non-empty bin ends (exclusive); `ranked` ascends, `mass` is the cumulative weight.

        row i is in the bins 1..k  <=>  c_i <= k n / bins,    c_i = mass at the end of its group of equal risks

    >>> equal_mass_ends(np.array([0.1, 0.2, 0.2, 0.9]), np.array([1.0, 2, 3, 4]), 4).tolist()
    [1, 3, 4]
    """
    beyond = np.searchsorted(mass, np.arange(1, bins) * mass[-1] / bins, side="right")
    beyond = beyond[beyond < len(ranked)]
    ends = np.searchsorted(ranked, ranked[beyond], side="left")  # back to the start of a group that straddles the edge
    return np.unique(np.r_[ends[ends > 0], len(ranked)])


def ascending(risk: np.ndarray) -> np.ndarray | slice:
    """Return the index that sorts `risk`: the empty slice, which copies nothing, where it is sorted already.

    >>> ascending(np.array([0.3, 0.1])).tolist(), ascending(np.array([0.1, 0.3]))
    ([1, 0], slice(None, None, None))
    """
    return slice(None) if bool((risk[1:] >= risk[:-1]).all()) else np.argsort(risk, kind="stable")


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


def _weights(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.ones(len(label)) if weight is None else weight.astype(np.float64, copy=False)


def _mean(term: np.ndarray, weight: np.ndarray | None) -> float:
    if weight is None:
        return float(term.mean()) if len(term) else NAN
    rows = float(weight.sum())
    return float((weight * term).sum() / rows) if rows > 0 else NAN
