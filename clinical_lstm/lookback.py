"""A finite lookback: a prediction at t sees what was stamped in (t - lookback, t], and nothing older.

           lookback         now
        |===================|
    t - lookback            t

A window is a short stay of its own: its steps are those that end inside it, its cells those stamped inside it, and what
was carried forward from before it is gone. Hours still count from admission, and so does the time since a variable that
the window does not hold: both are functions of t alone, and equal those of a stay in which it was never measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clinical_lstm.batch import Ragged, Sequences, stretches

EDGE_HOURS = 1e-5  # 36 ms: what lies so close to the edge is outside, since the ages of cells are 32-bit numbers


def reach_hours(task: Mapping[str, Any]) -> float | None:
    """Return how many hours back the windows of a task reach; None: no windows, the model runs over whole stays.

    A task with one prediction per stay, at a fixed hour, has windows in any case, since admission if it names no
    lookback: what happens behind that hour is then out of reach of every model, also of one that sees all it is given.

    >>> reach_hours({"lookback_hours": None, "at_hours": 48.0}), reach_hours({"lookback_hours": 6.0, "at_hours": 48.0})
    (inf, 6.0)
    """
    lookback = task.get("lookback_hours")
    return float("inf") if lookback is None and task.get("at_hours") is not None else lookback


def sequences(ragged: Ragged, lookback_hours: float | None, asked: np.ndarray | None = None) -> Sequences:
    """Return what a model runs over: the stays of `ragged`, or with a lookback the window of every prediction time.

    Args:
        asked: (N,) bool, which steps are prediction times; None: all. Whole stays answer every step anyway.

    """
    if lookback_hours is None:
        return ragged
    ends = np.arange(len(ragged.hours)) if asked is None else np.flatnonzero(asked)
    stays, _ = ragged.place(ends)
    since = ragged.hours[ends] - lookback_hours + EDGE_HOURS
    return Windows(ragged, ends, stays, _first(ragged.hours, since, ragged.step_offsets[stays], ends), since)


@dataclass(frozen=True)
class Windows:
    """R windows of the stays of `ragged`, each answered at its last step alone; see `batch.Sequences`.

    Attributes:
        ends: (R,) flat step with which each ends, ascending. begins: (R,) its first flat step. stays: (R,) its stay.
        since: (R,) what was stamped at or before this hour is not seen.

    """

    ragged: Ragged
    ends: np.ndarray
    stays: np.ndarray
    begins: np.ndarray
    since: np.ndarray

    @property
    def hours(self) -> np.ndarray:
        """(N,) end of every step of the cohort."""
        return self.ragged.hours

    @property
    def lengths(self) -> np.ndarray:
        """(R,) number of steps of each window."""
        return self.ends + 1 - self.begins

    def of(self, stays: np.ndarray) -> np.ndarray:
        """Return the windows of `stays`, in their order; none where a stay has no prediction time."""
        offsets = self.ragged.step_offsets
        return stretches(*(np.searchsorted(self.ends, edge) for edge in (offsets[stays], offsets[stays + 1])))[1]

    def cut(self, rows: np.ndarray) -> tuple[Ragged, np.ndarray]:
        """Return the windows `rows` as stays of their own; costs what they hold, not what the cohort holds."""
        ragged, stay, begin, end = self.ragged, self.stays[rows], self.begins[rows], self.ends[rows]
        first, last = (at - ragged.step_offsets[stay] for at in (begin, end))  # steps within the stay
        low, high = ragged.cell_offsets[stay], ragged.cell_offsets[stay + 1]
        low = _first(ragged.cell_step, first - 1, low, high)
        row, at = stretches(low, _first(ragged.cell_step, last, low, high))
        stamp = ragged.hours[ragged.step_offsets[stay][row] + ragged.cell_step[at]] - ragged.cell_age[at]
        inside = stamp > self.since[rows][row]  # the first step may have begun before the window
        row, at = row[inside], at[inside]
        _, steps = stretches(begin, end + 1)
        window = Ragged(
            step_offsets=np.append(0, np.cumsum(end + 1 - begin)),
            cell_offsets=np.append(0, np.cumsum(np.bincount(row, minlength=len(rows)))),
            hours=ragged.hours[steps],
            cell_step=(ragged.cell_step[at] - first[row]).astype(np.int32),
            cell_variable=ragged.cell_variable[at],
            cell_value=ragged.cell_value[at],
            cell_age=ragged.cell_age[at],
            static=ragged.static[stay],
        )
        return window, np.arange(len(rows))

    def answered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the last step of each of the windows `rows`."""
        return np.arange(len(rows)), self.lengths[rows] - 1, self.ends[rows]

    def place(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the window that ends with each of the flat steps `at`, and its last step."""
        row = np.searchsorted(self.ends, at)
        return row, self.lengths[row] - 1


def _first(values: np.ndarray, above: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the first position in low..high whose value is > `above`, `high` without any; values ascend between.

    >>> _first(np.array([1.0, 2.0, 4.0, 0.0]), np.array([1.5, 9.0]), np.array([0, 0]), np.array([3, 3])).tolist()
    [1, 3]
    """
    low, high = np.array(low), np.array(high)
    while len(left := np.flatnonzero(low < high)):  # bisection of all rows together
        middle = (low[left] + high[left]) // 2
        inside = values[middle] > above[left]
        high[left[inside]] = middle[inside]
        low[left[~inside]] = middle[~inside] + 1
    return low
