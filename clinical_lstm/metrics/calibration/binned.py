"""Calibration in bins of risk: the expected calibration error, over bins of equal width or of equally many rows."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.weights import NAN, ascending, row_weights

BINS = 15


def ece_equal_width(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None, bins: int = BINS) -> float:
    """Return the expected calibration error over bins (e_k, e_{k+1}] of equal width, the first one including 0.

        ECE = sum_b n_b / n |mean_b(risk) - mean_b(label)| = sum_b |sum_b (risk - label)| / n

    Source: Naeini et al., AAAI 2015, doi 10.1609/aaai.v29i1.9602.

    >>> round(ece_equal_width(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.9])), 6)
    0.133333
    """
    w = row_weights(label, weight)
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
    ranked, w = risk[order], row_weights(label, weight)[order]
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
