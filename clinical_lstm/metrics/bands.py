"""The bands in which ages and other numbers are compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

AGES = [45.0, 65.0, 80.0]  # years


def banded(values: np.ndarray, edges: Sequence[float], suffix: str = "") -> tuple[np.ndarray, list[str]]:
    """Return the band (N,) of each value, -1 where NaN, and the bands' names; an edge belongs to the band above it.

    >>> band, names = banded(np.array([18.0, 45.0, np.nan]), [45.0, 65.0])
    >>> band.tolist(), names
    ([0, 1, -1], ['<45', '45-64', '65+'])
    """
    band = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))
    whole = all(float(edge).is_integer() for edge in edges)
    inner = [f"{a:g}-{b - 1:g}" if whole and not suffix else f"{a:g}-{b:g}" for a, b in pairwise(edges)]
    return band, [f"{name}{suffix}" for name in [f"<{edges[0]:g}", *inner, f"{edges[-1]:g}+"]]
