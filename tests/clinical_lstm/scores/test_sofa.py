"""SOFA: the reference cases through the table and through the hours, the windows, and a slow second implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm.scores.sofa import POINTS, sofa

COLUMNS = {
    "pao2": "pao2_mmhg", "fio2": "fio2", "mechanical_ventilation": "resp_support", "platelets": "platelets_10e3_ul",
    "bilirubin_total": "bilirubin_mg_dl", "map": "map_mmhg", "dopamine": "dopamine_ug_kg_min",
    "dobutamine": "dobutamine_ug_kg_min", "epinephrine": "epinephrine_ug_kg_min", "creatinine": "creatinine_mg_dl",
    "norepinephrine": "norepinephrine_ug_kg_min", "gcs": "gcs", "urine_24h": "urine_ml_24h",
}  # fmt: skip
VOIDS = [6.0, 12.0, 18.0, 24.0]


@pytest.fixture(scope="module")
def cases(shared: Path) -> pl.DataFrame:
    """The cases by the names of the vocabulary, with the expected score of the component, or of all."""
    read = pl.read_csv(shared / "reference" / "sofa_cases.csv", infer_schema_length=None)
    expected = pl.read_csv(shared / "reference" / "sofa_cases_expected.csv").select("case_id", "score")
    named = read.select(
        "case_id", "component", *(pl.col(old).cast(pl.Float64).alias(new) for new, old in COLUMNS.items())
    )
    return named.join(expected, on="case_id", maintain_order="left")


def scores_of(scored: pl.DataFrame, cases: pl.DataFrame) -> list[int | None]:
    """Return of each case the points of its component, or the total."""
    rows = cases.select("component").hstack(scored.select(list(POINTS))).rows(named=True)
    return [
        sum(row[name] or 0 for name in POINTS) if row["component"] == "total" else row[row["component"]] for row in rows
    ]


def test_reference_cases_by_the_table(cases: pl.DataFrame) -> None:
    assert cases.height == 47
    assert scores_of(cases.select(**POINTS), cases) == cases["score"].to_list()


def test_reference_cases_by_the_hour(cases: pl.DataFrame) -> None:
    long = cases.unpivot(list(COLUMNS), index="case_id").drop_nulls()
    urine = pl.col("variable") == "urine_24h"
    voids = long.filter(urine).with_columns(pl.lit("urine_output").alias("variable"), pl.col("value") / len(VOIDS))
    voids = voids.join(pl.DataFrame({"hours": VOIDS}), how="cross")
    seen = pl.concat([long.filter(~urine).with_columns(hours=1.0), voids])
    stays = cases.select(pl.col("case_id").alias("stay_id"), length_hours=24.0)
    found = sofa(stays, seen.rename({"case_id": "stay_id"})).filter(pl.col("hours") == 24)
    assert found["stay_id"].to_list() == cases["case_id"].to_list()
    assert scores_of(found, cases) == cases["score"].to_list()
    total = cases["component"] == "total"
    assert found.filter(total)["sofa"].to_list() == cases.filter(total)["score"].to_list()


EDGES = [
    ("respiration", {"pao2": 400.0, "fio2": 1.0}, 0), ("respiration", {"pao2": 399.9, "fio2": 1.0}, 1),
    ("respiration", {"pao2": 300.0, "fio2": 1.0}, 1), ("respiration", {"pao2": 199.0, "fio2": 1.0}, 2),
    ("respiration", {"pao2": 200.0, "fio2": 1.0, "mechanical_ventilation": 1.0}, 2),
    ("respiration", {"pao2": 100.0, "fio2": 1.0, "mechanical_ventilation": 1.0}, 3),
    ("respiration", {"pao2": 99.0, "fio2": 1.0, "mechanical_ventilation": 1.0}, 4),
    ("respiration", {"pao2": 99.0, "fio2": 1.0, "mechanical_ventilation": 0.0}, 2),
    ("respiration", {"pao2": 99.0}, None), ("respiration", {"fio2": 0.5}, None),
    ("coagulation", {"platelets": 100.0}, 1), ("coagulation", {"platelets": 50.0}, 2),
    ("liver", {"bilirubin_total": 1.95}, 1), ("liver", {"bilirubin_total": 12.0}, 4),
    ("cardiovascular", {"map": 70.0}, 0), ("cardiovascular", {"map": 90.0, "dopamine": 5.0}, 2),
    ("cardiovascular", {"dopamine": 15.0}, 3), ("cardiovascular", {"epinephrine": 0.1}, 3),
    ("cardiovascular", {"norepinephrine": 0.006 * 16.6666666667}, 3), ("cardiovascular", {"dobutamine": 0.5}, 2),
    ("cns", {"gcs": 14.0}, 1), ("cns", {"gcs": 10.0}, 2), ("cns", {"gcs": 9.0}, 3),
    ("renal", {"creatinine": 5.0}, 4), ("renal", {"creatinine": 1.0, "urine_24h": 200.0}, 3),
    ("renal", {"urine_24h": 499.0}, 3), ("renal", {"urine_24h": 199.0}, 4), ("renal", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("component", "values", "points"), EDGES)
def test_the_edges_of_the_bands(component: str, values: dict[str, float], points: int | None) -> None:
    row = pl.DataFrame({name: [values.get(name)] for name in COLUMNS}, schema=dict.fromkeys(COLUMNS, pl.Float64))
    assert row.select(**POINTS)[component].item() == points


def test_a_ratio_at_the_edge_is_not_below_it_whatever_its_last_bit() -> None:
    percent = np.arange(21, 101)
    for edge, points in ((400, 0), (300, 1), (200, 2), (100, 3)):
        row = {"pao2": percent * edge / 100, "fio2": percent * 0.01, "mechanical_ventilation": 1.0}
        assert pl.DataFrame(row).select(POINTS["respiration"].alias("x"))["x"].unique().to_list() == [points]


# --- windows ----------------------------------------------------------------------------------------------------------


def chart(*rows: tuple[float, str, float]) -> pl.DataFrame:
    table = pl.DataFrame(rows, schema={"hours": pl.Float64, "variable": pl.String, "value": pl.Float64}, orient="row")
    return table.select(pl.lit("a").alias("stay_id"), pl.all()).sort("hours")


def hourly(component: str, length: float, *rows: tuple[float, str, float], **windows: float) -> dict[int, int]:
    """Return hour -> points where the component could be assessed."""
    found = sofa(pl.DataFrame({"stay_id": ["a"], "length_hours": [length]}), chart(*rows), **windows)
    return dict(found.drop_nulls(component).select(pl.col("hours").cast(pl.Int64), component).rows())


def test_the_worst_of_the_window_counts_then_nothing() -> None:
    seen = ((1.5, "platelets", 90.0), (3.0, "platelets", 160.0))
    assert hourly("coagulation", 60, *seen) == dict.fromkeys(range(2, 26), 2) | {26: 0}
    assert hourly("coagulation", 60, *seen, window_hours=2) == {2: 2, 3: 2, 4: 0}
    assert hourly("coagulation", 60, *seen, window_hours=2, carry_hours=3) == {2: 2, 3: 2, 4: 0, 5: 0, 6: 0, 7: 0}


def test_the_arterial_pressure_goes_before_the_cuff() -> None:
    seen = ((0.5, "map_noninvasive", 60.0), (1.2, "map_noninvasive", 60.0), (1.7, "map", 75.0))
    assert hourly("cardiovascular", 2, *seen, window_hours=1) == {1: 1, 2: 0}


@pytest.mark.parametrize(("hours", "expected"), [(12.0, {14: 1}), (11.9, {}), (0.0, {})])
def test_an_oxygen_fraction_holds_so_long(hours: float, expected: dict[int, int]) -> None:
    seen = ((2.0, "fio2", 0.5), (14.0, "pao2", 175.0), (14.5, "fio2", 0.21))
    assert hourly("respiration", 14.9, *seen, fio2_hours=hours) == expected


def test_ventilation_counts_as_it_was_when_the_oxygen_was_measured() -> None:
    states = ((1.0, "mechanical_ventilation", 1.0), (5.0, "mechanical_ventilation", 0.0), (1.0, "fio2", 1.0))
    seen = ((0.5, "fio2", 1.0), *((hours, "pao2", 90.0) for hours in (0.5, 1.0, 4.9, 5.0)))
    assert hourly("respiration", 6, *states, *seen, window_hours=1) == {1: 4, 5: 4}
    assert hourly("respiration", 6, *states, *seen[-1:], window_hours=1) == {5: 2}
    assert hourly("respiration", 6, *states, seen[0], seen[1], window_hours=1) == {1: 2}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([(1.0, 0.05), (1.99, 0.0)], {}),  # 59.4 min
        ([(1.0, 0.05), (2.0, 0.0)], {2: 3}),  # an hour to the minute
        ([(1.25, 0.05), (2.25, 0.0)], {3: 3}),
        ([(1.5, 0.05), (3.75, 0.0)], {3: 3, 4: 3}),
        ([(1.5, 0.05)], {3: 3, 4: 3, 5: 3}),  # runs on
        ([(1.0, 0.08), (1.7, 0.12), (2.4, 0.0)], {2: 3, 3: 3}),  # 0.12 for less than an hour
        ([(1.0, 0.08), (1.7, 0.12), (2.7, 0.05), (4.0, 0.0)], {2: 3, 3: 4, 4: 3}),
        ([(1.0, 0.05), (1.5, 0.0), (2.0, 0.05), (2.9, 0.0)], {}),  # a break begins it anew
    ],
)
def test_agents_count_after_an_hour(rates: list[tuple[float, float]], expected: dict[int, int]) -> None:
    seen = [(hours, "norepinephrine", rate) for hours, rate in rates]
    assert hourly("cardiovascular", 5, *seen, window_hours=1) == expected


def test_one_agent_may_take_over_from_another() -> None:
    switch = (
        (1.0, "norepinephrine", 0.05),
        (1.6, "epinephrine", 0.05),
        (1.6, "norepinephrine", 0.0),
        (2.3, "epinephrine", 0.0),
    )
    assert hourly("cardiovascular", 5, *switch, window_hours=1) == {2: 3, 3: 3}
    other = ((1.0, "vasopressin", 2.4), (1.0, "phenylephrine", 1.0), (1.0, "vasopressor", 1.0))
    assert hourly("cardiovascular", 5, *other) == {}


def urine(volume: float, *hours: float) -> list[tuple[float, str, float]]:
    return [(float(hour), "urine_output", volume) for hour in hours]


def test_urine_is_that_of_the_last_day_without_holes() -> None:
    hours = range(1, 31)
    assert hourly("renal", 30, *urine(20.0, *hours)) == dict.fromkeys(range(24, 31), 3)
    assert hourly("renal", 30, *urine(0.0, *hours)) == dict.fromkeys(range(24, 31), 4)
    assert hourly("renal", 23.9, *urine(0.0, *range(1, 24))) == {}
    every = [*range(8, 33, 8)]
    assert hourly("renal", 32, *urine(10.0, *every)) == dict.fromkeys(range(24, 33), 4)
    assert hourly("renal", 32, *urine(10.0, *every), urine_gap_hours=7) == {}
    assert hourly("renal", 32, *urine(10.0, 8, 16, 24)) == dict.fromkeys(range(24, 32), 4)
    assert hourly("renal", 60, *urine(10.0, 8, 16, 24), urine_gap_hours=24) == dict.fromkeys(range(24, 48), 4)


def test_a_day_of_urine_is_summed_exactly() -> None:
    flood = [(float(h), "urine_output", 4999.9 if h < 30 else 20.833) for h in range(1, 30 + 24)]
    ending = urine(500 - 23 * 20.833, 54)
    assert hourly("renal", 54, *flood, *ending)[54] == 0
    assert hourly("renal", 54, *flood, *urine(500 - 23 * 20.833 - 0.01, 54))[54] == 3


# --- a slow second implementation -------------------------------------------------------------------------------------

TICKS = 4  # an hour


def by_hand(seen: pl.DataFrame, hour: int) -> dict[str, int | None]:
    """Return the SOFA of one stay at one hour, from its text: loops over quarters of an hour."""
    rows = [row for row in seen.select("hours", "variable", "value").rows() if row[0] <= hour]

    def window(name: str) -> list[tuple[float, float]]:
        return [(t, v) for t, n, v in rows if n == name and (t > hour - 24 or (t == 0 and hour == 24))]

    def state(name: str, at: float, within: float = 1e9) -> float | None:
        past = [(t, v) for t, n, v in rows if n == name and at - within <= t <= at]
        return max(past)[1] if past else None

    def band(value: float, edges: list[float]) -> int:
        return sum(value < edge for edge in edges)

    def worst(points: list[int]) -> int | None:
        return max(points, default=None)

    def agents(at: float) -> int:
        dose = {name: state(name, at) or 0.0 for name in ("dopamine", "norepinephrine")}
        dopamine = 0 if dose["dopamine"] <= 0 else 2 + (dose["dopamine"] > 5) + (dose["dopamine"] > 15)
        return max(dopamine, 0 if dose["norepinephrine"] <= 0 else 3 + (dose["norepinephrine"] > 0.1))

    def sustained(at: float) -> int:
        return min(agents(at - k / TICKS) for k in range(1, TICKS + 1)) if at >= 1 else 0

    lungs = []
    for t, pressure in window("pao2"):
        if (fraction := state("fio2", t, 12.0)) is not None:
            edges = [400.0, 300.0] + [200.0, 100.0] * (state("mechanical_ventilation", t) == 1)
            lungs.append(band(pressure / fraction, edges))
    begin = max(hour - 24, 0)
    arterial = {max(int(np.ceil(t)), 1) for t, _ in window("map")}
    pressures = window("map") + [
        (t, v) for t, v in window("map_noninvasive") if max(int(np.ceil(t)), 1) not in arterial
    ]
    heart = [band(v, [70.0]) for _, v in pressures]
    heart += [p for k in range((hour - begin) * TICKS) if (p := sustained(hour - k / TICKS))]
    kidney = [sum(v >= edge for edge in (1.2, 2.0, 3.5, 5.0)) for _, v in window("creatinine")]
    voids = window("urine_output")
    covered = all(any(h < t <= h + 8 or t == h == 0 for t, _ in voids) for h in range(hour - 24, hour - 7))
    if hour >= 24 and covered:
        total = sum(v for _, v in voids)
        kidney.append(4 if total < 200 else 3 if total < 500 else 0)
    return {
        "respiration": worst(lungs),
        "coagulation": worst([band(v, [150, 100, 50, 20]) for _, v in window("platelets")]),
        "liver": worst([sum(v >= edge for edge in (1.2, 2, 6, 12)) for _, v in window("bilirubin_total")]),
        "cardiovascular": worst(heart),
        "cns": worst([band(v, [15, 13, 10, 6]) for _, v in window("gcs")]),
        "renal": worst(kidney),
    }


def test_a_slow_second_implementation_agrees() -> None:
    draw = np.random.default_rng(11)
    spans = {
        "pao2": (8, 40, 300), "fio2": (8, 0.21, 1), "mechanical_ventilation": (6, 0, 1.99), "platelets": (3, 10, 200),
        "bilirubin_total": (3, 0.5, 15), "map": (8, 60, 90), "map_noninvasive": (30, 60, 90), "gcs": (10, 3, 15.99),
        "norepinephrine": (12, -0.05, 0.2), "dopamine": (12, -8, 18), "creatinine": (3, 0.5, 6),
        "urine_output": (20, 0, 40),
    }  # fmt: skip
    parts = []
    for stay in range(8):
        for name, (count, low, high) in spans.items():
            hours = draw.choice(40 * TICKS, count, replace=False) / TICKS
            value = np.clip(draw.uniform(low, high, count), 0, None)
            value = np.floor(value) if name in ("gcs", "mechanical_ventilation") else value
            parts.append(pl.DataFrame({"stay_id": f"s{stay}", "hours": hours, "variable": name, "value": value}))
    seen = pl.concat(parts).sort("stay_id", "hours", "variable")
    stays = pl.DataFrame({"stay_id": [f"s{k}" for k in range(8)], "length_hours": 40.0})
    found = sofa(stays, seen)
    hours = [1, 2, 5, 23, 24, 25, 31, 36, 40]
    expected = [
        {"stay_id": stay, "hours": float(hour)} | by_hand(seen.filter(pl.col("stay_id") == stay), hour)
        for stay in stays["stay_id"]
        for hour in hours
    ]
    same = pl.DataFrame(expected, schema=found.select("stay_id", "hours", *POINTS).schema)
    assert_frame_equal(found.filter(pl.col("hours").is_in([float(hour) for hour in hours])).select(same.columns), same)
    assert all(same[name].n_unique() > 3 for name in POINTS)
