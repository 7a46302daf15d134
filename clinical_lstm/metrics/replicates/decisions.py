"""Confusion rates at one threshold, and net benefit at several, of many replicates: exact."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.decision_curve import (
    THRESHOLDS,
    DecisionCurve,
    curve_of,
    decision_curve,
    from_thresholds_up,
    require_thresholds,
    threshold_cell,
)
from clinical_lstm.metrics.discrimination import decisions
from clinical_lstm.metrics.replicates.family import CellSums, Family
from clinical_lstm.metrics.weights import ratio, weighted_mean


class AlarmCounts:
    """Rows, alarms, positives and true alarms of many replicates at every threshold: whole numbers, hence exact."""

    def __init__(
        self, label: np.ndarray, risk: np.ndarray, patient: np.ndarray, patients: int, thresholds: np.ndarray
    ) -> None:
        self.thresholds, size = thresholds, len(thresholds) + 1
        cell, positive = threshold_cell(risk, thresholds), label == 1
        self.sums = [
            CellSums(cell[kept], size, patient[kept], patients) for kept in (np.ones(len(label), bool), positive)
        ]

    def of(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return rows (R,), alarms (R, T), positives (R,) and true alarms (R, T)."""
        rows, positives = (from_thresholds_up(sums.of(counts), self.thresholds) for sums in self.sums)
        return *rows, *positives


class Decisions(Family):
    """prevalence, sensitivity, specificity, ppv and alarm_rate of alarming when risk >= threshold.

    >>> family = Decisions(np.array([0, 1]), np.array([0.6, 0.8]), np.array([0, 1]), 2, threshold=0.5)
    >>> family(np.array([[1.0], [3.0]]))["ppv"].tolist()
    [0.75]
    """

    def __init__(
        self, label: np.ndarray, risk: np.ndarray, patient: np.ndarray, patients: int, threshold: float
    ) -> None:
        self.label, self.risk, self.threshold = label, risk, threshold
        self.alarms = AlarmCounts(label, risk, patient, patients, np.array([threshold], np.float64))

    def point(self) -> dict[str, float]:
        """Return the rates of the rows."""
        found = decisions(self.label, self.risk, self.threshold)
        return {"prevalence": weighted_mean(self.label), **found._asdict()}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the rates of every replicate."""
        rows, alarms, positives, true = self.alarms.of(counts)
        alarm, hit = alarms[:, 0], true[:, 0]
        negatives = rows - positives
        return {
            "prevalence": ratio(positives, rows),
            "sensitivity": ratio(hit, positives),
            "specificity": ratio(negatives - (alarm - hit), negatives),
            "ppv": ratio(hit, alarm),
            "alarm_rate": ratio(alarm, rows),
        }


class NetBenefit(Family):
    """net_benefit@t, net_benefit_treat_all@t, net_benefit_standardised@t and interventions_avoided@t at each threshold.

    `curve` returns the same as arrays, for a figure with bands.

    >>> family = NetBenefit(np.array([0, 1]), np.array([0.6, 0.8]), np.array([0, 1]), 2, thresholds=[0.5])
    >>> family(np.array([[1.0], [3.0]]))["net_benefit@0.5"].tolist()
    [0.5]
    """

    def __init__(
        self,
        label: np.ndarray,
        risk: np.ndarray,
        patient: np.ndarray,
        patients: int,
        thresholds: tuple[float, ...] | list[float] = THRESHOLDS,
    ) -> None:
        self.label, self.risk, self.thresholds = label, risk, require_thresholds(thresholds)
        self.alarms = AlarmCounts(label, risk, patient, patients, self.thresholds)

    def point(self) -> dict[str, float]:
        """Return the benefits of the rows."""
        found = _named(decision_curve(self.label, self.risk, self.thresholds))
        return {name: float(value) for name, value in found.items()}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the benefits of every replicate."""
        return _named(self.curve(counts))

    def curve(self, counts: np.ndarray) -> DecisionCurve:
        """Return the decision curve of every replicate: `threshold` (T,), the rest (R, T)."""
        return curve_of(self.thresholds, *self.alarms.of(counts))


def _named(curve: DecisionCurve) -> dict[str, np.ndarray]:
    columns = {
        "net_benefit": curve.net_benefit,
        "net_benefit_treat_all": curve.treat_all,
        "net_benefit_standardised": curve.standardised,
        "interventions_avoided": curve.interventions_avoided,
    }
    return {
        f"{name}@{threshold:g}": values[..., index]
        for name, values in columns.items()
        for index, threshold in enumerate(curve.threshold)
    }
