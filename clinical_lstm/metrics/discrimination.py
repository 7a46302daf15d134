"""Ranking and decisions: AUROC, average precision, confusion rates and thresholds, with optional row weights.

Labels are 0/1 arrays (N,), risks float arrays (N,), weights float arrays (N,) or None (all 1). A weight of k counts a
row k times, exactly: this is how a bootstrap re-weights patients instead of scoring them again. Equal risks are never
separated. A value that the rows do not define (no positives, no negatives, no alarms) is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.calibration import ascending

NAN = float("nan")


class Ranking:
    """Rows sorted once by risk; every weighting of them then costs one cumulative sum.

    Only risks that some positive row has matter to both areas, so the sums are read at their tie groups alone.
    """

    def __init__(self, label: np.ndarray, risk: np.ndarray) -> None:
        self.rows = len(risk)
        self.order = ascending(risk)
        ranked = risk[self.order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)])
        self._positives = np.flatnonzero(label[self.order] == 1)
        group = np.searchsorted(starts, self._positives, side="right") - 1
        groups, self._split = np.unique(group, return_index=True)
        self._start = starts[groups]  # groups of equal risk with positives, by ascending risk: rows [start, end)
        self._end = np.r_[starts, len(risk)][groups + 1]

    def areas(self, weight: np.ndarray | None = None) -> tuple[float, float]:
        """Return (AUROC, average precision) with the rows weighing `weight` (N,); NaN where undefined."""
        if len(self._positives) == 0:
            return NAN, NAN
        w = np.ones(self.rows) if weight is None else weight[self.order]
        mass = np.cumsum(w, dtype=np.float64)
        positive = np.add.reduceat(w[self._positives], self._split, dtype=np.float64)
        below = np.where(self._start > 0, mass[self._start - 1], 0.0)
        tied = mass[self._end - 1] - below
        n1, rows = float(positive.sum()), float(mass[-1])
        n0 = rows - n1
        if not n1 > 0:
            return NAN, NAN
        found = np.cumsum(positive)
        negatives_below = below - (found - positive)
        wins = float((positive * (negatives_below + 0.5 * (tied - positive))).sum())
        alarms, hits = rows - below, n1 - (found - positive)
        precision = np.divide(hits, alarms, out=np.zeros(len(hits)), where=alarms > 0)
        return wins / (n1 * n0) if n0 > 0 else NAN, float((positive * precision).sum() / n1)


def auroc(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve, ties counting one half; NaN with one class.

        AUROC = P(risk of a positive > risk of a negative) + P(equal) / 2

    Source: Hanley & McNeil, Radiology 143:29-36 (1982), doi 10.1148/radiology.143.1.7063747.

    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    return Ranking(label, risk).areas(weight)[0]


def average_precision(label: np.ndarray, risk: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the step-wise precision-recall curve; NaN without positives.

        AP = sum_k (R_k - R_{k-1}) P_k        over the distinct risks k, descending

    Source: Davis & Goadrich, ICML 2006, doi 10.1145/1143844.1143874 (why the points are not joined by lines).

    >>> average_precision(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.8]))
    0.8333333333333333
    """
    return Ranking(label, risk).areas(weight)[1]


class Decisions(NamedTuple):
    """The rates of alarming at one threshold; NaN where a denominator is 0."""

    sensitivity: float
    specificity: float
    ppv: float
    alarm_rate: float


def decisions(label: np.ndarray, risk: np.ndarray, threshold: float, weight: np.ndarray | None = None) -> Decisions:
    """Return sensitivity, specificity, positive predictive value and alarm rate of alarming when risk >= threshold.

    >>> decisions(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]), 0.5)
    Decisions(sensitivity=0.5, specificity=0.5, ppv=0.5, alarm_rate=0.5)
    """
    once = np.ones(len(label)) if weight is None else weight
    positive = np.where(label == 1, once, 0.0)
    alarm = risk >= threshold
    rows, n1 = float(once.sum()), float(positive.sum())
    alarms, true = float(once[alarm].sum()), float(positive[alarm].sum())
    return Decisions(
        sensitivity=_ratio(true, n1),
        specificity=_ratio((rows - n1) - (alarms - true), rows - n1),
        ppv=_ratio(true, alarms),
        alarm_rate=_ratio(alarms, rows),
    )


def min_se_ppv(label: np.ndarray, risk: np.ndarray, threshold: float) -> float:
    """Return min(sensitivity, positive predictive value) at a threshold, 0 without alarms; NaN without positives.

    Source: Silva et al., Comput Cardiol 39:245-248 (2012), PubMed 24678516 (event 1 of the PhysioNet Challenge 2012).

    >>> min_se_ppv(np.array([0, 1, 1, 1]), np.array([0.6, 0.2, 0.7, 0.9]), 0.5)
    0.6666666666666666
    """
    rates = decisions(label, risk, threshold)
    return min(rates.sensitivity, 0.0 if np.isnan(rates.ppv) else rates.ppv) if rates.sensitivity >= 0 else NAN


def best_min_se_ppv(label: np.ndarray, risk: np.ndarray) -> tuple[float, float]:
    """Return the best min(sensitivity, PPV) over all distinct risks and the smallest threshold that reaches it.

    Both are NaN without positives.

    >>> best_min_se_ppv(np.array([0, 1, 1, 1]), np.array([0.6, 0.2, 0.7, 0.9]))
    (0.75, 0.2)
    """
    threshold, found, alarms = thresholds(label, risk)
    n1 = np.count_nonzero(label == 1)
    if n1 == 0:
        return NAN, NAN
    score = found / np.maximum(alarms, n1)  # min(TP / n1, TP / alarms)
    best = len(score) - 1 - int(np.argmax(score[::-1]))
    return float(score[best]), float(threshold[best])


def youden_threshold(label: np.ndarray, risk: np.ndarray) -> float:
    """Return the highest threshold that maximises sensitivity + specificity - 1; NaN with one class.

    Source: Youden, Cancer 3:32-35 (1950), doi 10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3.

    >>> youden_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.4, 0.8]))
    0.4
    """
    threshold, found, alarms = thresholds(label, risk)
    n1 = np.count_nonzero(label == 1)
    n0 = len(label) - n1
    if n1 == 0 or n0 == 0:
        return NAN
    # n1 n0 (sensitivity - false positive rate) in integers, so that ties are ties
    return float(threshold[np.argmax(found * n0 - (alarms - found) * n1)])


def thresholds(label: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every distinct risk, descending, with the true and all alarms (int64) of alarming at or above it.

    >>> [part.tolist() for part in thresholds(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.7]))]
    [[0.7, 0.2], [1, 2], [1, 3]]
    """
    order = np.argsort(-risk, kind="stable")
    ranked = risk[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True][: len(ranked)])
    return ranked[last], np.cumsum(label[order] == 1, dtype=np.int64)[last], last + 1


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN
