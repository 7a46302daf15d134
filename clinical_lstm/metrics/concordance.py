"""Ranking under censoring: does the row whose event comes first have the higher risk?

    case i    |-------- event                    pair (i, j): i has its event by the horizon, j outlives it
    row j     |-------------------- event or o   won: risk_i > risk_j, a tie one half

    C(h)   = sum over pairs G(T_i-)^-2 won / sum over pairs G(T_i-)^-2    j known to be event-free at T_i           (1)
    AUC(h) = sum over pairs G(T_i-)^-1 won / sum over pairs G(T_i-)^-1    j known to be event-free at h             (2)

G, ties, weights and counts are those of `metrics.survival`. The cases are the rows with T <= h, as label 1 has it (Uno
writes T < h in C). Both are NaN without a pair (no event by h, none who outlives one). C needs no row followed to h:
where the follow-up ends earlier, it is the C of that earlier time.

Pairs are counted without visiting them, in O(n log n). A row's cell is how many event times it outlives; case i, whose
event is the k-th time, beats those of lower risk in the cells k, k + 1, ...: a few dyadic blocks of cells, in each of
which a cumulative sum along the risk answers.

    cells  0 1 2 3 4 5 6 7        above 2:  [3] + [4 5 6 7]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.survival import (
    Censoring,
    by_patient,
    followed_to,
    in_blocks,
    inverse,
    one_column,
    require_risks,
    total,
)
from clinical_lstm.metrics.weights import ratio


def concordance(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float, weight: np.ndarray | None = None
) -> float:
    """Return Uno's concordance of risks (N,), truncated at a horizon: equation (1).

    Source: Uno et al., Stat Med 30:1105-1117 (2011), doi 10.1002/sim.4154.

    >>> time, event = np.array([1.0, 2, 3, 4]), np.array([True, False, True, False])
    >>> concordance(time, event, np.array([0.9, 0.1, 0.5, 0.5]), horizon=4.0)
    0.7857142857142857
    """
    return float(RankingOverTime(time, event, risk, horizon)(one_column(weight, len(time))).concordance[0])


def auroc_over_time(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float, weight: np.ndarray | None = None
) -> float:
    """Return the area under the cumulative/dynamic ROC curve of risks (N,) at a horizon: equation (2).

    Source: Uno et al., J Am Stat Assoc 102:527-537 (2007), doi 10.1198/016214507000000149.

    >>> time, event = np.array([1.0, 2, 3, 4]), np.array([True, False, True, False])
    >>> auroc_over_time(time, event, np.array([0.9, 0.1, 0.5, 0.5]), horizon=3.0)
    0.7
    """
    return float(RankingOverTime(time, event, risk, horizon)(one_column(weight, len(time))).auroc[0])


class Rankings(NamedTuple):
    """Concordance and cumulative/dynamic AUROC (R,) of each replicate at one horizon."""

    concordance: np.ndarray
    auroc: np.ndarray


class RankingOverTime:
    """The pairs of (1) and (2) prepared once, so that a replicate costs milliseconds."""

    def __init__(
        self, time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float, patient: np.ndarray | None = None
    ) -> None:
        require_risks(risk, (len(time),), np.array([horizon]))
        patient = np.arange(len(time)) if patient is None else patient
        case = event & (time <= horizon)
        when, self._when = np.unique(time[case], return_inverse=True)
        self._censoring = Censoring(time, event, when, patient)
        outlived = np.where(event, np.searchsorted(when, time, "left"), np.searchsorted(when, time, "right"))
        self._all = _Pairs(risk, outlived, case, patient)
        known = np.where(case, 0, np.where(followed_to(time, event, horizon), 1, -1))
        self._known = _Pairs(risk, known, case, patient)

    def __call__(self, counts: np.ndarray) -> Rankings:
        """Return both measures with patient p drawn counts[p, r] times, G estimated anew in each replicate."""
        return Rankings(*in_blocks(self._measures, counts))

    def _measures(self, counts: np.ndarray) -> np.ndarray:
        weight = inverse(self._censoring(counts))[self._when]  # (cases, R)
        return np.stack([self._all.share_won(counts, weight**2), self._known.share_won(counts, weight)])


class _Pairs:
    """Each case against the rows of higher cells than its own; rows of cell -1 take no part.

    In level b the cells form blocks of 2^b. Case i has to ask the block right of its own where bit b of its cell is 0;
    over all levels these blocks are exactly the cells above its own. Rows are sorted by (block, risk) in each level.
    """

    def __init__(self, risk: np.ndarray, cell: np.ndarray, case: np.ndarray, patient: np.ndarray) -> None:
        patients = int(patient.max(initial=-1)) + 1
        self._cell, self._patient = cell[case], patient[case]
        order = np.argsort(risk, kind="stable")
        order = order[cell[order] >= 0]
        ranked, cells, patient = risk[order], cell[order], patient[order]
        first, last = (np.searchsorted(ranked, risk[case], side) for side in ("left", "right"))
        width = int(cells.max(initial=0)) + 1
        self._cells = by_patient(cells, patient, width, patients)
        self._levels = []
        for bit in range((width - 1).bit_length()):
            asking = np.flatnonzero((self._cell >> bit) & 1 == 0)
            block = (self._cell[asking] >> bit) + 1
            sort = np.argsort(cells >> bit, kind="stable")
            place = (cells[sort] >> bit) * (len(order) + 1) + sort  # ascends: block, then rank
            cuts = [np.searchsorted(place, block * (len(order) + 1) + r) for r in (0, first[asking], last[asking])]
            marks, marked = np.unique(np.concatenate(cuts), return_inverse=True)
            between = np.searchsorted(marks, np.arange(len(order)), "right")
            weights = by_patient(between, patient[sort], len(marks) + 1, patients)[: len(marks)]
            self._levels.append((asking, weights, *marked.reshape(3, -1)))

    def share_won(self, counts: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the share (R,) of pairs won, each weighing the `weight` (cases, R) of its case; NaN without pairs."""
        beaten = np.zeros(weight.shape)  # per case the rows of lower risk, of equal risk one half: exact
        for asking, weights, start, below, upto in self._levels:
            mass = np.cumsum(weights @ counts, axis=0)
            beaten[asking] += 0.5 * (mass[below] + mass[upto]) - mass[start]
        above = np.cumsum((self._cells @ counts)[::-1], axis=0)[::-1]
        above = np.concatenate([above[1:], np.zeros((1, counts.shape[1]))])[self._cell]
        drawn = counts[self._patient] * weight
        return ratio(total(drawn * beaten), total(drawn * above))
