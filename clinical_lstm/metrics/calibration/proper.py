"""Proper scores, smallest for the true risks: Brier with its parts and its skill, and the logarithmic loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.calibration.binned import BINS, equal_width_bin
from clinical_lstm.metrics.calibration.logits import CLIP
from clinical_lstm.metrics.weights import ratio, row_weights, weighted_mean


def brier(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean squared error mean((risk - label)^2); NaN without rows.

    Source: Brier, Mon Weather Rev 78:1-3 (1950), doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    >>> brier(np.array([0, 1]), np.array([0.5, 0.5]))
    0.25
    """
    return weighted_mean((risk - label) ** 2, weight)


def log_loss(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return -mean(y ln q + (1 - y) ln(1 - q)) with q the risk clipped to [1e-6, 1 - 1e-6]; NaN without rows.

    >>> round(log_loss(np.array([0, 1]), np.array([0.5, 0.5])), 6)
    0.693147
    """
    clipped = np.clip(risk, CLIP, 1 - CLIP)
    return weighted_mean(-np.log(np.where(label == 1, clipped, 1 - clipped)), weight)


class BrierParts(NamedTuple):
    """The parts of a Brier score: brier = reliability - resolution + uncertainty + within_bin; arrays or floats."""

    brier: np.ndarray
    reliability: np.ndarray
    resolution: np.ndarray
    uncertainty: np.ndarray
    within_bin: np.ndarray
    skill: np.ndarray


def brier_parts(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None, bins: int = BINS) -> BrierParts:
    """Return what a Brier score consists of, over bins of equal width (`equal_width_bin`); all NaN without rows.

    With n_b rows of mean risk p_b and mean label y_b in bin b, and the mean label y of all n rows:

        (1) reliability = sum_b n_b (p_b - y_b)^2 / n          0 = what is said comes true
        (2) resolution  = sum_b n_b (y_b - y)^2 / n            high = the bins differ in outcome
        (3) uncertainty = y (1 - y)                            the outcome's own, no predictor changes it
        (4) within_bin  = sum_b sum_{i in b} [(p_i - p_b)^2 - 2 (y_i - y_b)(p_i - p_b)] / n
        (5) brier       = (1) - (2) + (3) + (4)                an identity, not an approximation
        (6) skill       = 1 - brier / uncertainty              NaN with one class

    Source: Murphy, J Appl Meteorol 12:595-600 (1973), doi 10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; the terms
    within bins: Stephenson et al., Weather Forecast 23:752-757 (2008), doi 10.1175/2007WAF2006116.1.

    >>> parts = brier_parts(np.array([0, 0, 0, 1]), np.array([0.1, 0.1, 0.9, 0.9]), bins=2)
    >>> [round(float(part), 4) for part in parts]
    [0.21, 0.085, 0.0625, 0.1875, 0.0, -0.12]
    """
    w, which = row_weights(label, weight), equal_width_bin(risk, bins)
    terms = (w, w * label, w * risk, w * risk**2, w * risk * label)
    return brier_parts_of(*(np.bincount(which, term, bins) for term in terms))


def brier_parts_of(
    rows: np.ndarray, positives: np.ndarray, risks: np.ndarray, squares: np.ndarray, products: np.ndarray
) -> BrierParts:
    """Return the parts from the sums (..., bins) of 1, y, p, p^2 and p y in every bin; each part has the shape (...,).

    >>> sums = np.array([[2.0], [1.0], [1.0], [0.5], [0.5]])  # one bin: two rows of risk 0.5, one of them positive
    >>> brier_parts_of(*sums).brier.tolist()
    0.25
    """
    share = np.divide(1.0, rows, out=np.zeros(rows.shape), where=rows > 0)  # an empty bin adds nothing
    n, n1 = rows.sum(axis=-1), positives.sum(axis=-1)
    mean = ratio(n1, n)
    spread = squares - risks**2 * share
    together = products - risks * positives * share
    brier = ratio((squares - 2 * products + positives).sum(axis=-1), n)
    uncertainty = mean * (1 - mean)
    return BrierParts(
        brier=brier,
        reliability=ratio(((risks - positives) ** 2 * share).sum(axis=-1), n),
        resolution=ratio((rows * (positives * share - mean[..., None]) ** 2).sum(axis=-1), n),
        uncertainty=uncertainty,
        within_bin=ratio((spread - 2 * together).sum(axis=-1), n),
        skill=1 - ratio(brier, uncertainty),
    )


def brier_skill(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return 1 - brier / (y (1 - y)), y the mean label: 1 = perfect, 0 = no better than saying y; NaN with one class.

    >>> brier_skill(np.array([0, 1]), np.array([0.0, 0.5]))
    0.5
    """
    mean = weighted_mean(label, weight)
    return float(1 - ratio(brier(label, risk, weight), mean * (1 - mean)))
