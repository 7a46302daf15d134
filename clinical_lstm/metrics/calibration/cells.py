"""Rows gathered into a few thousand cells of nearly equal risk: what a fit over all rows becomes fast by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.calibration.logits import logit

CELLS = 2048


class Cells(NamedTuple):
    """The cell (N,) of every row, and the mean logit (C,) and mean risk (C,) of each cell, ascending."""

    cell: np.ndarray
    logit: np.ndarray
    risk: np.ndarray


def cells_of(risk: np.ndarray, most: int = CELLS) -> Cells:
    """Return the cells of the risks (N,): the distinct logits where there are at most `most`, or else intervals.

    An interval ends at each of `most` / 2 steps of equal width and at each of `most` / 2 steps of equal numbers of
    rows, so no cell is wider than 2 / `most` of the range of logits (0.027 of the widest range there is), and none has
    more than a 4 / `most` share of the rows unless they are equal. Equal risks share a cell.

    >>> cells = cells_of(np.array([0.5, 0.2, 0.5]))
    >>> cells.cell.tolist(), cells.logit.round(4).tolist()
    ([1, 0, 1], [-1.3863, 0.0])
    """
    x = logit(risk)
    distinct, cell = np.unique(x, return_inverse=True)
    if len(distinct) > most:
        width = np.linspace(distinct[0], distinct[-1], most // 2 + 1)[1:-1]
        ranked = np.sort(x)
        mass = ranked[len(x) * np.arange(1, most // 2) // (most // 2)]
        values, steps = np.unique(mass, return_counts=True)
        alone = np.nextafter(values[steps > 1], np.inf)  # equal logits that fill a step have a cell of their own
        edges = np.unique(np.r_[width, values, alone])  # a cell is [edge, next edge)
        used, cell = np.unique(np.searchsorted(edges, x, side="right"), return_inverse=True)
        count = np.bincount(cell, minlength=len(used))
        distinct = np.bincount(cell, x) / count
    count = np.bincount(cell, minlength=len(distinct))
    return Cells(cell, distinct, np.bincount(cell, risk, len(distinct)) / np.maximum(count, 1))
