"""How a predictor does along time: by hours left to the onset, and by hours since admission.

    hours to onset    48 ... 24 ... 12 . 6 4 2 1 0 = onset    bins (e_k, e_{k+1}], as an onset in (t, t + h] is label 1
    rows of a stay     .  .  .  .  .  .  .  . . . .
    event-free rows: label 0 in stays without an onset; every bin is ranked against the same ones

Rows (N,) are those of one target: `label` 0/1, `risk`, `hours` since admission, `hours_to_onset` (NaN: none known; 0 or
less: past, in no bin), `stay` and `patient` codes 0, 1, ...; `counts` (P, R) say how often each patient is drawn in
each replicate. An alarm is risk >= threshold. What a bin's rows do not define is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.metrics.survival import by_patient
from clinical_lstm.metrics.weights import NAN, ratio

TO_ONSET = np.array([0.0, 1, 2, 4, 6, 12, 24, 48])  # hours: edges of 7 bins
OF_STAY = np.array([0.0, 6, 12, 24, 48, 96, np.inf])  # hours: edges of 6 bins, hour 0 in the first


class OnsetProfile(NamedTuple):
    """One entry per bin of hours to onset (B,); NaN in a bin without rows, the AUROC also without event-free rows."""

    rows: np.ndarray
    stays: np.ndarray
    sensitivity: np.ndarray
    lower_quartile: np.ndarray
    median: np.ndarray
    upper_quartile: np.ndarray
    auroc: np.ndarray


def by_hours_to_onset(
    label: np.ndarray,
    risk: np.ndarray,
    hours_to_onset: np.ndarray,
    stay: np.ndarray,
    threshold: float,
    edges: np.ndarray = TO_ONSET,
) -> OnsetProfile:
    """Return, per bin of hours to onset, the share of rows alarming, the quartiles of risk, and the AUROC.

        AUROC of a bin = P(risk of its rows > risk of an event-free row) + P(equal) / 2

    Its `sensitivity` at equal thresholds falls with the distance where the warning only comes late.

    >>> label, risk = np.array([0, 1, 1, 0, 0]), np.array([0.2, 0.6, 0.8, 0.1, 0.7])
    >>> to_onset, stay = np.array([3.0, 2, 1, np.nan, np.nan]), np.array([0, 0, 0, 1, 1])
    >>> found = by_hours_to_onset(label, risk, to_onset, stay, 0.5, edges=np.array([0.0, 2, 4]))
    >>> [part.tolist() for part in (found.rows, found.sensitivity, found.median, found.auroc)]
    [[2, 1], [1.0, 0.0], [0.7, 0.2], [0.75, 0.5]]
    """
    free = np.sort(risk[event_free(label, hours_to_onset, stay)])
    place = bin_of(hours_to_onset, edges)
    parts = [place == b for b in range(len(edges) - 1)]
    quartiles = [np.quantile(risk[part], [0.25, 0.5, 0.75]) if part.any() else np.full(3, NAN) for part in parts]
    lower, median, upper = np.reshape(quartiles, (-1, 3)).T
    rows = np.array([np.count_nonzero(part) for part in parts])
    return OnsetProfile(
        rows=rows,
        stays=np.array([len(np.unique(stay[part])) for part in parts]),
        sensitivity=ratio(np.array([np.count_nonzero(risk[part] >= threshold) for part in parts]), rows),
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        auroc=np.array([_won(risk[part], free) for part in parts]),
    )


def sensitivity_replicates(
    risk: np.ndarray,
    hours_to_onset: np.ndarray,
    patient: np.ndarray,
    threshold: float,
    counts: np.ndarray,
    edges: np.ndarray = TO_ONSET,
) -> np.ndarray:
    """Return the share of rows alarming per bin of hours to onset (B, R), patient p drawn counts[p, r] times.

    >>> to_onset, patient = np.array([1.0, 2.0, 1.0]), np.array([0, 0, 1])
    >>> counts = np.array([[1.0, 2.0], [1.0, 0.0]])
    >>> risk, edges = np.array([0.6, 0.2, 0.1]), np.array([0.0, 1, 2])
    >>> sensitivity_replicates(risk, to_onset, patient, 0.5, counts, edges).tolist()
    [[0.5, 1.0], [0.0, 0.0]]
    """
    terms = [np.ones(len(risk)), risk >= threshold]
    rows, alarms = _bin_totals(terms, bin_of(hours_to_onset, edges), len(edges) - 1, patient, counts)
    return ratio(alarms, rows)


class StayProfile(NamedTuple):
    """One entry per bin of hours since admission (B,); NaN where the bin has no rows, or (AUROC) one class."""

    rows: np.ndarray
    stays: np.ndarray
    positives: np.ndarray
    prevalence: np.ndarray
    observed_expected: np.ndarray
    alarm_rate: np.ndarray
    auroc: np.ndarray


def by_hour_of_stay(
    label: np.ndarray,
    risk: np.ndarray,
    hours: np.ndarray,
    stay: np.ndarray,
    threshold: float,
    edges: np.ndarray = OF_STAY,
) -> StayProfile:
    """Return, per bin of hours since admission, discrimination, prevalence, calibration and the rate of alarms.

        observed / expected = sum of labels / sum of risks        (1: right on average in this bin)

    >>> label, risk = np.array([0, 1, 0, 0]), np.array([0.25, 0.75, 0.5, 0.25])
    >>> found = by_hour_of_stay(label, risk, np.array([1.0, 6, 7, 99]), np.array([0, 0, 0, 1]), 0.5)
    >>> [part[[0, 1, 5]].tolist() for part in (found.rows, found.observed_expected, found.alarm_rate, found.auroc)]
    [[2, 1, 1], [1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [1.0, nan, nan]]
    """
    place = bin_of(hours, edges, closed=True)
    parts = [place == b for b in range(len(edges) - 1)]
    together = stay_replicates(label, risk, hours, np.zeros(len(risk), np.int64), threshold, np.ones((1, 1)), edges)
    return StayProfile(
        rows=np.array([np.count_nonzero(part) for part in parts]),
        stays=np.array([len(np.unique(stay[part])) for part in parts]),
        positives=np.array([np.count_nonzero(label[part] == 1) for part in parts]),
        prevalence=together.prevalence[:, 0],
        observed_expected=together.observed_expected[:, 0],
        alarm_rate=together.alarm_rate[:, 0],
        auroc=np.array([auroc(label[part], risk[part]) for part in parts]),
    )


class StayReplicates(NamedTuple):
    """The sums of `by_hour_of_stay` per bin and replicate (B, R)."""

    prevalence: np.ndarray
    observed_expected: np.ndarray
    alarm_rate: np.ndarray


def stay_replicates(
    label: np.ndarray,
    risk: np.ndarray,
    hours: np.ndarray,
    patient: np.ndarray,
    threshold: float,
    counts: np.ndarray,
    edges: np.ndarray = OF_STAY,
) -> StayReplicates:
    """Return what of `by_hour_of_stay` is a ratio of sums, (B, R), patient p drawn counts[p, r] times.

    >>> label, risk, patient = np.array([0, 1]), np.array([0.25, 0.5]), np.array([0, 1])
    >>> found = stay_replicates(label, risk, np.array([1.0, 2]), patient, 0.5, np.array([[1.0, 0], [1, 2]]))
    >>> found.prevalence[0].tolist(), found.alarm_rate[0].tolist(), found.observed_expected[0].round(3).tolist()
    ([0.5, 1.0], [0.5, 1.0], [1.333, 2.0])
    """
    terms = [np.ones(len(risk)), label == 1, risk, risk >= threshold]
    place = bin_of(hours, edges, closed=True)
    rows, positives, expected, alarms = _bin_totals(terms, place, len(edges) - 1, patient, counts)
    return StayReplicates(ratio(positives, rows), ratio(positives, expected), ratio(alarms, rows))


def bin_of(value: np.ndarray, edges: np.ndarray, closed: bool = False) -> np.ndarray:
    """Return the bin (N,) of each value: k in (e_k, e_{k+1}], B outside or NaN; `closed`: e_0 is in the first.

    >>> bin_of(np.array([0.0, 1.0, 1.5, 9.0, np.nan]), np.array([0.0, 1.0, 2.0])).tolist()
    [2, 0, 1, 2, 2]
    """
    place = np.searchsorted(edges, value, side="left") - 1
    place = np.where(closed & (value == edges[0]), 0, place)
    return np.where((place >= 0) & (place < len(edges) - 1), place, len(edges) - 1)


def event_free(label: np.ndarray, hours_to_onset: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """Return which rows (N,) belong to stays without any label 1 and without any known onset.

    >>> event_free(np.array([0, 1, 0, 0]), np.array([2.0, 1.0, np.nan, np.nan]), np.array([0, 0, 0, 1])).tolist()
    [False, False, False, True]
    """
    struck = np.zeros(int(stay.max(initial=-1)) + 1, bool)
    struck[stay[(label == 1) | np.isfinite(hours_to_onset)]] = True
    return ~struck[stay]


def _won(risk: np.ndarray, free: np.ndarray) -> float:
    """Return the share of pairs in which a row beats an event-free row; `free` ascends."""
    twice = np.searchsorted(free, risk, "left").sum() + np.searchsorted(free, risk, "right").sum()
    return float(ratio(twice, 2 * len(risk) * len(free)))


def _bin_totals(
    terms: list[np.ndarray], place: np.ndarray, bins: int, patient: np.ndarray, counts: np.ndarray
) -> list[np.ndarray]:
    """Return the sum of each term per bin and replicate (B, R); a place of B is no bin."""
    return [(by_patient(place, patient, bins + 1, len(counts), term) @ counts)[:bins] for term in terms]
