"""The variance of an AUROC, and the test of two predictors on the same rows, without drawing anything at random.

    V10_i = share of negatives that positive i beats      V01_j = share of positives that beat negative j
            (a tie one half)

Rows of one patient depend on each other: their components are summed by patient first. Where every row is its own
patient, this is DeLong's variance. All three functions have one cost: sorting the rows.
Sources: DeLong et al., Biometrics 44:837-845 (1988), doi 10.2307/2531595; by mid-ranks: Sun & Xu, IEEE Signal Process
Lett 21:1389-1393 (2014), doi 10.1109/LSP.2014.2337313; by patient: Obuchowski, Biometrics 53:567-578 (1997), doi
10.2307/2533958.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from clinical_lstm.metrics.weights import NAN


def structural_components(label: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return V (N,): V10 of the positive rows, V01 of the negative ones; NaN with one class.

        V10_i = (R_i - S_i) / m,    V01_j = 1 - (R_j - S_j) / n

    R: mid-rank among all rows, S: among the rows of the same class; n positives, m negatives. The mean of V over either
    class is the AUROC.

    >>> structural_components(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8])).tolist()
    [1.0, 0.75, 0.75, 1.0]
    """
    positive = label == 1
    found = np.full(len(risk), NAN)
    n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
    if n and m:
        rank = rankdata(risk)
        found[positive] = (rank[positive] - rankdata(risk[positive])) / m
        found[~positive] = 1 - (rank[~positive] - rankdata(risk[~positive])) / n
    return found


def auroc_variance(label: np.ndarray, risk: np.ndarray, patient: np.ndarray | None = None) -> float:
    """Return the variance of the AUROC; `patient` (N,) names the patient of each row, None: every row its own.

    NaN where it is not defined: fewer than two patients with a positive row, or with a negative one.

    >>> label, risk = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.8])
    >>> auroc_variance(label, risk)
    0.125
    >>> auroc_variance(label, risk, patient=np.array([1, 2, 2, 1]))
    0.25
    """
    return _variance(label, structural_components(label, risk), patient)


class PairedTest(NamedTuple):
    """Two AUROCs of the same rows, their difference, its standard error, and the two-sided p of no difference."""

    first: float
    second: float
    difference: float
    standard_error: float
    z: float
    p: float


def paired_test(
    label: np.ndarray, first: np.ndarray, second: np.ndarray, patient: np.ndarray | None = None
) -> PairedTest:
    """Return the test that the risks `first` and `second` (N,) of the same rows have equal AUROCs.

        z = (AUROC_1 - AUROC_2) / sqrt(variance of the difference),    p = 2 (1 - Phi(|z|))

    Equal rankings have difference 0, p 1. The standard error, z and p are NaN where `auroc_variance` is.

    >>> test = paired_test(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.8]), np.array([0.4, 0.3, 0.1, 0.8]))
    >>> test.difference, round(test.p, 4)
    (0.25, 0.4795)
    """
    one, two = structural_components(label, first), structural_components(label, second)
    positive = label == 1
    if not (positive.any() and not positive.all()):
        return PairedTest(*(NAN,) * 6)
    areas = float(one[positive].mean()), float(two[positive].mean())
    difference = float((one - two)[positive].mean())
    error = math.sqrt(_variance(label, one - two, patient))
    if error > 0:
        z = difference / error
    else:
        z = NAN if math.isnan(error) else 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return PairedTest(*areas, difference, error, z, math.erfc(abs(z) / math.sqrt(2)))


def _variance(label: np.ndarray, component: np.ndarray, patient: np.ndarray | None) -> float:
    """Return the variance of the mean of `component`: of an AUROC, or of a difference of two.

    With the sums V10_c, V01_c of patient c, who has n_c positive and m_c negative rows, and theta the mean:

        (1) S10 = C10 / (C10 - 1) sum_c (V10_c - n_c theta)^2        C10 patients have positives,
        (2) S01 = C01 / (C01 - 1) sum_c (V01_c - m_c theta)^2        C01 negatives, C are all
        (3) S11 = C / (C - 1) sum_c (V10_c - n_c theta)(V01_c - m_c theta)
        (4) variance = S10 / n^2 + S01 / m^2 + 2 S11 / (n m)
    """
    positive = label == 1
    n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
    if not n or not m:
        return NAN
    names, code = np.unique(np.arange(len(label)) if patient is None else patient, return_inverse=True)
    clusters = []
    for rows in (positive, ~positive):
        excess = component[rows] - component[rows].mean()
        clusters.append((np.bincount(code[rows], excess, len(names)), len(np.unique(code[rows]))))
    (ten, c10), (one, c01) = clusters
    if min(c10, c01) < 2:
        return NAN
    s10, s01 = c10 / (c10 - 1) * float((ten**2).sum()), c01 / (c01 - 1) * float((one**2).sum())
    s11 = len(names) / (len(names) - 1) * float((ten * one).sum())
    return max(float(s10 / n**2 + s01 / m**2 + 2 * s11 / (n * m)), 0.0)
