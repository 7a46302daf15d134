"""When steps end: every `step_hours` since admission, or at each distinct time of observation.

    step 1        step 2        step 3
|-------------|-------------|-------------|
0             w             2w            3w        a stamp t belongs to the step that ends at ceil(t / w) w;
                                                    hour 0 to the first one
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SAME_HOURS = 1e-6  # 4 ms, as in `data.tensors`: 5-minute stamps written as decimals fall on their grid point


class Grid:
    """The steps of a task; all hours count from admission.

    Args:
        step_hours: width of a step; None: one step per distinct time of observation.

    """

    def __init__(self, step_hours: float | None) -> None:
        self.width = step_hours

    def start(self, start_hours: float) -> float:
        """Return the end of the last step that a record which begins at `start_hours` does not have."""
        return -math.inf if self.width is None else math.floor((start_hours + SAME_HOURS) / self.width) * self.width

    def end(self, hours: float) -> float:
        """Return the end of the step that a stamp belongs to.

        >>> [Grid(0.5).end(hours) for hours in (0.0, 0.5, 0.51)], Grid(None).end(0.51)
        ([0.5, 0.5, 1.0], 0.51)
        """
        return hours if self.width is None else max(math.ceil((hours - SAME_HOURS) / self.width), 1) * self.width

    def count(self, closed: float, now: float, waiting: Iterable[float]) -> int:
        """Return how many steps have ended by `now` after the one that ended at `closed`."""
        if self.width is None:
            return sum(hours <= now for hours in waiting)
        return max(math.floor((now + SAME_HOURS) / self.width) - round(closed / self.width), 0)

    def due(self, closed: float, now: float, waiting: Iterable[float]) -> list[float]:
        """Return the ends of those steps, ascending.

        >>> Grid(1.0).due(2.0, 4.5, []), Grid(None).due(2.0, 4.5, [4.1, 3.0, 9.0])
        ([3.0, 4.0], [3.0, 4.1])

        Args:
            closed: end of the last closed step. waiting: ends of the steps that hold an observation, all after it.

        """
        if self.width is None:
            return sorted(hours for hours in waiting if hours <= now)
        first = round(closed / self.width) + 1
        return [(first + k) * self.width for k in range(self.count(closed, now, waiting))]
