"""The rows of all test folds together, each judged as its own fold operates: its threshold, its alarm policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import KEY, Rows, labelled, together
from clinical_lstm.metrics.alarms import AlarmMeasures, rates_of
from clinical_lstm.metrics.replicates import Decisions, Discrimination, Reliability, Utility

METRICS = [
    *("utility_cinc2019", "utility_pre_onset", "auroc", "auprc", "brier", "min_se_ppv", "youden_index"),
    *("sensitivity", "specificity", "ppv", "event_recall", "alarm_precision", "false_alarms_per_patient_day"),
]
Family = Callable[..., Mapping[str, Any]]  # counts (P, R) or None


def pooled(folds: Mapping[str, pl.DataFrame], split: str, what: str) -> pl.DataFrame:
    """Return the scored rows of all folds, sorted by key, with the `fold` of each; stays are named FOLD/STAY.

    A stay that several folds test is a stay of each; patients are coded among those of all folds, each once. Raises
    InputError as `rows.labelled` does.

    Args:
        folds: `schemas.Predictions` by the name of the fold.

    """
    tables = {name: labelled(table, split, f"the predictions of {what} in {name}") for name, table in folds.items()}
    named = [
        table.filter("at_risk").with_columns(
            pl.lit(name).alias("fold"), pl.concat_str(pl.lit(f"{name}/"), "stay_id").alias("stay_id")
        )
        for name, table in together(tables).items()
    ]
    return pl.concat(named, how="diagonal").sort(KEY)


class OutOfFold:
    """The metrics of rows (N,) of which each belongs to a `fold` (N,): alarm where risk >= threshold of the fold.

    Args:
        operations: of every fold. with_utility: whether to add the challenge utility.

    """

    def __init__(self, rows: Rows, fold: np.ndarray, operations: Mapping[str, Operation], with_utility: bool) -> None:
        alarm = np.zeros(len(rows.risk), bool)
        for name, operation in operations.items():
            alarm[fold == name] = rows.risk[fold == name] >= operation.threshold
        parts = (rows.label, rows.risk, rows.patient, rows.patients)
        rings = (rows.label, alarm.astype(np.float64), rows.patient, rows.patients)
        self.families: list[Family] = [Discrimination(*parts), Reliability(*parts), Decisions(*rings, threshold=0.5)]
        if with_utility:
            gains = {"utility_cinc2019": rows.gain, "utility_pre_onset": rows.early_gain}
            self.families.append(Utility(gains, alarm, rows.patient, rows.patients))
        self.families.append(_alarms(rows, fold, operations))

    def __call__(self, counts: np.ndarray | None = None) -> dict[str, Any]:
        """Return every metric, with patient p drawn counts[p, r] times (R,) or (None) once; NaN where undefined."""
        found: dict[str, Any] = {}
        for family in self.families:
            found |= family(counts)
        found["min_se_ppv"] = np.minimum(found["sensitivity"], np.nan_to_num(found["ppv"]))  # 0 without an alarm
        found["youden_index"] = found["sensitivity"] + found["specificity"] - 1
        kept = {name: found[name] for name in METRICS if name in found}
        return {name: float(value) for name, value in kept.items()} if counts is None else kept


def _alarms(rows: Rows, fold: np.ndarray, operations: Mapping[str, Operation]) -> Family:
    """Return what the policies of the folds do to patients and ward: whole numbers, summed over the folds."""
    each = [
        AlarmMeasures(rows.where(fold == name).course(), operation.policy)
        for name, operation in operations.items()
        if (fold == name).any()
    ]

    def of(counts: np.ndarray | None) -> dict[str, Any]:
        once = np.ones((rows.patients, 1)) if counts is None else counts
        totals = [one.totals(once) for one in each]
        found = rates_of({name: np.sum([total[name] for total in totals], axis=0) for name in totals[0]})
        return {name: value[0] for name, value in found.items()} if counts is None else found

    return of
