"""Decision curves: what alarming from a risk of t on is worth, when one true alarm outweighs (1 - t) / t false ones.

    net benefit |
                |\\  model            t = the risk from which on an alarm is wanted = the odds at which false alarms
                | \\ '.               are accepted: at t = 0.1 nine false alarms for one true
              0 |--\\---'.------ alarm on no row
                |   \\ alarm on every row
                +-------------- t

Labels are 0/1 arrays (N,), risks float arrays (N,), weights float arrays (N,) or None (all 1).
Source: Vickers & Elkin, Med Decis Making 26:565-574 (2006), doi 10.1177/0272989X06295361.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.weights import ratio, row_weights

TREAT_NONE = 0.0  # the net benefit of never alarming, at every threshold
THRESHOLDS = tuple(np.round(np.arange(0.01, 0.51, 0.01), 2).tolist())


def net_benefit(label: np.ndarray, risk: np.ndarray, threshold: float, weight: np.ndarray | None = None) -> float:
    """Return TP/n - FP/n * t / (1 - t) of alarming when risk >= t; NaN without rows.

    >>> net_benefit(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]), 0.5)
    0.0
    """
    return float(decision_curve(label, risk, [threshold], weight).net_benefit[0])


def treat_all(label: np.ndarray, threshold: float, weight: np.ndarray | None = None) -> float:
    """Return the net benefit y - (1 - y) t / (1 - t) of alarming on every row, y the mean label; NaN without rows.

    >>> treat_all(np.array([0, 0, 0, 1]), 0.2)
    0.0625
    """
    return float(decision_curve(label, np.ones(len(label)), [threshold], weight).treat_all[0])


def standardised_net_benefit(
    label: np.ndarray, risk: np.ndarray, threshold: float, weight: np.ndarray | None = None
) -> float:
    """Return net benefit / prevalence: 1 = every positive and nothing else; NaN without positives.

    Source: Kerr et al., J Clin Oncol 34:2534-2540 (2016), doi 10.1200/JCO.2015.65.5654.

    >>> standardised_net_benefit(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.8]), 0.5)
    0.5
    """
    return float(decision_curve(label, risk, [threshold], weight).standardised[0])


def net_interventions_avoided(
    label: np.ndarray, risk: np.ndarray, threshold: float, weight: np.ndarray | None = None
) -> float:
    """Return the alarms spared per row against alarming on all, net of the positives missed; NaN without rows or at 0.

        avoided = (net benefit - net benefit of alarming on all) (1 - t) / t = TN/n - FN/n (1 - t) / t

    >>> net_interventions_avoided(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]), 0.5)
    0.0
    """
    return float(decision_curve(label, risk, [threshold], weight).interventions_avoided[0])


class DecisionCurve(NamedTuple):
    """The curve (T,) over thresholds; `net_benefit` is to be read beside `treat_all` and 0 (alarm on none)."""

    threshold: np.ndarray
    net_benefit: np.ndarray
    treat_all: np.ndarray
    standardised: np.ndarray
    interventions_avoided: np.ndarray


def decision_curve(
    label: np.ndarray,
    risk: np.ndarray,
    thresholds: tuple[float, ...] | list[float] | np.ndarray = THRESHOLDS,
    weight: np.ndarray | None = None,
) -> DecisionCurve:
    """Return the curve of one predictor at `thresholds`; raises InputError unless each is in [0, 1).

    >>> curve = decision_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]), [0.2, 0.5])
    >>> curve.net_benefit.tolist(), curve.treat_all.tolist()
    ([0.4375, 0.0], [0.375, 0.0])
    """
    limits = require_thresholds(thresholds)
    once, positive = row_weights(label, weight), label == 1
    cell = threshold_cell(risk, limits)
    totals, true = (np.bincount(cell[kept], once[kept], len(limits) + 1) for kept in (slice(None), positive))
    return curve_of(limits, *from_thresholds_up(totals, limits), *from_thresholds_up(true, limits))


def curve_of(
    thresholds: np.ndarray, rows: np.ndarray, alarms: np.ndarray, positives: np.ndarray, true: np.ndarray
) -> DecisionCurve:
    """Return the curve (..., T) from the numbers of rows and positives (...,), of alarms and true alarms (..., T).

    >>> counts = (np.array(x) for x in (4.0, [2.0], 2.0, [1.0]))
    >>> curve_of(np.array([0.2]), *counts).net_benefit.tolist()
    [0.1875]
    """
    odds = thresholds / (1 - thresholds)
    n, n1 = rows[..., None], positives[..., None]
    benefit = ratio(true - (alarms - true) * odds, n)
    everyone = ratio(n1 - (n - n1) * odds, n)
    missed = ratio(n1 - true, n)  # times the inverse odds, which t = 0 has not
    spared = ratio((n - alarms) - (n1 - true), n)
    return DecisionCurve(
        threshold=thresholds,
        net_benefit=benefit,
        treat_all=everyone,
        standardised=ratio(benefit, ratio(n1, n)),
        interventions_avoided=spared - missed * ratio(1 - thresholds, thresholds),
    )


def require_thresholds(thresholds: tuple[float, ...] | list[float] | np.ndarray) -> np.ndarray:
    """Return the thresholds (T,) as floats; raises InputError where one is not in [0, 1)."""
    limits = np.asarray(thresholds, np.float64)
    wrong = limits[~((limits >= 0) & (limits < 1))]
    if len(wrong):
        raise InputError(
            f"{len(wrong)} of {len(limits)} thresholds of the decision curve are not risks from 0 to below 1, "
            f"e.g. {wrong[0]}; correct or remove them"
        )
    return limits


def threshold_cell(risk: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return for every risk (N,) how many of the thresholds (T,) it reaches: 0 ... T.

    >>> threshold_cell(np.array([0.1, 0.2, 0.9]), np.array([0.2, 0.5])).tolist()
    [0, 1, 2]
    """
    return np.searchsorted(np.sort(thresholds), risk, side="right")


def from_thresholds_up(counts: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return from the counts by `threshold_cell` (..., T + 1) their total (...,) and that at or above each threshold.

    >>> total, above = from_thresholds_up(np.array([5.0, 2.0, 1.0]), np.array([0.5, 0.2]))
    >>> float(total), above.tolist()
    (8.0, [1.0, 3.0])
    """
    above = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    rank = np.searchsorted(np.sort(thresholds), thresholds, side="right")
    return above[..., 0], above[..., rank]
