"""Which thresholds are worth trying, where all distinct risks would be too many."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.alarms.course import Course
from clinical_lstm.metrics.alarms.silence import Silence


def event_peaks(course: Course, silence: Silence, most: int) -> np.ndarray:
    """Return at most `most` thresholds, ascending: the highest risks of events, at equal steps of event recall.

        peak_e = max risk over the rows of event e that no reset forbids

    Without silence event e is detected from the threshold peak_e down and event recall rises nowhere else, so these
    are all the thresholds that matter; with more events than `most`, recall rises by 1 / most from one to the next.
    """
    peak = np.full(len(course.event_onset), -np.inf)
    np.maximum.at(peak, course.event[course.label], silence.risk[course.label])
    peak = -np.sort(-peak[np.isfinite(peak)])
    steps = np.arange(1, most + 1)
    return np.unique(peak if len(peak) <= most else peak[-(-steps * len(peak) // most) - 1])


def falling_shares(silence: Silence, most: int) -> np.ndarray:
    """Return at most `most` distinct risks, ascending, reached by shares of the rows that fall by equal factors.

        rank_k = N^(k / (most - 1)),  k = 0 .. most - 1         from the highest risk (1) to the lowest (N)

    A ward's threshold lies where few rows are above it; equal steps of the share would leave one or two there.
    """
    risk = np.sort(silence.risk[np.isfinite(silence.risk)])
    if not len(risk):
        return risk
    rank = np.rint(len(risk) ** np.linspace(0, 1, most)).astype(np.int64)
    return np.unique(risk[-rank])


def candidates(course: Course, silence: Silence, most: int) -> np.ndarray:
    """Return all distinct risks, ascending, or, where they are more than `most`, half of it each of the two above."""
    distinct = np.unique(silence.risk[np.isfinite(silence.risk)])
    if len(distinct) <= most:
        return distinct
    return np.union1d(event_peaks(course, silence, most // 2), falling_shares(silence, most // 2))
