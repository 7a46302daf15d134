"""Subgroups in tables and words: counted aloud, corrected for their number, silent where patients are few."""

from __future__ import annotations

from typing import Any

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import subgroups

SIX = ("sepsis", 6.0)


def gaps(*rows: tuple[str, str, float | None, float | None]) -> pl.DataFrame:
    """Return gaps of three subgroups to site A: level, metric, simultaneous bounds."""
    base: dict[str, Any] = {"predictor": "model", "complication": "sepsis", "horizon_hours": 6.0, "dimension": "site"}
    base |= {"reference": "A", "comparisons": 3, "n_rows": 9, "n_stays": 3, "n_positives": 1}
    lines = [
        base | {"level": level, "metric": metric, "simultaneous_low": low, "simultaneous_high": high}
        | {"value": None if low is None or high is None else (low + high) / 2, "low": low, "high": high}
        for level, metric, low, high in rows
    ]  # fmt: skip
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Gaps).schema)
    return schemas.check(schemas.Gaps, table, "gaps")


def test_levels_are_in_the_order_of_the_evaluation(judged_run: Run) -> None:
    found = subgroups.levels(judged_run.table("scores.parquet"), SIX)
    assert list(found) == ["site", "sex", "age", "hours"]
    assert list(found["hours"])[:3] == ["0-6 h", "6-12 h", "12-24 h"]


def test_the_table_groups_by_dimension_and_says_who_is_too_few(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    grid = subgroups.grid(scores, SIX)
    assert grid.columns == ["AUROC", "Calibration in the large", "Event recall", "False alarms per patient-day"]
    groups = [row.group for row in grid.rows if row.group]
    assert groups == ["Site", "Sex", "Age in years", "Hours since admission"]
    rows = {row.name: row for row in grid.rows}
    assert rows["<45"].note == subgroups.TOO_FEW
    assert rows["<45"].cells == []
    assert all(not row.note and len(row.cells) == 4 for name, row in rows.items() if name in ("A", "B", "female"))
    known = scores.filter(complication="sepsis", horizon_hours=6.0, predictor="model", metric="events", subset="site=A")
    assert f"{known['n_stays'][0]} stays, {known['value'][0]:.0f} events, " in rows["A"].hint
    assert subgroups.grid(scores, ("death", 6.0)).rows == []


def test_small_counts_are_hidden(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    few = pl.when(pl.col("subset") == "site=B").then(3).otherwise("n_stays").alias("n_stays")
    rows = {row.name: row for row in subgroups.grid(scores.with_columns(few.cast(pl.Int64)), SIX).rows}
    assert rows["B"].hint.startswith("<5 stays")
    assert rows["A"].hint.startswith("hidden stays")  # the total would tell the three
    assert rows["B"].note == subgroups.TOO_FEW
    assert not rows["A"].note


def test_gaps_are_counted_and_only_those_that_hold_are_listed() -> None:
    table = gaps(
        ("B", "auroc", 0.01, 0.05), ("C", "auroc", -0.02, 0.03), ("D", "auroc", None, None),
        ("B", "event_recall", -0.3, -0.1), ("C", "event_recall", -0.1, 0.1),
    )  # fmt: skip
    text = subgroups.compared(table, SIX)
    assert text.startswith("4 gaps were looked at: 2 measures of up to 2 subgroups")
    assert "(site A)" in text
    assert "; 2 hold with intervals that are right for all" in text
    assert subgroups.held(table, SIX) == [
        "AUROC: site B +0.030 (+0.010 to +0.050).",
        "Event recall: site B −0.200 (−0.300 to −0.100).",
    ]
    assert "1 holds" in subgroups.compared(table.head(3), SIX)


def test_none_that_holds_is_said_and_none_known_is_silent() -> None:
    assert subgroups.compared(gaps(("B", "auroc", -0.1, 0.1)), SIX).endswith(
        "None of them holds when the number of comparisons is taken into account."
    )
    assert subgroups.held(gaps(("B", "auroc", 0.0, 0.1)), SIX) == []
    assert subgroups.compared(gaps(("B", "auroc", None, None)), SIX) == ""


def test_the_real_gaps_have_words(judged_run: Run) -> None:
    table = judged_run.table("gaps.parquet")
    known = table.filter(pl.col("simultaneous_low").is_not_null(), complication="sepsis", horizon_hours=6.0)
    assert subgroups.compared(table, SIX).startswith(f"{known.height} gaps were looked at")
