"""Spearman's rank correlation where rows count several times, as in the replicates of a bootstrap."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.weights import ratio


def spearman(x: np.ndarray, y: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the rank correlation (R,) of `x` (N,) and `y` (N,), row n counting counts[n, r] times (None: once, R = 1).

        rank_n = sum of the counts below x_n + half of those at x_n        ties share their mean rank
        rho    = cov(rank x, rank y) / (sd(rank x) sd(rank y))             NaN where x or y does not vary

    Source: Spearman, Am J Psychol 15:72-101 (1904), doi 10.2307/1412159.

    >>> x, y = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.1, 0.2, 0.2, 0.9])
    >>> spearman(x, y, np.array([[1.0, 1.0], [1, 0], [1, 2], [1, 0]])).round(3).tolist()
    [0.949, 1.0]
    """
    counts = np.ones((len(x), 1)) if counts is None else counts
    total = counts.sum(axis=0)
    a, b = _ranks(x, counts), _ranks(y, counts)  # (N, R)
    a, b = a - ratio((counts * a).sum(axis=0), total), b - ratio((counts * b).sum(axis=0), total)
    spread = (counts * a * a).sum(axis=0) * (counts * b * b).sum(axis=0)
    return np.clip(ratio((counts * a * b).sum(axis=0), np.sqrt(spread)), -1, 1)


def _ranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    _, place = np.unique(x, return_inverse=True)  # (N,) position among the U distinct values
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    here = np.add.reduceat(counts[order], starts, axis=0) if len(x) else counts  # (U, R)
    return (np.cumsum(here, axis=0) - here / 2)[place]
