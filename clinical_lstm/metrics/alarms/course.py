"""The labelled course of all stays: rows, the events that they are about, and the time that patients were watched."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.alarms.silence import Silence, check_lengths, check_rows, refuse

TICKS = 3_600_000  # ms per hour: whole numbers of them have exact sums, in any order
LONE_ROW_HOURS = 1.0


class Course:
    """Rows of one target, checked once; everything about them that no policy changes.

    Args:
        stay, hours, risk: (N,) sorted by stay and hours. label: (N,) 1: the next onset lies within the horizon.
        onset: (N,) hours of the onset that a positive row is about, NaN: not known (of other rows it is not read).
        patient: (N,) codes 0, 1, ..., one per stay; None: every stay is a patient.
        patients: how many there are, with or without rows; None: as many as the codes say.
        ends: (N,) hours at which the last episode before the row ended, NaN: none; None: no row has any.

    An event is a distinct (stay, onset) of positive rows; where the onset is not known, a run of consecutive positive
    rows of a stay. An event without any row is not counted: nobody could have announced it.

    A row stands for the time since the row before it in the stay, or since the last episode ended if that is later;
    the first row of a stay for the median spacing of its rows (a row alone: 1 h), or less if an episode ended since.

    Attributes:
        event: (N,) code of the event that a positive row is about, -1 of others.
        event_patient, event_onset: (E,) of the events. watched: (patients,) whole milliseconds.

    Raises InputError on rows that are not sorted, not of one length, without risk, with labels other than 0 and 1, or
    where a stay has two patients.
    """

    def __init__(
        self,
        stay: np.ndarray,
        hours: np.ndarray,
        risk: np.ndarray,
        label: np.ndarray,
        onset: np.ndarray,
        patient: np.ndarray | None = None,
        patients: int | None = None,
        ends: np.ndarray | None = None,
    ) -> None:
        check_lengths(stay=stay, hours=hours, risk=risk, label=label, onset=onset, patient=patient, ends=ends)
        check_rows(stay, hours, risk, ends)
        refuse((label != 0) & (label != 1), "have a label that is neither 0 nor 1", "drop rows of unknown outcome")
        refuse((label == 1) & np.isinf(onset), "have an infinite onset", "give NaN where it is not known")
        new = np.r_[True, stay[1:] != stay[:-1]][: len(stay)]
        patient = np.cumsum(new) - 1 if patient is None else np.asarray(patient)
        before = np.r_[patient[:1], patient[:-1]]
        refuse(~new & (patient != before), "have another patient than their stay", "give a stay to one patient")
        most = np.inf if patients is None else patients
        refuse((patient < 0) | (patient >= most), "have a patient code out of range", "code patients 0, 1, ...")
        self.stay, self.hours, self.risk, self.ends = stay, hours, risk, ends
        self.label, self.patient = label == 1, patient
        self.patients = int(patient.max(initial=-1)) + 1 if patients is None else patients
        self.event, self.event_onset = _events(stay, self.label, np.asarray(onset, np.float64))
        self.event_patient = np.zeros(len(self.event_onset), np.int64)
        self.event_patient[self.event[self.label]] = patient[self.label]
        hours_watched = np.bincount(patient, _steps(stay, hours, new, ends), self.patients)
        self.watched = np.rint(hours_watched * TICKS)

    @property
    def patient_days(self) -> float:
        """The days that all patients were watched, together."""
        return float(self.watched.sum()) / (24 * TICKS)

    def silence(self, silence_hours: float, reset_hours: float) -> Silence:
        """Return the rows prepared to find the alarms of any threshold."""
        return Silence(self.stay, self.hours, self.risk, silence_hours, reset_hours, self.ends)


def _events(stay: np.ndarray, label: np.ndarray, onset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the event (N,) of every row, -1 for none, and the onsets (E,), NaN where not known."""
    event = np.full(len(stay), -1)
    known = np.flatnonzero(label & np.isfinite(onset))
    known = known[np.lexsort((onset[known], stay[known]))]
    other = (stay[known][1:] != stay[known][:-1]) | (onset[known][1:] != onset[known][:-1])
    first = np.r_[True, other][: len(known)]
    event[known] = np.cumsum(first) - 1
    unknown = label & np.isnan(onset)
    continues = np.r_[False, unknown[:-1] & (stay[1:] == stay[:-1])][: len(stay)]
    begins = unknown & ~continues
    event[unknown] = int(first.sum()) + np.cumsum(begins)[unknown] - 1
    return event, np.r_[onset[known][first], np.full(int(begins.sum()), np.nan)]


def _steps(stay: np.ndarray, hours: np.ndarray, first: np.ndarray, ends: np.ndarray | None) -> np.ndarray:
    """Return the hours (N,) that each row stands for; `first` (N,) marks the first row of a stay."""
    step = np.diff(hours, prepend=hours[:1])
    step[first] = np.inf  # sorted last, so that the others of a stay come in order from its first row on
    starts = np.flatnonzero(first)
    spacings = np.diff(np.r_[starts, len(stay)]) - 1
    ordered = step[np.lexsort((step, np.cumsum(first)))]
    low, high = ordered[starts + np.maximum(spacings - 1, 0) // 2], ordered[starts + spacings // 2]
    step[starts] = np.where(spacings > 0, (low + high) / 2, LONE_ROW_HOURS)
    return step if ends is None else np.fmin(step, np.maximum(hours - ends, 0.0))
