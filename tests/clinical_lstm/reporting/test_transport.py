"""Another place on the page: where, home beside away, repair with its range, the largest shifts."""

from __future__ import annotations

import altair as alt
import polars as pl

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import transport

SIX = ("sepsis", 6.0)


def test_home_and_away_have_their_counts_and_intervals(judged_run: Run) -> None:
    facts = judged_run.json("transport.json")
    grid = transport.home_and_away(facts, SIX)
    assert grid.columns == ["AUROC", "Utility (CinC 2019)", "Calibration in the large"]
    home, away = grid.rows
    assert home.cells[0].interval == "0.700–0.900"
    assert (away.cells[0].value, away.cells[0].interval) == ("0.700", "")
    assert away.hint == "70 stays, 300 positive predictions"
    assert transport.home_and_away(facts, ("death", 6.0)).rows == []


def test_repair_is_drawn_by_method_and_number_of_patients(judged_run: Run) -> None:
    table = judged_run.table("recalibration.parquet")
    specs = transport.repairs(table, SIX)
    assert list(specs) == ["utility_cinc2019", "calibration_slope", "calibration_in_the_large"]
    for spec in specs.values():
        alt.LayerChart.from_dict(spec)
    rows = specs["utility_cinc2019"]["data"]["values"]
    assert list(dict.fromkeys(row["m"] for row in rows)) == [
        "As it came", "Threshold chosen anew", "Best threshold there is",
    ]  # fmt: skip
    first = next(row for row in rows if row["k"] == 0)
    assert first["l"] == first["y"] == first["h"]  # all patients, one draw: no range
    own = table.filter(
        complication="sepsis", horizon_hours=6.0, patients=25, method="threshold", metric="utility_cinc2019"
    )
    drawn = next(row for row in rows if row["k"] == 25 and row["m"] == "Threshold chosen anew")
    assert (drawn["y"], drawn["l"]) == own.select(pl.col("value", "low").round(4)).row(0)
    assert transport.repairs(table, ("death", 6.0)) == {}


def test_the_twelve_largest_shifts_are_told_with_their_units(judged_run: Run) -> None:
    table = judged_run.table("domain_shift.parquet")
    rows = transport.shifts(table)
    assert len(rows) == transport.LARGEST < table.height
    assert rows[0] == ["Lactate: stays with any measurement", "100\N{NO-BREAK SPACE}%", "0\N{NO-BREAK SPACE}%", "−∞"]
    sizes = [float(row[3].replace("−", "-")) for row in rows[1:]]
    assert sizes == sorted(sizes, key=abs, reverse=True)
    assert transport.shifts(table.sample(fraction=1.0, shuffle=True, seed=2)) == rows
    every = {row[0]: row for row in transport.shifts(table.filter(pl.col("measure").cast(pl.String) == "length"))}
    assert every["Length of stay, mean"][1].endswith(" h")
    event = transport.shifts(table.filter(variable="sepsis"))
    assert event[0][0] == "Sepsis: stays with an event"
    pressure = transport.shifts(table.filter(variable="map", measure="mean_value"))
    assert pressure[0][1].endswith(" mmHg")
    assert transport.shifts(table.with_columns(smd=pl.lit(None, pl.Float64))) == []
