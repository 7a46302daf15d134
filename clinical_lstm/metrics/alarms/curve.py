"""Event recall against alarm precision over all thresholds, and the area below it."""

from __future__ import annotations

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms.course import Course
from clinical_lstm.metrics.alarms.thresholds import event_peaks

THRESHOLDS = 200


class AlarmCurve:
    """The event-level precision-recall curve of one silence and reset; the alarms of every threshold are found once.

        R_k = detected events / events,    P_k = true alarms / alarms    at the k-th highest threshold     (1)
        area = sum_k (B_k - B_(k-1)) P_k,    B_k = max(R_1 .. R_k), B_0 = 0                                (2)

    (2) is average precision: every gain of recall is paid with the precision of the first threshold, from above, that
    reaches it. Without silence recall never falls and B = R. With silence it may (an early false alarm silences the
    window of an event), and a threshold that finds no more than a higher one then adds nothing: no interpolation, and
    no credit for recall that was reached before. It depends on the policy, so compare areas of one silence and reset.
    Source: Davis & Goadrich, ICML 2006, doi 10.1145/1143844.1143874; Hyland et al., Nat Med 26:364-373 (2020),
    doi 10.1038/s41591-020-0789-4.

    Args:
        thresholds: to try; None: `event_peaks`, at most 200. With up to 200 events and no silence the curve is exact.

    Attributes:
        thresholds: (T,) descending. alarms: (T,). recall, precision, false_alarms_per_patient_day: (T,), NaN where
            undefined.

    >>> risk, label, onset = np.array([0.9, 0.1, 0.8, 0.7]), np.array([0, 0, 1, 1]), np.array([np.nan, np.nan, 5, 8])
    >>> curve = AlarmCurve(Course(np.arange(4), np.zeros(4), risk, label, onset))
    >>> curve.thresholds.tolist(), curve.recall.tolist(), curve.precision.round(3).tolist()
    ([0.8, 0.7], [0.5, 1.0], [0.5, 0.667])
    >>> round(float(curve.area()), 4)
    0.5833
    """

    def __init__(
        self,
        course: Course,
        silence_hours: float = 0.0,
        reset_hours: float = 0.0,
        thresholds: np.ndarray | None = None,
    ) -> None:
        silence = course.silence(silence_hours, reset_hours)
        chosen = event_peaks(course, silence, THRESHOLDS) if thresholds is None else np.unique(thresholds)
        if np.isnan(chosen).any():
            raise InputError("a threshold of the alarm curve is no number: give risks, from 0 to 1")
        self.thresholds = chosen[::-1]
        self.patients = course.patients
        self._affected = np.unique(course.event_patient)  # only they can have true alarms and detected events
        number = np.searchsorted(self._affected, np.arange(self.patients))
        self._events = np.bincount(number[course.event_patient], minlength=len(self._affected)) * 1.0
        self._alarms = np.zeros((len(chosen), self.patients))
        self._true, self._detected = np.zeros((2, len(chosen), len(self._affected)))
        for k, threshold in enumerate(self.thresholds):
            alarm = silence.alarms(threshold)
            true = alarm[course.label[alarm]]
            found = np.zeros(len(course.event_onset), bool)
            found[course.event[true]] = True
            self._alarms[k] = np.bincount(course.patient[alarm], minlength=self.patients)
            self._true[k] = np.bincount(number[course.patient[true]], minlength=len(self._affected))
            self._detected[k] = np.bincount(number[course.event_patient[found]], minlength=len(self._affected))
        recall, precision = self.points(np.ones((self.patients, 1)))
        self.recall, self.precision = recall[:, 0], precision[:, 0]
        self.alarms = self._alarms.sum(axis=1)
        false = self.alarms - self._true.sum(axis=1)
        days = course.patient_days
        self.false_alarms_per_patient_day = false / days if days > 0 else np.full(len(chosen), np.nan)

    def points(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return recall and precision (T, R) with patient p drawn counts[p, r] times; NaN where undefined."""
        affected = counts[self._affected]
        events = np.broadcast_to(self._events @ affected, (len(self.thresholds), counts.shape[1]))
        alarms = self._alarms @ counts  # all are sums of whole numbers, so a BLAS product is exact
        return _ratio(self._detected @ affected, events), _ratio(self._true @ affected, alarms)

    def area(self, counts: np.ndarray | None = None) -> np.ndarray:
        """Return the areas (R,) (2) with patient p drawn counts[p, r] times (None: one number); NaN without events."""
        if counts is None:
            return self.area(np.ones((self.patients, 1)))[0]
        recall, precision = self.points(counts)
        if not len(recall):
            return np.full(counts.shape[1], np.nan)
        gained = np.diff(np.maximum.accumulate(recall, axis=0), axis=0, prepend=0.0)
        won = gained * np.nan_to_num(precision)  # no alarm: no precision, and nothing gained
        return np.cumsum(won, axis=0)[-1]  # added in their order for any R: the bits depend on no neighbour


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
