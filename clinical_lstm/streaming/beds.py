"""Who is in the ward: of every stay, what has arrived but belongs to a step not yet closed, and a row of each array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

FEWEST = 32


@dataclass(slots=True)
class Bed:
    """One stay.

    Attributes:
        stay_id: whose it is. row: its row of the arrays. closed: end of its last closed step, hours since admission.
        waiting: end of an open step -> index of a variable -> (hours, value) last stamped in that step.
        cells: how many of them there are.

    """

    stay_id: str
    row: int
    closed: float
    waiting: dict[float, dict[int, tuple[float, float]]] = field(default_factory=dict)
    cells: int = 0

    def keep(self, end: float, variable: int, hours: float, value: float) -> None:
        """Keep a value of the step that ends at `end`: the last stamp counts, of equal stamps the last to arrive."""
        cells = self.waiting.setdefault(end, {})
        before = cells.get(variable)
        if before is None:
            self.cells += 1
        if before is None or before[0] <= hours:
            cells[variable] = (hours, value)

    def close(self, end: float) -> dict[int, tuple[float, float]]:
        """Close the step that ends at `end` and return what was observed in it."""
        cells = self.waiting.pop(end, {})
        self.cells -= len(cells)
        self.closed = end
        return cells


class Beds:
    """The stays by their id, and arrays with a row for each; a freed row is used again, full arrays double.

    Args:
        blank: name -> what a row of that array holds at admission.

    """

    def __init__(self, blank: Mapping[str, np.ndarray]) -> None:
        self.blank = dict(blank)
        self.of: dict[str, Bed] = {}
        self.arrays = {name: np.repeat(one[None], FEWEST, axis=0) for name, one in self.blank.items()}
        self._free = list(range(FEWEST))[::-1]

    @property
    def bytes_each(self) -> int:
        """The bytes that one stay takes in the arrays."""
        return sum(one.nbytes for one in self.blank.values())

    def take(self, stay_id: str, closed: float) -> Bed:
        """Return a bed for a stay that has none, its row blank."""
        if not self._free:
            size = len(self.of)
            self._free = list(range(size, 2 * size))[::-1]
            more = {name: np.repeat(one[None], size, axis=0) for name, one in self.blank.items()}
            self.arrays = {name: np.concatenate([part, more[name]]) for name, part in self.arrays.items()}
        bed = self.of[stay_id] = Bed(stay_id, self._free.pop(), closed)
        return bed

    def leave(self, stay_id: str) -> None:
        """Free the bed of a stay."""
        row = self.of.pop(stay_id).row
        for name, part in self.arrays.items():
            part[row] = self.blank[name]
        self._free.append(row)

    def rows(self, beds: Sequence[Bed]) -> np.ndarray:
        """Return the rows (B,) of some beds."""
        return np.array([bed.row for bed in beds], np.int64)
