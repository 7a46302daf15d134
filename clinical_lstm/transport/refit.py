"""What some patients of the target site teach, and what it is worth for all others.

Patients are either used or judged, never both: `refit` sees the rows of the used ones alone, `judge` those of the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_lstm.calibration import Calibrator
from clinical_lstm.metrics.calibration import brier, calibration_line, ece_equal_mass, in_the_large
from clinical_lstm.metrics.discrimination import NAN, Decisions, decisions
from clinical_lstm.metrics.rules import chosen_threshold
from clinical_lstm.metrics.utility import normalised_utility

FEWEST_EVENTS = 5  # patients with an event (and without one) among the used: fewer fit no intercept and no threshold
FEWEST_EVENTS_SLOPE = 10  # nor intercept and slope together


class Rows(NamedTuple):
    """Rows (N,) of one target, by ascending risk; `gain` is what an alarm adds to the challenge utility."""

    patient: np.ndarray
    label: np.ndarray
    risk: np.ndarray
    gain: np.ndarray

    def where(self, mask: np.ndarray) -> Rows:
        """Return the rows of `mask`."""
        return Rows(*(part[mask] for part in self))

    def patients(self) -> tuple[int, int]:
        """Return the number of patients, and of those with a positive row."""
        every, positive = np.bincount(self.patient), np.bincount(self.patient[self.label == 1])
        return int(np.count_nonzero(every)), int(np.count_nonzero(positive))


class Update(NamedTuple):
    """The last step of a model: risk' = sigmoid(intercept + slope logit(risk)), an alarm where risk' >= threshold."""

    threshold: float
    intercept: float = 0.0
    slope: float = 1.0
    fallback: bool = False  # too few events for what was asked: this is something simpler

    def apply(self, risk: np.ndarray) -> np.ndarray:
        """Return the updated risks (N,).

        >>> Update(0.5, intercept=-1.0).apply(np.array([0.5, 0.9])).round(3).tolist()
        [0.269, 0.768]
        """
        if (self.intercept, self.slope) == (0.0, 1.0):
            return risk
        return Calibrator("platt", slope=self.slope, intercept=self.intercept).apply(np.log(risk) - np.log1p(-risk))


def refit(used: Rows, threshold: float, rule: str) -> dict[str, Update]:
    """Return every method of `schemas.REFITS` but the oracle, fitted on the rows of the used patients.

        as_is                 what the source site said
        intercept             a = root of sum (y - sigmoid(a + logit risk)), b = 1; the source's threshold
        intercept_and_slope   (a, b) of the highest likelihood;                     the source's threshold
        threshold             the source's risks, the threshold chosen anew by `rule` (`best`)

    The source's threshold stands for a risk: on risks that were moved it alarms others, and a threshold that was chosen
    for its sensitivity (`youden`) may serve worse there than on the risks as they were.
    To recalibrate and to choose the threshold anew makes the alarms of `threshold` and the risks of the others: no map
    that rises changes who is alarmed at the best threshold.
    With fewer than 5 used patients with an event (or without one) nothing is refitted, with fewer than 10, classes that
    a threshold separates, or a slope that does not rise, no slope; `fallback` says so.
    Source: Steyerberg et al., Stat Med 23:2567-2586 (2004), doi 10.1002/sim.1844 (updating by intercept and slope).
    """
    patients, events = used.patients()
    rarer = min(events, patients - events)
    as_is = Update(threshold)
    stuck = as_is._replace(fallback=True)
    if rarer < FEWEST_EVENTS:
        return {"as_is": as_is, "intercept": stuck, "intercept_and_slope": stuck, "threshold": stuck}
    shifted = as_is._replace(intercept=in_the_large(used.label, used.risk))
    bent = shifted._replace(fallback=True)
    if rarer >= FEWEST_EVENTS_SLOPE:
        slope, intercept = calibration_line(used.label, used.risk)
        if slope > 0:
            bent = Update(threshold, intercept, slope)
    chosen = as_is._replace(threshold=best(used, rule))
    return {"as_is": as_is, "intercept": shifted, "intercept_and_slope": bent, "threshold": chosen}


def best(rows: Rows, rule: str) -> float:
    """Return the threshold on the risk that `rule` chooses (`metrics.rules`)."""
    falling = Rows(*(part[::-1] for part in rows))  # the order in which thresholds are tried: nothing is left to sort
    return chosen_threshold(rule, falling.label, falling.risk, falling.gain)


def judge(judged: Rows, updates: dict[str, Update], rule: str) -> dict[tuple[str, str], float]:
    """Return {(method, metric): value} on the rows of the patients that were not used; NaN where undefined.

    The oracle is the source's risks with the threshold that is best for the judged rows themselves, by the metric that
    alarms are judged by: an upper bound on what choosing a threshold can reach, which nobody can have. Metrics of risks
    are given where risks may be updated, those of alarms for every method. The calibration line of updated risks
    follows from that of the risks as they are:

        logit P(y = 1) = A + B logit(risk),  logit(risk') = a + b logit(risk)   =>   B' = B / b,  A' = A - a B / b

    (`calibration_line` clips risks to [1e-6, 1 - 1e-6], here before the update.)
    """
    line = calibration_line(judged.label, judged.risk)
    found: dict[tuple[str, str], float] = {}
    oracle = Update(best(judged, "cinc2019" if _by_utility(rule) else "youden"))
    for method, update in [*updates.items(), ("oracle", oracle)]:
        risk = update.apply(judged.risk)
        values = _alarms(judged, risk, update.threshold, rule)
        if method not in ("threshold", "oracle"):
            values = _risks(judged.label, risk, line, update) | values
        found |= {(method, metric): value for metric, value in values.items()}
    return found


def _risks(label: np.ndarray, risk: np.ndarray, line: tuple[float, float], update: Update) -> dict[str, float]:
    slope = line[0] / update.slope
    return {
        "calibration_slope": slope,
        "calibration_intercept": line[1] - update.intercept * slope,
        "calibration_in_the_large": in_the_large(label, risk),
        "ece_equal_mass": ece_equal_mass(label, risk),
        "brier": brier(label, risk),
    }


def _by_utility(rule: str) -> bool:
    """Say whether alarms are judged by the challenge utility; else by the Youden index."""
    return rule.startswith("cinc2019")


def _alarms(judged: Rows, risk: np.ndarray, threshold: float, rule: str) -> dict[str, float]:
    rates = decisions(judged.label, risk, threshold)
    if np.isnan(threshold):  # one class: no threshold is the best
        rates = Decisions(*[NAN] * len(rates))
    found = {"sensitivity": rates.sensitivity, "specificity": rates.specificity}
    if _by_utility(rule):
        return found | {"utility_cinc2019": normalised_utility(judged.gain, risk >= threshold)}
    return found | {"youden_index": rates.sensitivity + rates.specificity - 1}
