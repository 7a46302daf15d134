"""The charts of the cohort: points of all predictors, chance, importance order, and PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import figures, write_figures

SIX = ("sepsis", 6.0)


def rows(spec: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    return spec["layer"][layer]["data"]["values"]


def test_curves_keep_their_ends_and_all_predictors(run: Run) -> None:
    spec = figures.curve(run.table("curves.parquet"), SIX, "roc")
    assert spec is not None
    points = rows(spec, 1)
    names = list(dict.fromkeys(point["p"] for point in points))
    assert names == ["Model", "Elapsed time", "Gradient boosting", "Logistic regression"]
    model = [point for point in points if point["p"] == "Model"]
    assert len(model) == figures.MAX_POINTS
    assert (model[0]["x"], model[-1]["x"], model[-1]["y"]) == (0.0, 1.0, 1.0)
    assert figures.curve(run.table("curves.parquet"), ("death", 6.0), "roc") is None


def test_chance_is_the_prevalence_on_precision_recall(run: Run) -> None:
    curves = run.table("curves.parquet")
    with_chance = figures.curve(curves, SIX, "pr", 0.0185)
    without = figures.curve(curves, SIX, "pr")
    assert with_chance is not None
    assert without is not None
    assert {point["y"] for point in rows(with_chance, 0)} == {0.0185}
    assert len(without["layer"]) == len(with_chance["layer"]) - 1


def test_importance_is_ordered_by_the_sum_of_the_channels(run: Run) -> None:
    table = run.table("importance.parquet")
    spec = figures.importance(table, SIX)
    assert spec is not None
    assert spec["encoding"]["y"]["sort"][:2] == ["Heart rate", "Mean arterial pressure"]
    shuffled = figures.importance(table.sample(fraction=1.0, shuffle=True, seed=3), SIX)
    assert shuffled == spec


def test_importance_stops_at_the_top(run: Run) -> None:
    many = pl.concat(
        run.table("importance.parquet").with_columns(pl.col("variable") + str(index)) for index in range(3)
    )
    spec = figures.importance(many, SIX)
    assert spec is not None
    assert len(spec["encoding"]["y"]["sort"]) == figures.TOP_VARIABLES


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


def test_png_files(run: Run, tmp_path: Path) -> None:
    paths = write_figures(run, tmp_path)
    kinds = ["calibration", "pr", "roc"]
    expected = [f"{kind}_sepsis_{hours}h.png" for kind in kinds for hours in (12, 6)] + ["importance_sepsis_6h.png"]
    assert [path.name for path in paths] == sorted(expected)
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        assert 800 < width < 1600
        assert 500 < height < 1200


def test_a_run_without_explanations_has_no_importance(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    names = [path.name for path in write_figures(run, tmp_path / "figures")]
    assert len(names) == 6
    assert not [name for name in names if name.startswith("importance")]
