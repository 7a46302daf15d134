"""What an alarm is worth, by the time to onset: the utility of the PhysioNet/CinC Challenge 2019, and any other.

    u(dt)      0 |          alarm: rises from dt = -12 to 1 at -6, falls to 0 at +3; before -12: -0.05
    dt = hours from onset    silent: 0 until -6, falls to -2 at +3;            beyond +3 both are 0

The score is a sum over rows, so it is a weighted 0-1 loss: gain(dt) = u_alarm - u_silent is all one needs to know.
It counts rows: it equals the official score where a row is an hour, without gaps (as in the challenge).
`TimedUtility` says what any other ward pays for an alarm, a miss and a false alarm; it is normalised the same way.
Source: Reyna et al., Crit Care Med 48:210-217 (2020), doi 10.1097/CCM.0000000000004145.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.weights import NAN

EARLY, OPTIMAL, LATE = -12.0, -6.0, 3.0  # hours from onset
TRUE_ALARM, MISS, FALSE_ALARM = 1.0, -2.0, -0.05


def hours_from_onset(stay: np.ndarray, hours: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return dt (N,) of every row as the official scorer sees it: from the labels alone.

        onset of a stay = hour of its first label 1, plus 6,    dt = hours - onset,    -inf in stays without a label 1

    >>> hours_from_onset(np.array(["a", "a", "b"]), np.array([1.0, 2.0, 1.0]), np.array([0, 1, 0])).tolist()
    [-7.0, -6.0, -inf]
    """
    names, code = np.unique(stay, return_inverse=True)
    first = np.full(len(names), np.inf)
    positive = label == 1
    np.minimum.at(first, code[positive], hours[positive])
    return hours - (first[code] - OPTIMAL)


def row_utilities(dt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the utility (N,) of alarming and of staying silent `dt` hours from onset (-inf: no onset).

    >>> [u.round(3).tolist() for u in row_utilities(np.array([-np.inf, -12, -6, -3, 3, 4]))]
    [[-0.05, 0.0, 1.0, 0.667, 0.0, 0.0], [0.0, 0.0, 0.0, -0.667, -2.0, 0.0]]
    """
    before = dt <= OPTIMAL
    counted = dt <= LATE
    rising = np.maximum(TRUE_ALARM * (dt - EARLY) / (OPTIMAL - EARLY), FALSE_ALARM)
    falling = TRUE_ALARM * (LATE - dt) / (LATE - OPTIMAL)
    missing = MISS * (dt - OPTIMAL) / (LATE - OPTIMAL)
    alarm = np.where(counted, np.where(before, rising, falling), 0.0)
    silent = np.where(counted & ~before, missing, 0.0)
    return alarm, silent


def gain(dt: np.ndarray) -> np.ndarray:
    """Return u_alarm - u_silent (N,) `dt` hours from onset: what an alarm adds to the score of its row.

    >>> gain(np.array([-np.inf, -6.0, 3.0])).tolist()
    [-0.05, 1.0, 2.0]
    """
    alarm, silent = row_utilities(dt)
    return alarm - silent


Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TimedUtility:
    r"""A cost matrix over time: what a row is worth with and without an alarm, by its hours from onset.

        alarm   ______________/\_            points (hours, value) joined by lines; before the first point its value
        missed  _____________________        holds; after the last one the row counts nothing
                                  \|
                    hours from onset

    Attributes:
        true_alarm: points of an alarm in a stay with an onset. missed: points of silence in such a stay.
        false_alarm, silent: the value of an alarm and of silence in a stay without an onset.

    Raises InputError where points are absent, not finite or not by ascending hours.

    >>> utility = TimedUtility(true_alarm=((-12, 0), (0, 1)), missed=((-12, 0), (0, -1)), false_alarm=-0.1)
    >>> utility.gain(np.array([-np.inf, -24.0, -6.0, 0.0, 1.0])).tolist()
    [-0.1, 0.0, 1.0, 2.0, 0.0]

    """

    true_alarm: Points
    missed: Points
    false_alarm: float
    silent: float = 0.0

    def __post_init__(self) -> None:
        for name in ("true_alarm", "missed"):
            object.__setattr__(self, name, _points(name, getattr(self, name)))
        wrong = [name for name in ("false_alarm", "silent") if not _is_number(getattr(self, name))]
        if wrong:
            raise InputError(f"the utility's {' and '.join(wrong)} must be a finite number; give one")

    def rows(self, dt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the utility (N,) of alarming and of staying silent `dt` hours from onset (-inf: no onset)."""
        never = np.isneginf(dt)
        alarm = np.where(never, self.false_alarm, _along(self.true_alarm, dt))
        return alarm, np.where(never, self.silent, _along(self.missed, dt))

    def gain(self, dt: np.ndarray) -> np.ndarray:
        """Return u_alarm - u_silent (N,) `dt` hours from onset, for `normalised_utility` and `best_threshold`."""
        alarm, silent = self.rows(dt)
        return alarm - silent


def _points(name: str, given: Points) -> Points:
    if not isinstance(given, (tuple, list)) or not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in given):
        raise InputError(f"the utility's {name} is {given!r}; give a list of pairs [hours from onset, value]")
    if not given or not all(_is_number(number) for point in given for number in point):
        raise InputError(f"the utility's {name} is {given!r}; give at least one pair of two finite numbers")
    hours = [float(hour) for hour, _ in given]
    if hours != sorted(set(hours)):
        raise InputError(f"the hours of the utility's {name} are {hours}; order them, each above the one before")
    return tuple((float(hour), float(value)) for hour, value in given)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _along(points: Points, dt: np.ndarray) -> np.ndarray:
    hours, values = np.array(points).T
    return np.where(dt <= hours[-1], np.interp(dt, hours, values), 0.0)


# the utility above as an instance: the line through (-12, 0) and (-6, 1) meets the value of a false alarm at -12.3
CINC2019 = TimedUtility(
    true_alarm=((EARLY + FALSE_ALARM * (OPTIMAL - EARLY) / TRUE_ALARM, FALSE_ALARM), (OPTIMAL, TRUE_ALARM), (LATE, 0)),
    missed=((OPTIMAL, 0.0), (LATE, MISS)),
    false_alarm=FALSE_ALARM,
)


def normalised_utility(gains: np.ndarray, alarm: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the official score (1 = perfect, 0 = never alarming), pooled over all rows; NaN when nothing can be won.

        U = (observed - inaction) / (best - inaction) = sum of gain over alarms / sum of positive gains

    >>> normalised_utility(np.array([-0.05, 0.5, 1.0]), np.array([True, False, True]))
    0.6333333333333333
    """
    won = np.where(alarm, gains, 0.0)
    best = np.maximum(gains, 0.0)
    if weight is not None:
        won, best = won * weight, best * weight
    attainable = float(best.sum())
    return float(won.sum()) / attainable if attainable > 0 else NAN


def pre_onset_gain(dt: np.ndarray) -> np.ndarray:
    """Return the gain (N,) of rows before onset, 0 from onset on: those rows leave the score and its best value.

    >>> pre_onset_gain(np.array([-6.0, -1.0, 0.0])).round(3).tolist()
    [1.0, 1.556, 0.0]
    """
    return np.where(dt < 0, gain(dt), 0.0)


def best_threshold(risk: np.ndarray, gains: np.ndarray) -> float:
    """Return the threshold on risk (alarm when risk >= threshold) with the highest utility, the highest of equals.

    It is exact: one sort, one cumulative sum. 1.0 (never alarm: risks are below 1) where every alarm loses.

    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([-0.05, 1.0, -0.05, 0.5]))
    0.2
    """
    order = np.argsort(-risk, kind="stable")
    ranked = risk[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True][: len(ranked)])
    total = np.r_[0.0, np.cumsum(gains[order])[last]]
    return float(np.r_[1.0, ranked[last]][np.argmax(total)])


def fitted_threshold(risk: np.ndarray, gains: np.ndarray, rounds: int = 25) -> float:
    """Return the threshold on risk at which an alarm is expected to gain nothing: less noisy than the best one.

        P(gain > 0 | risk) = sigmoid(a + b logit(risk)),  fitted with weights |gain|;   threshold = sigmoid(-a / b)

    The expected gain of an alarm, E|gain| (2 P - 1) under these weights, is positive where P > 1/2. Two numbers are
    fitted to all rows, where `best_threshold` follows the luck of the rows around one cut. Where risk does not rise
    with the gain, or gains have one sign, it is `best_threshold`.

    >>> round(fitted_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([-0.05, -1.0, 1.0, -0.05])), 3)
    0.254
    """
    known = gains != 0
    wanted, weight = (gains > 0)[known].astype(np.float64), np.abs(gains)[known]
    if len(np.unique(wanted)) < 2:
        return best_threshold(risk, gains)
    logit = np.log(risk[known]) - np.log1p(-risk[known])
    weight = weight / weight.sum()
    middle = weight @ logit
    rows, fit = np.stack([np.ones_like(logit), logit - middle]), np.zeros(2)
    for _ in range(rounds):  # Newton's method; the penalty keeps a perfect separation finite
        p = 1 / (1 + np.exp(-np.clip(fit @ rows, -30, 30)))
        slope = rows @ (weight * (wanted - p)) - 1e-6 * fit
        fit = fit + np.linalg.solve((rows * (weight * p * (1 - p))) @ rows.T + 1e-6 * np.eye(2), slope)
    if not (np.isfinite(fit).all() and fit[1] > 1e-3):
        return best_threshold(risk, gains)
    return float(1 / (1 + np.exp(np.clip(fit[0] / fit[1] - middle, -30, 30))))
