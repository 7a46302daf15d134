"""Direction and dose: one scale, the reference range as far as it is seen, and directions in words."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import doses

SIX = ("sepsis", 6.0)


@pytest.fixture()
def drawn(judged_run: Run) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return doses.charts(judged_run.table("dose.parquet"), judged_run.table("directions.parquet"), SIX)


def marks(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == kind]


def test_the_charts_are_in_the_order_of_rank_and_share_a_scale(judged_run: Run, drawn: Any) -> None:
    ranked = judged_run.table("directions.parquet").sort("rank")
    assert [row["variable"] for row, _ in drawn] == ranked["variable"].to_list()
    scales = [marks(spec, "line")[0]["encoding"]["y"]["scale"]["domain"] for _, spec in drawn]
    assert scales == [scales[0]] * len(drawn)
    assert scales[0][0] < 0 < scales[0][1]
    few = doses.charts(judged_run.table("dose.parquet"), judged_run.table("directions.parquet"), SIX, 2)
    assert len(few) == 2


def test_a_chart_has_the_curve_and_thinned_points(judged_run: Run, drawn: Any) -> None:
    row, spec = drawn[0]
    assert row["variable"] == "lactate"
    own = judged_run.table("dose.parquet").filter(pl.col("variable") == "lactate")
    curve = own.filter(kind="curve").sort("value")
    found = marks(spec, "line")[0]["data"]["values"]
    assert [point["y"] for point in found] == pytest.approx(curve["contribution"].to_list(), rel=1e-3)
    points = marks(spec, "circle")[0]["data"]["values"]
    assert len(points) == doses.POINTS < own.filter(kind="point").height
    assert marks(spec, "circle")[0]["encoding"]["x"]["title"] == "Lactate (mmol/L)"


def test_the_reference_range_ends_with_the_axis(drawn: Any) -> None:
    spec = {row["variable"]: spec for row, spec in drawn}
    low, high = marks(spec["lactate"], "circle")[0]["encoding"]["x"]["scale"]["domain"]
    (shade,) = marks(spec["lactate"], "rect")[0]["data"]["values"]
    assert shade == {"a": max(low, 0.5), "b": 2.0} and high > 2.0
    assert marks(spec["age_years"], "rect") == []  # no reference
    assert marks(spec["map"], "rect") == []  # 65 to 110, and no value so high


def test_directions_need_to_be_sure_and_strong() -> None:
    row = {"variable": "map", "spearman": -0.9, "low": -0.95, "high": -0.8, "n_predictions": 1200}
    assert doses.direction(row).startswith("Falls with the value: rank correlation −0.90 (−0.95 to −0.80), 1\u202f200")
    assert doses.direction(row | {"spearman": 0.5, "low": 0.4, "high": 0.6}).startswith("Rises in part with the value")
    assert doses.direction(row | {"spearman": 0.5, "low": -0.1, "high": 0.8}).startswith("No clear direction")
    assert doses.direction(row | {"spearman": 0.1, "low": 0.05, "high": 0.2}).startswith("No clear direction")
    assert "if yes" in doses.direction(row | {"variable": "male"})
    assert doses.direction(row | {"spearman": None}).startswith("Too few patients")


def test_a_sheet_has_four_charts_of_one_width(judged_run: Run) -> None:
    dose, directions = judged_run.table("dose.parquet"), judged_run.table("directions.parquet")
    sheet = doses.sheet(dose, directions, SIX, 210)
    assert sheet is not None
    assert [spec["width"] for spec in sheet["concat"]] == [210] * 4
    assert doses.sheet(dose, directions, ("sepsis", 12.0), 210) is None
