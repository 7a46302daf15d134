"""Rows that count several times: weights, means and ratios that the rows may leave undefined (NaN)."""

from __future__ import annotations

import numpy as np

NAN = float("nan")


def row_weights(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights (N,) as float64: all 1 where none are given.

    >>> row_weights(np.array([0, 1]), None)
    array([1., 1.])
    """
    return np.ones(len(label)) if weight is None else weight.astype(np.float64, copy=False)


def weighted_mean(term: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return sum(weight * term) / sum(weight); NaN without rows.

    >>> weighted_mean(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    0.75
    """
    if weight is None:
        return float(term.mean()) if len(term) else NAN
    return float(ratio((weight * term).sum(), weight.sum()))


def ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Return part / whole element by element, NaN where `whole` is not positive.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, NAN), where=whole > 0)[()]  # numbers give a number


def ascending(risk: np.ndarray) -> np.ndarray | slice:
    """Return the index that sorts `risk`: the empty slice, which copies nothing, where it is sorted already.

    >>> ascending(np.array([0.3, 0.1])).tolist(), ascending(np.array([0.1, 0.3]))
    ([1, 0], slice(None, None, None))
    """
    return slice(None) if bool((risk[1:] >= risk[:-1]).all()) else np.argsort(risk, kind="stable")
