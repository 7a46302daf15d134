"""What every family of replicated metrics is: point values without counts, arrays with them, and sums by cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import overload

import numpy as np
from scipy.sparse import csr_array


class Family(ABC):
    """Metrics of a fixed set of rows, as a function of how often each patient was drawn.

        rows (N,) --once--> sums by (cell, patient) --@ counts (P, R)--> sums by cell (R, C) --> metrics (R,)

    Replicates are computed `block` at a time, so that a block's arrays stay in the processor's cache; no value depends
    on which others share its block.
    """

    block = 32

    @overload
    def __call__(self) -> dict[str, float]: ...
    @overload
    def __call__(self, counts: None) -> dict[str, float]: ...
    @overload
    def __call__(self, counts: np.ndarray) -> dict[str, np.ndarray]: ...
    def __call__(self, counts: np.ndarray | None = None) -> dict[str, float] | dict[str, np.ndarray]:
        """Return {metric: value} of the rows as they are or, with counts (P, R), {metric: values (R,)}."""
        if counts is None:
            return self.point()
        replicates = counts.shape[1]
        starts = range(0, replicates, self.block)
        parts = [self.replicates(np.ascontiguousarray(counts[:, s : s + self.block], np.float64)) for s in starts]
        if not parts:
            return {name: np.zeros(0) for name in self.point()}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @abstractmethod
    def point(self) -> dict[str, float]:
        """Return {metric: value} with every patient drawn once; NaN where the rows do not define it."""

    @abstractmethod
    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return {metric: values (R,)} with patient p drawn counts[p, r] times in replicate r; NaN where undefined."""


class CellSums:
    """The sums of `value` (1 where none is given) over the rows of each cell and patient.

    Their product with counts is a sum in the fixed order of the patients, so its bits depend on nothing else.
    """

    def __init__(
        self, cell: np.ndarray, cells: int, patient: np.ndarray, patients: int, value: np.ndarray | None = None
    ) -> None:
        pair = cell.astype(np.int64) * patients + patient
        used, index = np.unique(pair, return_inverse=True)
        sums = np.bincount(index, value, len(used)).astype(np.float64)
        ends = np.searchsorted(used, np.arange(cells + 1, dtype=np.int64) * patients)
        self.matrix = csr_array((sums, used % max(patients, 1), ends), shape=(cells, patients))

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return the sums (R, cells) with patient p counted counts[p, r] times."""
        return np.ascontiguousarray((self.matrix @ counts).T)
