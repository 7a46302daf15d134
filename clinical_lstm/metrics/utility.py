"""What an alarm is worth: the official utility of the PhysioNet/CinC Challenge 2019, and net benefit.

    u(dt)      0 |          alarm: rises from dt = -12 to 1 at -6, falls to 0 at +3; before -12: -0.05
    dt = hours from onset    silent: 0 until -6, falls to -2 at +3;            beyond +3 both are 0

The score is a sum over rows, so it is a weighted 0-1 loss: gain(dt) = u_alarm - u_silent is all one needs to know.
It counts rows: it equals the official score where a row is an hour, without gaps (as in the challenge).
Source: Reyna et al., Crit Care Med 48:210-217 (2020), doi 10.1097/CCM.0000000000004145.
"""

from __future__ import annotations

import numpy as np

EARLY, OPTIMAL, LATE = -12.0, -6.0, 3.0  # hours from onset
TRUE_ALARM, MISS, FALSE_ALARM = 1.0, -2.0, -0.05
NAN = float("nan")


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


def net_benefit(label: np.ndarray, risk: np.ndarray, threshold: float, weight: np.ndarray | None = None) -> float:
    """Return TP/n - FP/n * t / (1 - t) of alarming when risk >= t; NaN without rows.

    Source: Vickers & Elkin, Med Decis Making 26:565-574 (2006), doi 10.1177/0272989X06295361.

    >>> net_benefit(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]), 0.5)
    0.0
    """
    once = np.ones(len(label)) if weight is None else weight
    alarm = once * (risk >= threshold)
    rows, true = float(once.sum()), float(alarm[label == 1].sum())
    harm = (float(alarm.sum()) - true) * threshold / (1 - threshold)
    return (true - harm) / rows if rows > 0 else NAN
