"""NEWS2: the reference cases through the chart and through the hours, the edges, the states, the classes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.scores.news2 import POINTS, news2

COMPONENTS = {  # ours -> the reference's
    "respiration": "respiratory_rate", "saturation": "spo2", "air_or_oxygen": "oxygen", "pulse": "pulse",
    "systolic_pressure": "systolic_bp", "consciousness": "consciousness", "temperature": "temperature",
}  # fmt: skip
VITALS = {
    "respiratory_rate": "respiratory_rate", "spo2": "spo2", "sbp": "systolic_bp", "heart_rate": "pulse",
    "temperature": "temperature_c",
}  # fmt: skip


@pytest.fixture(scope="module")
def cases(shared: Path) -> pl.DataFrame:
    """The cases by the names of the vocabulary, with the flags that the chart reads."""
    read = pl.read_csv(shared / "reference" / "news2_cases.csv")
    return read.select(
        "case_id",
        *(pl.col(old).cast(pl.Float64).alias(new) for new, old in VITALS.items()),
        (pl.col("consciousness") != "A").cast(pl.Float64).alias("not_alert"),
        pl.col("oxygen").cast(pl.Float64),
        (pl.col("spo2_scale") == 2).alias("scale_2"),
    )


@pytest.fixture(scope="module")
def expected(shared: Path) -> pl.DataFrame:
    return pl.read_csv(shared / "reference" / "news2_cases_expected.csv")


def test_reference_cases_by_the_chart(cases: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert cases["case_id"].to_list() == expected["case_id"].to_list()
    assert cases.height == 32
    found = cases.select(**POINTS)
    assert found.select(list(COMPONENTS)).rows() == expected.select(list(COMPONENTS.values())).rows()


@pytest.mark.parametrize(
    ("oxygen", "air"),
    [("oxygen_flow", 0.0), ("fio2", 0.21), ("mechanical_ventilation", 0.0)],
)
def test_reference_cases_by_the_hour(cases: pl.DataFrame, expected: pl.DataFrame, oxygen: str, air: float) -> None:
    given = pl.when(pl.col("oxygen") == 1).then(1.0).otherwise(air).alias(oxygen)
    long = cases.with_columns(given).unpivot([*VITALS, "not_alert", oxygen], index="case_id")
    stays = cases.select(pl.col("case_id").alias("stay_id"), length_hours=1.0)
    on_scale_2 = cases.filter("scale_2")["case_id"].to_list()
    found = news2(stays, long.rename({"case_id": "stay_id"}).with_columns(hours=0.5), scale_2_stays=on_scale_2)
    assert found.select(list(COMPONENTS)).rows() == expected.select(list(COMPONENTS.values())).rows()
    assert found["news2"].to_list() == expected["total"].to_list()
    assert found["risk_class"].to_list() == expected["risk"].to_list()
    assert set(found["measured"]) == {7}


FAHRENHEIT = 0.5555555556  # as variables.csv converts it: 100.4 degF is 38.000000004 degC
EDGES = [
    ("respiration", "respiratory_rate", [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)]),
    ("saturation", "spo2", [(91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0)]),
    ("systolic_pressure", "sbp", [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)]),
    ("pulse", "heart_rate", [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (131, 3)]),
    ("temperature", "temperature", [(35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.1, 2)]),
    ("temperature", "temperature", [(FAHRENHEIT * 100.4 - 17.7777777778, 0)]),
]  # fmt: skip
INPUTS = [*VITALS, "not_alert", "oxygen", "scale_2"]


def charted(component: str, values: dict[str, object]) -> int | None:
    types = {name: pl.Boolean if name == "scale_2" else pl.Float64 for name in INPUTS}
    return pl.DataFrame({name: [values.get(name)] for name in INPUTS}, schema=types).select(**POINTS)[component].item()


@pytest.mark.parametrize(("component", "variable", "bands"), EDGES)
def test_the_edges_of_the_bands(component: str, variable: str, bands: list[tuple[float, int]]) -> None:
    for value, points in bands:
        assert charted(component, {variable: float(value)}) == points, value
    assert charted(component, {}) is None


@pytest.mark.parametrize(("spo2", "on_air", "on_oxygen"), [
    (83, 3, 3), (84, 2, 2), (85, 2, 2), (86, 1, 1), (87, 1, 1), (88, 0, 0), (92, 0, 0), (93, 0, 1), (94, 0, 1),
    (95, 0, 2), (96, 0, 2), (97, 0, 3),
])  # fmt: skip
def test_scale_2_asks_for_oxygen_above_the_target(spo2: float, on_air: int, on_oxygen: int) -> None:
    for oxygen, points in ((0.0, on_air), (1.0, on_oxygen), (None, on_air)):
        assert charted("saturation", {"spo2": float(spo2), "oxygen": oxygen, "scale_2": True}) == points


def hourly(column: str, *rows: tuple[float, str, float], length: float = 4.0, **windows: int) -> list[int | None]:
    table = pl.DataFrame(rows, schema={"hours": pl.Float64, "variable": pl.String, "value": pl.Float64}, orient="row")
    seen = table.select(pl.lit("a").alias("stay_id"), pl.all())
    return news2(pl.DataFrame({"stay_id": ["a"], "length_hours": [length]}), seen, **windows)[column].to_list()


def test_the_last_value_of_the_window_counts() -> None:
    seen = (0.5, "heart_rate", 140.0), (0.9, "heart_rate", 70.0), (2.1, "heart_rate", 100.0)
    assert hourly("pulse", *seen) == [0, 0, 1, 1]
    assert hourly("pulse", *seen[:2], carry_hours=2) == [0, 0, None, None]
    assert hourly("pulse", seen[1], length=14.0) == [0] * 12 + [None] * 2


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([(0.5, "oxygen_flow", 2.0), (2.5, "oxygen_flow", 0.0)], [2, 2, 0, 0]),
        ([(0.5, "fio2", 0.22), (1.5, "mechanical_ventilation", 1.0), (2.5, "fio2", 0.21)], [2, 2, 2, 2]),
        ([(1.5, "mechanical_ventilation", 1.0), (3.5, "mechanical_ventilation", 0.0)], [None, 2, 2, 0]),
        ([(0.5, "fio2", 21 * 0.01)], [0, 0, 0, 0]),
    ],
)
def test_oxygen_is_a_state(rows: list[tuple[float, str, float]], points: list[int | None]) -> None:
    assert hourly("air_or_oxygen", *rows, carry_hours=1) == points


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([(0.5, "gcs", 15.0), (1.5, "not_alert", 1.0)], [0, 3, 3, 3]),
        ([(0.5, "gcs", 14.0), (1.5, "not_alert", 0.0), (2.5, "gcs", 15.0)], [3, 3, 0, 0]),
    ],
)
def test_consciousness_has_two_sources(rows: list[tuple[float, str, float]], points: list[int]) -> None:
    assert hourly("consciousness", *rows) == points


def test_the_arterial_pressure_goes_before_the_cuff_of_the_same_hour() -> None:
    seen = (0.2, "sbp", 95.0), (0.8, "sbp_noninvasive", 120.0), (1.5, "sbp_noninvasive", 105.0)
    assert hourly("systolic_pressure", *seen) == [2, 1, 1, 1]


def test_without_any_measurement_there_is_no_class() -> None:
    assert hourly("risk_class", (1.5, "heart_rate", 70.0)) == [None, "low", "low", "low"]
