"""The policy hour by hour: whether it rings now, from two numbers that are remembered of a stay."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.alarms.policy import Policy
from clinical_lstm.metrics.alarms.silence import SAME_HOURS


def rings(hours: np.ndarray, risk: np.ndarray, rang: np.ndarray, ended: np.ndarray, policy: Policy) -> np.ndarray:
    """Return whether an alarm is raised now, of many stays at once or of one; all arrays have one shape.

        alarm = risk >= threshold  and  not hours < rang + silence_hours  and  not hours < ended + reset_hours

    Asked step by step, with `rang` set to `hours` after every alarm, it rings where `raised` does on the whole course.

    Args:
        hours, risk: of now, finite. rang: hours of the last alarm, NaN: none yet.
        ended: hours at which the last episode ended, NaN: there was none, infinite: it still goes on.

    >>> rang, ended = np.array([np.nan, 3.0, np.nan]), np.array([np.nan, np.nan, np.inf])
    >>> rings(np.full(3, 5.0), np.full(3, 0.9), rang, ended, Policy(0.5, silence_hours=4.0)).tolist()
    [True, False, False]
    """
    silent = hours < rang + policy.silence_hours - SAME_HOURS  # nothing is before a NaN
    resting = hours < ended + policy.reset_hours - SAME_HOURS
    return (risk >= policy.threshold) & ~silent & ~resting
