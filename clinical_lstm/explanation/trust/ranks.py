"""How alike two attributions are, and between what bounds a figure of many predictions lies."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

REPLICATES = 1000


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the rank correlation of two vectors, ties at their mean rank; NaN below 3 entries or without spread.

    >>> spearman(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.1, 0.2, 0.2, 0.9])).__round__(3)
    0.949
    """
    if len(one) < 3:
        return float("nan")
    x, y = (rank - rank.mean() for rank in (rankdata(one), rankdata(other)))
    spread = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / spread) if spread > 0 else float("nan")


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of the angle between two vectors; NaN where one of them is 0.

    >>> cosine(np.array([1.0, 0.0]), np.array([3.0, 4.0]))
    0.6
    """
    length = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / length) if length > 0 else float("nan")


def used(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of both vectors where at least one is not 0: zeros in common are no agreement."""
    either = (one != 0) | (other != 0)
    return one[either], other[either]


def interval(values: np.ndarray, seed: int, median: bool = False) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of the mean (or median) of independent values (n,).

    >>> interval(np.array([1.0, 1.0, 1.0]), seed=0)
    (1.0, 1.0)
    """
    drawn = values[np.random.default_rng(seed).integers(0, len(values), (REPLICATES, len(values)))]  # (R, n)
    low, high = np.quantile(np.median(drawn, axis=1) if median else drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
