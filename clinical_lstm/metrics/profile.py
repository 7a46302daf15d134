"""How a predictor does on the way to the onset: by hours left to it.

    hours to onset    48 ... 24 ... 12 . 6 4 2 1 0 = onset    bins (e_k, e_{k+1}], as an onset in (t, t + h] is label 1
    rows of a stay     .  .  .  .  .  .  .  . . . .
    event-free rows: label 0 in stays without an onset; every bin is ranked against the same ones

Rows (N,) are those of one target: `label` 0/1, `risk`, `hours_to_onset` (NaN: none known; 0 or less: past, in no bin),
`stay` codes 0, 1, ... An alarm is risk >= threshold. What a bin's rows do not define is NaN. The course along the stay
is told by the subgroups of hours since admission (`evaluation.subgroups`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.metrics.weights import NAN, ratio

TO_ONSET = np.array([0.0, 1, 2, 4, 6, 12, 24, 48])  # hours: edges of 7 bins


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


def bin_of(value: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin (N,) of each value: k in (e_k, e_{k+1}], B outside or NaN.

    >>> bin_of(np.array([0.0, 1.0, 1.5, 9.0, np.nan]), np.array([0.0, 1.0, 2.0])).tolist()
    [2, 0, 1, 2, 2]
    """
    place = np.searchsorted(edges, value, side="left") - 1
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
