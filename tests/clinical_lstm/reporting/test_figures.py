"""The charts of the run: what counts in its order, the map before the onset, the losses, and what all charts share."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import figures

SIX = ("sepsis", 6.0)


def rows(spec: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    return spec["layer"][layer]["data"]["values"]


def test_importance_is_ordered_by_the_whole_bars_and_has_their_intervals(judged_run: Run) -> None:
    table = judged_run.table("drivers.parquet")
    spec = figures.importance(table, SIX)
    assert spec is not None
    order = spec["layer"][0]["encoding"]["y"]["sort"]
    whole = table.filter(dimension="all", kind="variable", channel="all").sort("mean_abs", descending=True)
    assert order == [figures.named("variable", name) for name in whole["group"]]
    assert order[0] == "Lactate"
    for name, size in zip(order, whole["mean_abs"]):
        assert sum(row["a"] for row in rows(spec, 0) if row["v"] == name) == pytest.approx(size, rel=1e-3)
    assert [row["l"] for row in rows(spec, 1)] == pytest.approx(whole["low"].to_list(), rel=1e-3)
    assert figures.importance(table.sample(fraction=1.0, shuffle=True, seed=3), SIX) == spec
    assert figures.importance(table, ("sepsis", 12.0)) is None


def test_importance_stops_at_the_top(judged_run: Run) -> None:
    table = judged_run.table("drivers.parquet")
    many = pl.concat(table.with_columns(pl.col("group") + str(index)) for index in range(4))
    spec = figures.importance(many, SIX)
    assert spec is not None
    assert len(spec["layer"][0]["encoding"]["y"]["sort"]) == figures.TOP_VARIABLES


def test_importance_by_system_names_systems(judged_run: Run) -> None:
    spec = figures.importance(judged_run.table("drivers.parquet"), SIX, "system")
    assert spec is not None
    assert {"Cardiovascular", "Renal"} <= set(spec["layer"][0]["encoding"]["y"]["sort"])


def test_the_onset_is_on_the_right_of_the_map(judged_run: Run) -> None:
    table = judged_run.table("drivers.parquet")
    spec = figures.before_onset(table, SIX)
    assert spec is not None
    across = spec["encoding"]["x"]["sort"]
    assert across == ["12–24", "6–12", "4–6", "2–4", "0–1"]  # the onsets are 0.5 h, 3 h, 5.5 h ... ahead
    own = table.filter(dimension="to_onset", level="0-1 h", kind="variable", channel="all", group="lactate")
    cell = [row for row in spec["data"]["values"] if (row["v"], row["b"]) == ("Lactate", "0–1")]
    assert [row["a"] for row in cell] == pytest.approx(own["mean_abs"].to_list(), rel=1e-3)


def test_a_map_needs_two_distances_with_enough_patients(judged_run: Run) -> None:
    one = pl.col("dimension").cast(pl.String).ne("to_onset") | pl.col("level").eq("0-1 h")
    assert figures.before_onset(judged_run.table("drivers.parquet").filter(one), SIX) is None


def test_training_marks_the_chosen_epoch() -> None:
    history: list[dict[str, float | None]] = [
        {"epoch": 0, "train_loss": 0.7, "val_loss": 0.8},
        {"epoch": 1, "train_loss": 0.5, "val_loss": None},
    ]
    spec = figures.training(history, 1)
    assert spec is not None
    assert rows(spec, 0) == [{"e": 1}]
    assert len(rows(spec, 1)) == 3
    assert figures.training([], 1) is None


def test_thinning_keeps_the_ends() -> None:
    assert figures.thinned(list(range(100)), 7) == [0, 16, 33, 50, 66, 82, 99]
    assert figures.thinned([1, 2], 7) == [1, 2]
