"""Thresholds and policies come from the validation rows, keep the ward's budget there, and survive the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.artifacts import Run, write_json
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.operation import AlarmBudget, Operation, operations, record, require_operation
from clinical_lstm.evaluation.rows import rows_of, scored
from clinical_lstm.inference import policies_of
from clinical_lstm.metrics.alarms import AlarmMeasures, Policy

SEPSIS, DEATH = ("sepsis", 6.0), ("death", 24.0)
THRESHOLDS = {SEPSIS: 0.15, DEATH: 0.4}


def both(ward: Any) -> pl.DataFrame:
    """Return val and test rows of other patients, of two targets."""
    test = ward(targets=(SEPSIS, DEATH)).predictions
    val = ward(targets=(SEPSIS, DEATH), seed=1, split="val").predictions
    return pl.concat([test, val.with_columns(pl.col("stay_id", "patient_id") + "v")])


@pytest.mark.parametrize("budget", [0.2, 0.6, 1.5])
def test_the_policy_finds_most_events_within_the_budget_on_val(ward: Any, budget: float) -> None:
    table, alarm = both(ward), AlarmBudget(budget, silence_hours=4.0, reset_hours=2.0)
    chosen = operations(table, THRESHOLDS, alarm, "the ward")
    assert list(chosen) == [DEATH, SEPSIS]
    for target, one in chosen.items():
        assert one.threshold == THRESHOLDS[target]
        assert (one.policy.silence_hours, one.policy.reset_hours) == (4.0, 2.0)
        course = rows_of(scored(table, "val", "the ward"), target).course()
        found = {
            t: AlarmMeasures(course, Policy(t, 4.0, 2.0))()
            for t in [one.policy.threshold, *np.unique(course.risk)[::12]]
        }
        own = found[one.policy.threshold]
        assert own["false_alarms_per_patient_day"] <= budget
        allowed = [f["event_recall"] for f in found.values() if f["false_alarms_per_patient_day"] <= budget]
        assert own["event_recall"] >= max(allowed) - 0.03  # not all distinct risks are tried where there are many
    everyone = operations(table.filter(split="val"), THRESHOLDS, alarm, "the ward")
    assert everyone == chosen, "the test rows have no say"


def test_thresholds_that_are_no_numbers_are_refused(ward: Any) -> None:
    table = ward(split="val").predictions
    for given in ({}, {SEPSIS: float("nan")}, {DEATH: 0.2}):
        with pytest.raises(InputError, match=r"the ward has no alarm threshold for \[\('sepsis', 6.0\)\]; there are: "):
            operations(table, given, AlarmBudget(), "the ward")
    with pytest.raises(InputError, match=r"'val'.*test: "):
        operations(ward().predictions, THRESHOLDS, AlarmBudget(), "the ward")
    require_operation([SEPSIS], {SEPSIS: Operation(0.5, Policy(0.5))}, "it")
    with pytest.raises(InputError, match=r"it has no alarm threshold for \[\('death', 24.0\)\].*sepsis"):
        require_operation([SEPSIS, DEATH], {SEPSIS: Operation(0.5, Policy(0.5))}, "it")


@pytest.mark.parametrize("name", ["budget", "silence_hours", "reset_hours"])
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_budget_below_0_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"alarm.{name} must be 0 or more, not {value}"):
        AlarmBudget(**{name: value})


def test_what_is_recorded_is_the_policy_that_is_read(ward: Any, tmp_path: Path) -> None:
    alarm = AlarmBudget(0.7, silence_hours=4.0, reset_hours=1.5)
    chosen = operations(both(ward), THRESHOLDS, alarm, "the ward")
    run = Run(tmp_path)
    assert policies_of(run) == {}, "a run that has not been evaluated"
    write_json(tmp_path / "alarms.json", record(chosen, alarm))
    assert policies_of(run) == {target: one.policy for target, one in chosen.items()}
    written = json.loads((tmp_path / "alarms.json").read_text())
    assert [(one["complication"], one["horizon_hours"]) for one in written] == [DEATH, SEPSIS]
    assert {(one["budget"], one["chosen_on"]) for one in written} == {(0.7, "val")}


def test_a_ward_without_events_never_rings(ward: Any) -> None:
    quiet = ward(split="val").predictions.with_columns(label=pl.lit(0, pl.Int8)).filter(~pl.col("after_onset"))
    [one] = operations(quiet, THRESHOLDS, AlarmBudget(), "the ward").values()
    assert one.policy.threshold == 1.0
