"""The threshold that a ward's budget of false alarms allows."""

from __future__ import annotations

import math

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms.course import Course
from clinical_lstm.metrics.alarms.policy import Policy
from clinical_lstm.metrics.alarms.thresholds import candidates

THRESHOLDS = 512


def tune(course: Course, budget: float, silence_hours: float = 0.0, reset_hours: float = 0.0) -> Policy:
    """Return the policy of highest event recall with at most `budget` false alarms per patient-day on these rows.

    Of equal recall the one with the fewest false alarms, then the highest threshold. Tried are all distinct risks or,
    where they are more than 512, about 512 of them (`candidates`), and a threshold that never alarms: 1.0, or the
    next number where a risk is 1. It is the answer where nothing within the budget detects an event.

    Raises InputError on a budget that is no number of 0 or more, and on rows that stand for no time.

    >>> risk, label, onset = np.array([0.9, 0.1, 0.8, 0.7]), np.array([0, 0, 1, 1]), np.array([np.nan, np.nan, 5, 8])
    >>> course = Course(np.arange(4), np.zeros(4), risk, label, onset)
    >>> tune(course, budget=6.0).threshold, tune(course, budget=0.5).threshold
    (0.7, 1.0)
    """
    if not (math.isfinite(budget) and budget >= 0):
        raise InputError(f"the budget of false alarms per patient-day is {budget}: give a number, 0 or more")
    if len(course.stay) and not course.patient_days > 0:
        raise InputError(f"{len(course.stay)} rows for alarms stand for no time at all: give rows of several times")
    silence = course.silence(silence_hours, reset_hours)
    never = max(1.0, float(np.nextafter(course.risk.max(initial=0.0), np.inf)))
    best, threshold = (0, 0), never  # (detected events, - false alarms), the more the better
    for tried in candidates(course, silence, THRESHOLDS)[::-1]:
        alarm = silence.alarms(tried)
        true = course.label[alarm]
        false = len(alarm) - int(true.sum())
        detected = len(np.unique(course.event[alarm[true]]))
        if false <= budget * course.patient_days and (detected, -false) > best:
            best, threshold = (detected, -false), float(tried)
    return Policy(threshold, silence_hours, reset_hours)
