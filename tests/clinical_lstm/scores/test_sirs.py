"""SIRS: the edges of its four criteria, alternatives, and the two windows."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.scores.sirs import sirs

FAHRENHEIT_100_4 = 100.4 * 0.5555555556 - 17.7777777778  # as variables.csv converts it: 38.000000004


def hourly(*rows: tuple[float, str, float], length: float = 3.0, **windows: int) -> pl.DataFrame:
    table = pl.DataFrame(rows, schema={"hours": pl.Float64, "variable": pl.String, "value": pl.Float64}, orient="row")
    seen = table.select(pl.lit("a").alias("stay_id"), pl.all())
    return sirs(pl.DataFrame({"stay_id": ["a"], "length_hours": [length]}), seen, **windows)


@pytest.mark.parametrize(("component", "values", "points"), [
    ("temperature", {"temperature": 38.0}, 0), ("temperature", {"temperature": 38.1}, 1),
    ("temperature", {"temperature": 36.0}, 0), ("temperature", {"temperature": 35.9}, 1),
    ("temperature", {"temperature": FAHRENHEIT_100_4}, 0), ("temperature", {}, None),
    ("pulse", {"heart_rate": 90.0}, 0), ("pulse", {"heart_rate": 91.0}, 1),
    ("respiration", {"respiratory_rate": 20.0}, 0), ("respiration", {"respiratory_rate": 21.0}, 1),
    ("respiration", {"paco2": 32.0}, 0), ("respiration", {"paco2": 31.9}, 1),
    ("respiration", {"respiratory_rate": 15.0, "paco2": 31.0}, 1),
    ("leukocytes", {"wbc": 12.0}, 0), ("leukocytes", {"wbc": 12.1}, 1), ("leukocytes", {"wbc": 4.0}, 0),
    ("leukocytes", {"wbc": 3.9}, 1), ("leukocytes", {"bands": 10.0}, 0), ("leukocytes", {"bands": 10.1}, 1),
    ("leukocytes", {"wbc": 8.0, "bands": 11.0}, 1), ("leukocytes", {"heart_rate": 80.0}, None),
])  # fmt: skip
def test_only_beyond_the_edge_counts(component: str, values: dict[str, float], points: int | None) -> None:
    found = hourly(*((0.5, name, value) for name, value in values.items()))
    assert found[component].to_list() == [points] * 3
    assert found["sirs"].to_list() == [points or 0] * 3


def test_laboratory_values_hold_longer_than_vital_signs() -> None:
    seen = [(0.5, name, value) for name, value in (("heart_rate", 95.0), ("wbc", 13.0))]
    found = hourly(*seen, length=30.0)
    assert found["pulse"].to_list() == [1] * 12 + [None] * 18
    assert found["leukocytes"].to_list() == [1] * 24 + [None] * 6
    assert found["sirs"].to_list() == [2] * 12 + [1] * 12 + [0] * 6
    assert hourly(*seen, carry_hours=1, lab_hours=2)["measured"].to_list() == [2, 1, 0]
