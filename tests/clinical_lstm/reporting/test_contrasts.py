"""What drives errors and subgroups: planted differences are named, and too few patients are said."""

from __future__ import annotations

import polars as pl

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import contrasts

SIX = ("sepsis", 6.0)


def test_the_planted_cause_of_false_alarms_comes_first(judged_run: Run) -> None:
    table = judged_run.table("contrasts.parquet")
    false_alarms, missed = contrasts.errors(table, SIX)
    assert false_alarms["title"] == "False alarms against true silence"
    assert "of single inputs: Lactate, missingness +0.86" in false_alarms["said"]
    assert (
        f"{table.filter(level='false_alarm')['comparisons'][0]} differences were looked at together"
        in false_alarms["said"]
    )
    assert false_alarms["chart"]["layer"][1]["data"]["values"][0]["v"] == "Lactate, missingness"
    assert len(false_alarms["chart"]["layer"][1]["data"]["values"]) == contrasts.LARGEST
    assert "Lactate, missingness" not in missed["said"]


def test_too_few_patients_and_none_are_said(judged_run: Run) -> None:
    table = judged_run.table("contrasts.parquet")
    nothing = [pl.lit(None, pl.Float64).alias(name) for name in ("value", "simultaneous_low", "simultaneous_high")]
    few = contrasts.errors(table.with_columns(nothing), SIX)
    assert all("too few patients to say: 10 patients with" in one["said"] and one["chart"] is None for one in few)
    none = contrasts.errors(table.filter(pl.col("level") != "missed_event"), SIX)
    assert none[1] == {
        "title": "Missed events against true alarms",
        "said": "Not compared: no missed events or no true alarms were explained.",
        "chart": None,
    }
    assert none[0]["chart"] is not None


def test_differences_that_do_not_hold_are_called_chance(judged_run: Run) -> None:
    wide = judged_run.table("contrasts.parquet").with_columns(
        simultaneous_low=pl.lit(-9.0), simultaneous_high=pl.lit(9.0)
    )
    assert "none of them holds: what stands out below may be chance" in contrasts.errors(wide, SIX)[0]["said"]
    assert contrasts.compared(wide.with_columns(simultaneous_low=pl.lit(0.5)), SIX).endswith("at once.")


def test_the_table_of_subgroups_has_shares_with_intervals(judged_run: Run) -> None:
    table = judged_run.table("drivers.parquet")
    grid = contrasts.subgroups(table, SIX)
    assert grid.columns == ["Value", "Missingness", "Staleness", "Static"]
    assert [(row.group, row.name) for row in grid.rows] == [
        ("", "Everyone"),
        ("Age in years", "45–64"),
        ("", "80+"),
        ("Sex", "Female"),
        ("", "Male"),
    ]
    own = table.filter(dimension="sex", level="female", kind="all", channel="value")
    assert grid.rows[3].cells[0].value == contrasts.tenths(own["share"][0])
    assert grid.rows[3].cells[0].interval == f"{100 * own['share_low'][0]:.1f}–{100 * own['share_high'][0]:.1f}"


def test_a_subgroup_of_few_has_no_shares_and_no_count(judged_run: Run) -> None:
    male = pl.col("level") == "male"
    shares = [pl.when(male).then(None).otherwise(name).alias(name) for name in ("share", "share_low", "share_high")]
    counts = pl.when(male).then(3).otherwise("n_patients").alias("n_patients")
    last = contrasts.subgroups(judged_run.table("drivers.parquet").with_columns(*shares, counts), SIX).rows[-2:]
    assert (last[1].cells, last[1].note, last[1].hint) == ([], contrasts.TOO_FEW, "<5 patients")
    assert last[0].hint == "hidden patients" and last[0].cells


def test_ratios_that_hold_are_named(judged_run: Run) -> None:
    found = judged_run.table("contrasts.parquet").with_columns(
        simultaneous_low=pl.when(measure="ratio", level="male", group="all", channel="mask").then(1.2).otherwise(0.5),
        simultaneous_high=pl.lit(2.0),
        value=pl.lit(1.5),
    )
    text = contrasts.compared(found, SIX)
    assert text.endswith(
        ": 1 differ with intervals that are right for all of a group at once: sex male, missingness × 1.50 (1.20–2.00)."
    )
    assert contrasts.compared(found, ("sepsis", 12.0)) == ""
