"""Half-lives: the median over predictions of each unit, all of them in the bins."""

from __future__ import annotations

import polars as pl

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import memory

SIX = ("sepsis", 6.0)


def test_units_are_medians_over_the_predictions(judged_run: Run) -> None:
    table = judged_run.table("half_lives.parquet")
    layers = memory.units(table, SIX)
    assert {name: len(hours) for name, hours in layers.items()} == {"Layer 1": 16, "Layer 2": 16}
    odd = pl.when(pl.col("stay_id") == "s001").then(1e6).otherwise("half_life_hours").alias("half_life_hours")
    assert memory.units(table.with_columns(odd), SIX) == layers
    assert memory.units(table, ("sepsis", 12.0)) == {}


def test_every_unit_is_in_one_bin() -> None:
    spec = memory.chart({"Layer 1": [0.0, 0.5, 0.99, 64.0, 1e5]})
    assert spec is not None
    counts = {row["b"]: row["n"] for row in spec["data"]["values"]}
    assert {name: n for name, n in counts.items() if n} == {"under 0.5": 1, "0.5–1": 2, "over 64": 2}
    assert memory.chart({}) is None
    assert memory.told({}) == []
