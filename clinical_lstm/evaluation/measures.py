"""All metrics of one set of rows, prepared once so that drawing the patients anew costs milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics.alarms import AlarmCurve, AlarmMeasures
from clinical_lstm.metrics.replicates import Calibration, Decisions, Discrimination, NetBenefit, Reliability, Utility

COMPARED = [
    *("auroc", "auprc", "utility_cinc2019", "utility_pre_onset", "brier", "net_benefit"),
    *("event_recall", "alarm_precision", "false_alarms_per_patient_day", "event_auprc"),
]
ERRORS = {"ece_equal_width", "ece_equal_mass", "ici", "e50", "e90", "emax", "brier_reliability"}  # noise raises them
Family = Callable[..., Mapping[str, Any]]  # counts (P, R) or None


class Measures:
    """Discrimination, calibration, decisions at a threshold, alarms and (where asked) the challenge utility of `rows`.

    Args:
        compared: whether to compute only what predictors are compared on (`COMPARED`).
        whole_stays: whether the rows are those of whole stays; of parts of stays there are no alarms to speak of.

    """

    def __init__(
        self,
        rows: Rows,
        operation: Operation,
        with_utility: bool,
        compared: bool = False,
        whole_stays: bool = True,
    ) -> None:
        parts = (rows.label, rows.risk, rows.patient, rows.patients)
        self.compared = compared
        self.families: list[Family] = [Discrimination(*parts), Reliability(*parts), _benefit(rows, operation)]
        if with_utility:
            gains = {"utility_cinc2019": rows.gain, "utility_pre_onset": rows.early_gain}
            alarm = rows.risk >= operation.threshold
            self.families.append(Utility(gains, alarm, rows.patient, rows.patients))
        if whole_stays:
            self.families.append(_alarms(rows, operation))
        if not compared:
            self.families += [Calibration(*parts), Decisions(*parts, threshold=operation.threshold)]

    def __call__(self, counts: np.ndarray | None = None) -> dict[str, Any]:
        """Return every metric, with patient p drawn counts[p, r] times (R,) or (None) once; NaN where undefined."""
        found: dict[str, Any] = {}
        for family in self.families:
            found |= family(counts)
        if not self.compared:  # without an alarm the predictive value counts 0 (PhysioNet Challenge 2012)
            found["min_se_ppv"] = np.minimum(found["sensitivity"], np.nan_to_num(found["ppv"]))
        if counts is None:
            found = {name: float(value) for name, value in found.items()}
        return {name: found[name] for name in COMPARED if name in found} if self.compared else found


def _benefit(rows: Rows, operation: Operation) -> Family:
    """Return net benefit at the operating threshold, and that of alarming on every row (none where it is 1: never)."""
    if operation.threshold >= 1:
        return _no_benefit
    family = NetBenefit(rows.label, rows.risk, rows.patient, rows.patients, [operation.threshold])

    def of(counts: np.ndarray | None) -> dict[str, Any]:
        found = {name.split("@")[0]: value for name, value in family(counts).items()}
        return {name: found[name] for name in ("net_benefit", "net_benefit_treat_all")}

    return of


def _no_benefit(counts: np.ndarray | None) -> dict[str, Any]:
    size = () if counts is None else counts.shape[1]
    return {"net_benefit": np.zeros(size), "net_benefit_treat_all": np.full(size, np.nan)}


def _alarms(rows: Rows, operation: Operation) -> Family:
    """Return what the policy does to patients and ward, and the area of the event-level curve; rows before onset."""
    course = rows.course()
    policy = operation.policy
    measures = AlarmMeasures(course, policy)
    curve = AlarmCurve(course, policy.silence_hours, policy.reset_hours)

    def of(counts: np.ndarray | None) -> dict[str, Any]:
        once = np.ones((rows.patients, 1)) if counts is None else counts
        found = {**measures(once), "events": measures.totals(once)["events"], "event_auprc": curve.area(once)}
        return {name: value[0] for name, value in found.items()} if counts is None else found

    return of
