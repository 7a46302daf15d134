"""The metrics of one predictor on one subset, and again for every bootstrap replicate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """Metrics of some rows.

    Attributes:
        values: each metric. replicates: the same (R,) with the patients drawn anew; empty without replicates.
        counts: rows, stays and positive rows.

    """

    values: dict[str, float]
    replicates: dict[str, np.ndarray]
    counts: dict[str, int]
