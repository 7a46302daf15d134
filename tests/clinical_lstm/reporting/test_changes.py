"""What changed lately: the calibrated risk without the last hours, the parts of the change, and refusals."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import polars as pl
import pytest

from clinical_lstm.artifacts import Run, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.reporting.changes import Change, Changes, change, read_changes


@pytest.fixture(scope="module")
def changes(told_run: Run) -> Changes:
    found = read_changes(told_run)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def row(told_run: Run) -> dict[str, Any]:
    return told_run.table("explained.parquet").row(0, named=True)


def test_the_risk_before_is_the_calibrated_baseline(told_run: Run, changes: Changes, row: dict[str, Any]) -> None:
    found = change(changes, told_run.json("calibrator.json"), row, {}, {})
    assert found is not None
    now = math.log(row["risk"] / (1 - row["risk"]))
    assert found.before == pytest.approx(1 / (1 + math.exp(0.75 - now)))
    assert found.since == "the last 4 h"
    assert found.said.startswith("Had nothing been measured in the last 4 h, the risk would be ")
    assert len(found.drivers) == 3
    sizes = [abs(one.contribution) for one in found.drivers]
    assert sizes == sorted(sizes, reverse=True)


def test_without_a_map_that_gives_the_risk_only_the_odds_are_told(changes: Changes, row: dict[str, Any]) -> None:
    target = {"complication": "sepsis", "horizon_hours": 6.0}
    other = [target | {"map": {"kind": "platt", "slope": 1.0, "intercept": -1.0}}]
    for maps in ([], other):
        found = change(changes, maps, row, {}, {})
        assert found is not None
        assert found.before is None
        assert found.said == "What was measured in the last 4 h multiplied the odds of the onset by 2.12."


def test_words_for_equal_risks_and_unknown_hours() -> None:
    one = Change(None, 0.2, 0.2, 0.0, 0.0, True, [])
    assert one.said.startswith("Had nothing been measured in the last hours, the risk would be the same: 20")
    assert dataclasses.replace(one, hours=1.0).since == "the last hour"


def test_a_prediction_that_nobody_asked_about_has_no_change(changes: Changes, row: dict[str, Any]) -> None:
    assert change(changes, [], row | {"hours": 47.0}, {}, {}) is None


def test_runs_from_before_there_were_changes(run: Run) -> None:
    assert read_changes(run) is None


def test_a_broken_table_is_refused(tmp_path: Any, told_run: Run) -> None:
    write_table(tmp_path / "changed.parquet", told_run.table("changed.parquet").with_columns(gap=pl.lit(-1.0)))
    write_table(tmp_path / "changes.parquet", told_run.table("changes.parquet"))
    with pytest.raises(InputError, match=r"changed\.parquet breaks its contract Explained: gap.*clinical-lstm explain"):
        read_changes(Run(tmp_path))
