"""Which rows raise an alarm: at or above the threshold, not silenced by an earlier alarm, not inside a reset."""

from __future__ import annotations

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms.policy import Policy

SAME_HOURS = 1e-6  # 4 ms: times in minutes, as fractions of an hour, are equal when they are meant to be


def raised(
    stay: np.ndarray, hours: np.ndarray, risk: np.ndarray, policy: Policy, ends: np.ndarray | None = None
) -> np.ndarray:
    """Return which rows (N,) raise an alarm under `policy`; no labels are needed.

    Args:
        stay, hours, risk: (N,) sorted by stay and hours, every time of a stay once.
        ends: (N,) hours at which the last episode before the row ended, NaN: none; None: no row has any.

    Raises InputError on rows that are not sorted, not of one length, or without a risk in [0, 1].

    >>> hours, risk = np.array([1.0, 2, 3, 4]), np.array([0.5, 0.9, 0.9, 0.1])
    >>> raised(np.zeros(4, int), hours, risk, Policy(0.5, silence_hours=2.0)).tolist()
    [True, False, True, False]
    """
    alarm = np.zeros(len(risk), bool)
    alarm[Silence(stay, hours, risk, policy.silence_hours, policy.reset_hours, ends).alarms(policy.threshold)] = True
    return alarm


class Silence:
    """Rows prepared once for a silence and a reset; the alarms of any threshold are then found without a sort.

    With a row's `quiet` the last row that its alarm would silence (itself if none), alarms of one stay follow from
    each other alone, those of all stays at once:

        a_1     = first candidate of the stay                candidate: risk >= threshold, not inside a reset   (1)
        a_(k+1) = first candidate after quiet(a_k)           of the same stay                                   (2)

    Attributes:
        risk: (N,) float64, -inf where the reset allows no alarm.

    """

    def __init__(
        self,
        stay: np.ndarray,
        hours: np.ndarray,
        risk: np.ndarray,
        silence_hours: float,
        reset_hours: float,
        ends: np.ndarray | None = None,
    ) -> None:
        check_rows(stay, hours, risk, ends)
        self.stay, self.risk = stay, np.asarray(risk, np.float64)
        if ends is not None:  # a NaN is smaller than nothing: no episode, no reset
            self.risk = np.where(hours < ends + reset_hours - SAME_HOURS, -np.inf, self.risk)
        self.quiet = _quiet(stay, hours, silence_hours)
        self.silences = bool((self.quiet > np.arange(len(stay))).any())

    def alarms(self, threshold: float) -> np.ndarray:
        """Return the rows, ascending, that raise an alarm at `threshold`."""
        above = self.risk >= threshold
        candidate = np.flatnonzero(above)
        if not self.silences or not len(candidate):
            return candidate
        later = np.cumsum(above)[self.quiet[candidate]]  # candidates up to there = the number of the next one (2)
        stay = self.stay[candidate]
        first = np.flatnonzero(np.r_[True, stay[1:] != stay[:-1]])  # (1)
        stop = np.r_[first[1:], len(candidate)]
        fires = np.zeros(len(candidate), bool)
        now = first
        while len(now):
            fires[now] = True
            now = later[now]
            same = now < stop  # beyond, another stay has begun: its alarms are found from its own first candidate
            now, stop = now[same], stop[same]
        return candidate[fires]


def check_rows(stay: np.ndarray, hours: np.ndarray, risk: np.ndarray, ends: np.ndarray | None) -> None:
    """Raise InputError unless the rows are of one length, finite, inside [0, 1], and sorted by stay and hours."""
    check_lengths(stay=stay, hours=hours, risk=risk, ends=ends)
    refuse(~np.isfinite(hours), "have no finite hours", "drop them, or give the time of the prediction")
    refuse(~((risk >= 0) & (risk <= 1)), "have no risk in [0, 1]", "predict them, or drop them")
    later = (stay[1:] > stay[:-1]) | ((stay[1:] == stay[:-1]) & (hours[1:] > hours[:-1]))
    advice = "sort by stay and hours, and give every time of a stay once, of one target"
    refuse(np.r_[False, ~later][: len(stay)], "do not come after the row before them", advice)
    if ends is not None:
        refuse(ends > hours + SAME_HOURS, "lie before the `ends` of their last episode", "drop rows inside an episode")


def check_lengths(**columns: np.ndarray | None) -> None:
    """Raise InputError unless all columns that are given are (N,) of one N."""
    shapes = {name: np.shape(column) for name, column in columns.items() if column is not None}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        said = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"the columns of the rows for alarms differ in shape: {said}; give one value per row to each")


def refuse(wrong: np.ndarray, what: str, advice: str) -> None:
    """Raise InputError where any row is `wrong` (N,): how many, the first one, what to do."""
    if wrong.any():
        rows = np.flatnonzero(wrong)
        raise InputError(f"{len(rows)} of {len(wrong)} rows for alarms {what}, the first is row {rows[0]}; {advice}")


def _quiet(stay: np.ndarray, hours: np.ndarray, silence_hours: float) -> np.ndarray:
    """Return the last row (N,) of the same stay before hours + silence_hours, by bisection of all rows at once."""
    rows = np.arange(len(stay))
    starts = np.flatnonzero(np.r_[True, stay[1:] != stay[:-1]][: len(stay)])
    lengths = np.diff(np.r_[starts, len(stay)])
    until = hours + silence_hours - SAME_HOURS
    low, high = rows, np.repeat(starts + lengths - 1, lengths)  # both inside the stay; the answer is in [low, high]
    while (low < high).any():
        middle = (low + high + 1) // 2
        silenced = hours[middle] < until
        low, high = np.where(silenced, middle, low), np.where(silenced, high, np.maximum(middle - 1, rows))
    return low
