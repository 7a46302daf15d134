"""What one policy does to patients and their ward: events announced, how early, at how many false alarms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clinical_lstm.metrics.alarms.course import TICKS, Course
from clinical_lstm.metrics.alarms.policy import Policy
from clinical_lstm.metrics.alarms.silence import SAME_HOURS

LEADS_HOURS = (1, 2, 4, 6)
QUARTILES = {"lead_time_q25": 0.25, "lead_time_median": 0.5, "lead_time_q75": 0.75}


class AlarmMeasures:
    """Alarms of one policy, summed per patient once; drawing the patients anew then costs a product of matrices.

    An alarm is true where its row's label is 1; an event is detected where a true alarm is about it.

        event_recall      = detected events / events                      (1)
        alarm_precision   = true alarms / alarms                          (2)
        lead time         = onset - hours of the event's first true alarm (3)
        lead_over_Hh      = events with a lead time over H hours / events (4)

    (3) is of detected events, so read it with (1) or take (4). Both know only events of known onset. A lead time is
    negative where the labels stay positive after the onset.
    Source: Hyland et al., Nat Med 26:364-373 (2020), doi 10.1038/s41591-020-0789-4.

    Attributes:
        sums: (patients,) whole numbers by name: alarms, true_alarms, events, detected_events, events_of_known_onset,
            watched (ms).

    >>> risk, label, onset = np.array([0.9, 0.1, 0.8, 0.9]), np.array([0, 0, 1, 1]), np.full(4, 5.5)
    >>> course = Course(np.zeros(4, int), np.arange(4.0), risk, label, onset)
    >>> found = AlarmMeasures(course, Policy(0.8, silence_hours=1.0))()
    >>> [float(found[name]) for name in ("event_recall", "alarm_precision", "lead_time_median", "lead_over_4h")]
    [1.0, 0.6666666666666666, 3.5, 0.0]
    """

    def __init__(self, course: Course, policy: Policy) -> None:
        alarm = course.silence(policy.silence_hours, policy.reset_hours).alarms(policy.threshold)
        true = alarm[course.label[alarm]]
        detected, first = np.unique(course.event[true], return_index=True)  # the first, for rows ascend by time
        known = course.event_patient[np.isfinite(course.event_onset)]
        owners = {
            "alarms": course.patient[alarm],
            "true_alarms": course.patient[true],
            "events": course.event_patient,
            "detected_events": course.event_patient[detected],
            "events_of_known_onset": known,
        }
        self.patients = course.patients
        self.sums = {name: np.bincount(owner, minlength=self.patients) * 1.0 for name, owner in owners.items()}
        self.sums["watched"] = course.watched
        lead = course.event_onset[detected] - course.hours[true[first]]  # (3)
        order = np.argsort(lead, kind="stable")[: int(np.isfinite(lead).sum())]  # NaN come last
        self._lead, self._group = np.unique(lead[order], return_index=True)
        self._owner = course.event_patient[detected][order]

    def __call__(self, counts: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return every metric (R,) with patient p drawn counts[p, r] times; NaN where undefined.

        Without `counts` the plain values: every patient once.
        """
        if counts is None:
            return {name: values[0] for name, values in self(np.ones((self.patients, 1))).items()}
        total = self.totals(counts)
        return rates_of(total) | self._leads(counts, total["events_of_known_onset"])

    def totals(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sums (R,) over the patients as drawn; all are whole numbers, so a BLAS product is exact."""
        return dict(zip(self.sums, np.stack(list(self.sums.values())) @ counts, strict=True))

    def _leads(self, counts: np.ndarray, events: np.ndarray) -> dict[str, np.ndarray]:
        upto = np.zeros((1, counts.shape[1]))  # (D + 1, R) events detected with one of the d shortest lead times
        if len(self._lead):
            drawn = np.add.reduceat(counts[self._owner], self._group, axis=0)
            upto = np.concatenate([upto, np.cumsum(drawn, axis=0)])
        found = {name: quantile(self._lead, upto[1:], share) for name, share in QUARTILES.items()}
        short = np.searchsorted(self._lead, np.array(LEADS_HOURS) + SAME_HOURS, side="right")
        over = {f"lead_over_{h}h": _ratio(upto[-1] - upto[d], events) for h, d in zip(LEADS_HOURS, short)}  # (4)
        return found | over


def rates_of(total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rates (R,) of `AlarmMeasures.totals`, or of their sum over several policies on several stays.

    >>> names = ["alarms", "true_alarms", "events", "detected_events", "watched"]
    >>> rates_of(dict(zip(names, np.array([[4.0], [1.0], [2.0], [1.0], [24 * TICKS]]))))["alarm_precision"].tolist()
    [0.25]
    """
    days = total["watched"] / (24 * TICKS)
    false = total["alarms"] - total["true_alarms"]
    return {
        "event_recall": _ratio(total["detected_events"], total["events"]),  # (1)
        "alarm_precision": _ratio(total["true_alarms"], total["alarms"]),  # (2)
        "alarms_per_patient_day": _ratio(total["alarms"], days),
        "false_alarms_per_patient_day": _ratio(false, days),
        "false_alarms_per_true_alarm": _ratio(false, total["true_alarms"]),
    }


def quantile(value: np.ndarray, upto: np.ndarray, share: float) -> np.ndarray:
    """Return the quantiles (R,) of values (D,), ascending, of which the first d occur upto[d - 1] (R,) times.

        position = share (n - 1) among the n values, linear between neighbours; NaN without values

    Source: Hyndman & Fan, Am Stat 50:361-365 (1996), doi 10.1080/00031305.1996.10473566 (type 7).

    >>> quantile(np.array([1.0, 4.0]), np.array([[1.0, 0], [2.0, 3]]), 0.5).tolist()
    [2.5, 4.0]
    """
    if not len(value):
        return np.full(upto.shape[1], np.nan)
    position = share * np.maximum(upto[-1] - 1, 0)
    below = np.floor(position)
    above = np.minimum(below + 1, np.maximum(upto[-1] - 1, 0))
    low, high = (value[np.minimum((upto <= rank).sum(axis=0), len(value) - 1)] for rank in (below, above))
    return np.where(upto[-1] > 0, low + (position - below) * (high - low), np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
