"""Time to event under censoring: is the risk by each horizon right, where some rows leave before the horizon?

    prediction time                  horizon h      what is known of a row at h      its weight
       |------------- event              |          event by h: a case               1 / G(T-)
       |---------------------------------|---> o    event-free at h: followed        1 / G(h-)
       |-------- o                       |          censored before h: nothing       0, those who stayed stand in

    G(t-) = P(not censored before t), Kaplan-Meier with the censorings as its events                                 (1)

A row is a prediction time. T (N,) > 0 are hours to its event or censoring, `event` (N,) says which; a tie counts the
event first, so a row censored at t is known to be event-free at t (at a horizon too; Graf's T > h would drop it).
Weights (N,) or None count rows, as elsewhere; `counts` (P, R) say how often each of P patients, codes 0, 1, ... (N,),
is drawn in each of R replicates, and G is then estimated anew in each. G is one curve for all rows: where those who
leave early differ in risk from those who stay, or die, the result is that of the mixture, not of a censoring-free ward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.weights import NAN, ratio

BLOCK = 16  # replicates at a time: one cache line or two per patient


def time_to_event(
    hours: np.ndarray, onset: np.ndarray, follow_up: np.ndarray, gap: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (time (N,), event (N,) bool) from the prediction time plus gap to the onset, else to the follow-up's end.

    All in hours since admission; `onset` is NaN where none is known. event and time <= horizon is the label 1. Time is
    NaN where nothing lies ahead (the follow-up is over, the onset past): leave such rows out.

    >>> time, event = time_to_event(np.array([2.0, 3, 9]), np.array([5.0, np.nan, np.nan]), np.array([9.0, 9, 9]))
    >>> time.tolist(), event.tolist()
    ([3.0, 6.0, nan], [True, False, False])
    """
    event = np.isfinite(onset)
    time = np.round(np.where(event, onset, follow_up) - (hours + gap), 9)  # equal spans are equal: ties are ties
    return np.where(time > 0, time, NAN), event


def followed_to(time: np.ndarray, event: np.ndarray, horizon: float) -> np.ndarray:
    """Return which rows (N,) are known to be event-free at the horizon: observed beyond it, or censored at it.

    >>> followed_to(np.array([3.0, 6, 6, 7]), np.array([False, False, True, True]), 6.0).tolist()
    [False, True, False, True]
    """
    return (time > horizon) | ((time == horizon) & ~event)


def censoring_survival(
    time: np.ndarray, event: np.ndarray, at: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return G(at-) (M,), the Kaplan-Meier probability not to be censored before each time: equation (1).

    >>> time, event = np.array([1.0, 2, 2, 3]), np.array([False, True, False, True])
    >>> censoring_survival(time, event, np.array([1.0, 2, 3])).tolist()
    [1.0, 0.75, 0.375]
    """
    return Censoring(time, event, at)(one_column(weight, len(time)))[:, 0]


class Censoring:
    """The rows bucketed once by when they leave; G(at-) then costs two sparse products for any replicates."""

    def __init__(self, time: np.ndarray, event: np.ndarray, at: np.ndarray, patient: np.ndarray | None = None) -> None:
        require_times(time, event)
        end = float(np.max(at, initial=0.0))
        when = np.unique(time[~event & (time < end)])  # the distinct times of censoring before the last of `at`
        outstays = np.where(event, np.searchsorted(when, time, "left"), np.searchsorted(when, time, "right"))
        self._leaving = by_patient(outstays, patient, len(when) + 1)
        lost = np.where(~event & (time < end), outstays - 1, len(when))
        self._lost = by_patient(lost, patient, len(when) + 1)
        self._place = np.searchsorted(when, at, "left")

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """Return G(at-) (M, R): the product over times u < at of 1 - censored at u / (still there, events at u off)."""
        there = np.cumsum((self._leaving @ counts)[::-1], axis=0)[::-1][1:]
        lost = (self._lost @ counts)[:-1]
        stay = 1 - np.divide(lost, there, out=np.zeros(lost.shape), where=there > 0)
        return np.concatenate([np.ones((1, counts.shape[1])), np.cumprod(stay, axis=0)])[self._place]


class BrierScores(NamedTuple):
    """Scores at K horizons, (K,) or (K, R), and over them, () or (R,); NaN where undefined.

    Attributes:
        brier: mean squared error of the risk; NaN where every row left before the horizon.
        null: that of giving every row the Kaplan-Meier risk F, F (1 - F).
        scaled: 1 - brier / null, the index of prediction accuracy; NaN without an event, or with nothing else, by h.
        integrated: brier over the horizons by the trapezoid rule, per hour; NaN with one horizon, or an undefined one.
        integrated_null, integrated_scaled: likewise.

    """

    brier: np.ndarray
    null: np.ndarray
    scaled: np.ndarray
    integrated: np.ndarray
    integrated_null: np.ndarray
    integrated_scaled: np.ndarray


def brier_over_time(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizons: np.ndarray, weight: np.ndarray | None = None
) -> BrierScores:
    """Return the Brier scores of risks (N, K) = P(T <= h) at ascending horizons (K,), corrected for censoring.

        BS(h) = 1/n [ sum over cases (1 - risk)^2 / G(T-)  +  sum over followed risk^2 / G(h-) ]                     (2)

    Source: Graf et al., Stat Med 18:2529-2545 (1999),
    doi 10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5; scaled: Kattan & Gerds, Diagn Progn
    Res 2:7 (2018), doi 10.1186/s41512-018-0029-2.

    >>> time, event = np.array([1.0, 2, 3]), np.array([True, False, True])
    >>> scores = brier_over_time(time, event, np.full((3, 2), 0.5), np.array([1.0, 2.0]))
    >>> [round(float(value), 6) for value in (*scores.brier, *scores.null, scores.integrated)]
    [0.25, 0.25, 0.222222, 0.222222, 0.25]
    """
    scores = BrierOverTime(time, event, risk, horizons)(one_column(weight, len(time)))
    return BrierScores(*(score[..., 0] for score in scores))


class BrierOverTime:
    """The terms of (2) summed once per patient and time of event, so that replicates need no pass over the rows."""

    def __init__(
        self,
        time: np.ndarray,
        event: np.ndarray,
        risk: np.ndarray,
        horizons: np.ndarray,
        patient: np.ndarray | None = None,
    ) -> None:
        require_risks(risk, (len(time), len(horizons)), horizons)
        patient = np.arange(len(time)) if patient is None else patient
        patients = int(patient.max(initial=-1)) + 1
        case = event & (time <= np.max(horizons, initial=0.0))
        when, cell = np.unique(time[case], return_inverse=True)
        self._horizons, self._upto = horizons, np.searchsorted(when, horizons, "right")
        self._censoring = Censoring(time, event, np.concatenate([when, horizons]), patient)
        self._cases = by_patient(cell, patient[case], len(when), patients)
        self._missed, self._free, self._false = [], [], []
        for h, upto, r in zip(horizons, self._upto, risk.T, strict=True):
            by_now, free = cell < upto, followed_to(time, event, h)
            missed, whose = (1 - r[case][by_now]) ** 2, patient[case][by_now]
            self._missed.append(by_patient(cell[by_now], whose, int(upto), patients, missed))
            self._free.append(np.bincount(patient[free], minlength=patients))
            self._false.append(np.bincount(patient[free], r[free] ** 2, patients))
        self._rows = np.bincount(patient, minlength=patients)

    def __call__(self, counts: np.ndarray) -> BrierScores:
        """Return the scores of each replicate, patient p drawn counts[p, r] times."""
        brier, null = in_blocks(self._scores, counts)
        integrated, integrated_null = (self._integral(score) for score in (brier, null))
        scaled, integrated_scaled = 1 - ratio(brier, null), 1 - ratio(integrated, integrated_null)
        return BrierScores(brier, null, scaled, integrated, integrated_null, integrated_scaled)

    def _scores(self, counts: np.ndarray) -> np.ndarray:
        """Return BS and its null model (2, K, R); F = sum over cases 1 / G(T-) / n, and 1 - F alike of the followed."""
        n = np.einsum("p,pr->r", self._rows, counts)
        weight = inverse(self._censoring(counts))  # (event times + K, R)
        cases = (self._cases @ counts) * weight[: self._cases.shape[0]]
        scores = np.full((2, len(self._horizons), counts.shape[1]), NAN)
        for k, upto in enumerate(self._upto):
            at_h = weight[self._cases.shape[0] + k]
            missed = total((self._missed[k] @ counts) * weight[:upto])
            false = total(self._false[k][:, None] * counts) * at_h
            had, free = total(cases[:upto]), np.einsum("p,pr->r", self._free[k], counts) * at_h
            known = (n > 0) & (at_h > 0)
            np.divide(missed + false, n, out=scores[0, k], where=known)
            np.divide(had * free, n * n, out=scores[1, k], where=known)
        return scores

    def _integral(self, score: np.ndarray) -> np.ndarray:
        if len(self._horizons) < 2:
            return np.full(score.shape[1], NAN)
        return np.trapezoid(score, self._horizons, axis=0) / (self._horizons[-1] - self._horizons[0])


def by_patient(
    cell: np.ndarray,
    patient: np.ndarray | None,
    cells: int,
    patients: int | None = None,
    value: np.ndarray | None = None,
) -> sparse.csr_array:
    """Return the sums of `value` (1: row counts) as a sparse matrix (cells, patients); it times counts is exact.

    >>> by_patient(np.array([0, 1, 1]), np.array([0, 1, 1]), 2).toarray().tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    patient = np.arange(len(cell)) if patient is None else patient
    patients = int(patient.max(initial=-1)) + 1 if patients is None else patients
    value = np.ones(len(cell)) if value is None else value.astype(np.float64, copy=False)
    return sparse.csr_array(sparse.coo_array((value, (cell, patient)), (cells, patients)))


def in_blocks(measure: Callable[[np.ndarray], np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return `measure` of counts (P, R), whose last axis is R, computed a few replicates at a time."""
    starts = range(0, max(counts.shape[1], 1), BLOCK)
    return np.concatenate([measure(counts[:, start : start + BLOCK]) for start in starts], axis=-1)


def one_column(weight: np.ndarray | None, rows: int) -> np.ndarray:
    """Return row weights as counts (N, 1): every row a patient, one replicate."""
    return np.ones((rows, 1)) if weight is None else weight.astype(np.float64, copy=False)[:, None]


def inverse(probability: np.ndarray) -> np.ndarray:
    """Return 1 / probability, 0 where it is 0: no row that is known, and drawn, has such a weight."""
    return np.divide(1.0, probability, out=np.zeros(probability.shape), where=probability > 0)


def total(terms: np.ndarray) -> np.ndarray:
    """Return the sums (R,) of terms (M, R), added in their order for any R."""
    return np.cumsum(terms, axis=0)[-1] if len(terms) else np.zeros(terms.shape[1])


def require_times(time: np.ndarray, event: np.ndarray) -> None:
    """Raise InputError unless every row has a finite time above 0 and says whether it ends in the event."""
    bad = np.flatnonzero(~((time > 0) & np.isfinite(time)))
    if len(bad):
        where = f"{len(bad)} of {len(time)} rows (first: {bad[:3].tolist()})"
        raise InputError(f"time to event: {where} have no finite time above 0; leave out rows with nothing ahead")
    if event.shape != time.shape or event.dtype != np.bool_:
        raise InputError(f"time to event: `event` is {event.dtype} {event.shape}; give bool {time.shape}, one per row")


def require_risks(risk: np.ndarray, shape: tuple[int, ...], horizons: np.ndarray) -> None:
    """Raise InputError unless the risks are finite numbers of this shape and the horizons ascend."""
    if risk.shape != shape or not np.isfinite(risk).all():
        bad = int((~np.isfinite(risk)).sum())
        raise InputError(f"risks by horizon: shape {risk.shape}, {bad} not finite; give finite ones of shape {shape}")
    if not (np.diff(horizons) > 0).all():
        raise InputError(f"risks by horizon: the horizons {horizons.tolist()} do not ascend; sort them, each once")
