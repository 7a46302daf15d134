"""Ranking and decisions: AUROC, average precision, confusion rates and thresholds, with optional row weights.

Labels are 0/1 arrays (N,), risks float arrays (N,), weights float arrays (N,) or None (all 1). A weight of k counts a
row k times, exactly: this is how a bootstrap re-weights patients instead of scoring them again. Equal risks are never
separated. A value that the rows do not define (no positives, no negatives, no alarms) is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.weights import NAN, ratio, row_weights

MAX_FPR = 0.1  # false positive rate up to which the partial area goes


class Ranking:
    """Rows put once into the cells on which the areas depend; every weighting of them then costs one count per cell.

    risk    ------- v_0 ------- v_1 ------- v_2 -------     v_g: the distinct risks of positives, ascending
    cells     b_0   t_0   b_1   t_1   b_2   t_2   b_3       negatives between them (b) and tied with them (t)
                    p_0         p_1         p_2             positives
    """

    def __init__(self, label: np.ndarray, risk: np.ndarray) -> None:
        positive = label == 1
        values = np.unique(risk[positive])
        self.groups = len(values)
        slot = np.searchsorted(values, risk, side="left")
        tied = np.r_[values, np.inf][slot] == risk if self.groups else np.zeros(len(risk), bool)
        self.positive, self.tied = np.flatnonzero(positive), np.flatnonzero(tied & ~positive)  # rows
        self.between = np.flatnonzero(~tied & ~positive)
        self.slot = slot  # (N,): g in all three kinds of cells

    def areas(self, weight: np.ndarray | None = None) -> tuple[float, float]:
        """Return (AUROC, average precision) with the rows weighing `weight` (N,); NaN where undefined."""
        found = areas_of(*self.counts(weight))
        return float(found.auroc), float(found.average_precision)

    def counts(self, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the weight of the positives (G,), of the negatives between (G + 1,) and of those tied (G,)."""
        sizes = (self.positive, self.groups), (self.between, self.groups + 1), (self.tied, self.groups)
        positive, between, tied = (
            np.bincount(self.slot[rows], None if weight is None else weight[rows], size).astype(np.float64)
            for rows, size in sizes
        )
        return positive, between, tied


class Areas(NamedTuple):
    """The areas under the ROC curve, under its beginning (standardised) and under the precision-recall curve."""

    auroc: np.ndarray
    partial: np.ndarray
    average_precision: np.ndarray


def areas_of(positive: np.ndarray, between: np.ndarray, tied: np.ndarray, max_fpr: float = MAX_FPR) -> Areas:
    """Return the areas (...,) from the counts of `Ranking`: positives (..., G), negatives (..., G + 1) and (..., G).

    With a_g negatives above v_g, t_g tied, m all, and with h_g positives from v_g on up, n all:

        (1) AUROC   = sum_g p_g (m - a_g - t_g / 2) / (n m)
        (2) AP      = sum_g p_g h_g / (h_g + a_g + t_g) / n
        (3) partial = sum_g p_g (d_g - e_g + e_g^2 / (2 t_g)) / (n m),    d_g = (max_fpr m - a_g)+,  e_g = min(d_g, t_g)

    >>> areas_of(np.array([1.0, 1.0]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0])).auroc.tolist()
    0.875
    """
    n, m = positive.sum(axis=-1), between.sum(axis=-1) + tied.sum(axis=-1)
    below = np.cumsum(between[..., :-1], axis=-1) + np.cumsum(tied, axis=-1) - tied
    above = m[..., None] - below - tied
    hits = n[..., None] - np.cumsum(positive, axis=-1) + positive
    alarms = hits + above + tied
    precision = np.divide(hits, alarms, out=np.zeros(alarms.shape), where=alarms > 0)
    gained = np.maximum(max_fpr * m[..., None] - above, 0.0)
    partly = np.minimum(gained, tied)
    corner = np.divide(partly**2, 2 * tied, out=np.zeros(tied.shape), where=tied > 0)
    area = ratio((positive * (gained - partly + corner)).sum(axis=-1), n * m)
    least = max_fpr**2 / 2  # the area of a coin, where a perfect ranking has max_fpr
    return Areas(
        auroc=ratio((positive * (below + 0.5 * tied)).sum(axis=-1), n * m),
        partial=(1 + (area - least) / (max_fpr - least)) / 2,
        average_precision=ratio((positive * precision).sum(axis=-1), n),
    )


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


def partial_auroc(
    label: np.ndarray, risk: np.ndarray, max_fpr: float = MAX_FPR, weight: np.ndarray | None = None
) -> float:
    """Return the area under the ROC curve left of a false positive rate, scaled to 0.5 = coin, 1 = perfect.

        A = integral of the true positive rate over the false positive rate from 0 to f = max_fpr
        partial = (1 + (A - f^2 / 2) / (f - f^2 / 2)) / 2

    Equal risks are joined by a line, at f too. NaN with one class; InputError unless 0 < max_fpr <= 1.
    Source: McClish, Med Decis Making 9:190-195 (1989), doi 10.1177/0272989X8900900307.

    >>> partial_auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]), max_fpr=0.5)
    0.8333333333333333
    """
    require_rate(max_fpr)
    return float(areas_of(*Ranking(label, risk).counts(weight), max_fpr=max_fpr).partial)


def require_rate(max_fpr: float) -> None:
    """Raise InputError unless 0 < max_fpr <= 1."""
    if not 0 < max_fpr <= 1:
        raise InputError(f"max_fpr is {max_fpr}; a false positive rate above 0 and at most 1 is needed, e.g. 0.1")


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
    once = row_weights(label, weight)
    positive = np.where(label == 1, once, 0.0)
    alarm = risk >= threshold
    return decisions_of(once.sum(), positive.sum(), once[alarm].sum(), positive[alarm].sum())


def decisions_of(rows: float, positives: float, alarms: float, true: float) -> Decisions:
    """Return the rates from the numbers of rows, positives, alarms and true alarms; NaN where a denominator is 0.

    >>> decisions_of(4, 2, 1, 1)
    Decisions(sensitivity=0.5, specificity=1.0, ppv=1.0, alarm_rate=0.25)
    """
    parts = (true, positives), ((rows - positives) - (alarms - true), rows - positives), (true, alarms), (alarms, rows)
    return Decisions(*(float(ratio(part, whole)) for part, whole in parts))


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
