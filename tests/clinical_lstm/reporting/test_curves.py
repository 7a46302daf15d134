"""The curves as drawn: the points of the evaluation in their order, chance, and where the model is operated."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import curves
from clinical_lstm.reporting.contents import read
from clinical_lstm.reporting.performance import drawable

SIX = ("sepsis", 6.0)


@pytest.fixture(scope="module")
def drawn(judged_run: Run) -> curves.Curves:
    found = drawable(read(judged_run), SIX)
    assert found is not None
    return found


def layers(found: curves.Curves, kind: str) -> list[dict[str, Any]]:
    spec = curves.chart(kind, found)
    assert spec is not None
    return spec["layer"]


def values(layer: dict[str, Any]) -> list[dict[str, Any]]:
    return layer["data"]["values"]


def lines(found: curves.Curves, kind: str) -> dict[str, dict[str, Any]]:
    rows = [row for layer in layers(found, kind) if "transform" in layer for row in values(layer)]
    return {row["p"]: row for row in rows}


@pytest.mark.parametrize("kind", list(curves.AXES))
def test_every_kind_is_a_valid_chart(drawn: curves.Curves, kind: str) -> None:
    spec = curves.chart(kind, drawn)
    assert spec is not None
    alt.LayerChart.from_dict(spec)  # refuses what is not Vega-Lite
    assert curves.chart(kind, curves.Curves(drawn.table.clear(), drawn.predictors, {}, None)) is None


@pytest.mark.parametrize("kind", ["roc", "pr", "decision", "event_pr"])
def test_a_line_has_the_points_of_the_evaluation_in_their_order(drawn: curves.Curves, kind: str) -> None:
    found = lines(drawn, kind)
    assert list(found) == ["Model", "Gradient boosting", "NEWS2", "SOFA"]
    own = drawn.table.filter(pl.col("predictor") == "model", pl.col("curve").cast(pl.String) == kind)
    points = own.select(pl.col("x", "y").round_sig_figs(4)).rows()
    model = list(zip(found["Model"]["x"], found["Model"]["y"]))
    assert len(model) == min(len(points), curves.POINTS[True])
    assert (model[0], model[-1]) == (points[0], points[-1])
    places = [points.index(point) for point in model]
    assert places == sorted(places)
    assert all(len(row["x"]) <= curves.POINTS[False] for name, row in found.items() if name != "Model")


def test_the_operating_point_is_that_of_the_scores(drawn: curves.Curves) -> None:
    score = drawn.model
    for kind, x, y in [
        ("roc", 1 - score["specificity"], score["sensitivity"]),
        ("pr", score["sensitivity"], score["ppv"]),
        ("event_pr", score["event_recall"], score["alarm_precision"]),
    ]:
        (dot,) = values(layers(drawn, kind)[-1])
        assert (dot["x"], dot["y"]) == (pytest.approx(x, rel=1e-3), pytest.approx(y, rel=1e-3))
    unknown = curves.Curves(drawn.table, drawn.predictors, score | {"event_recall": None}, 0.2)
    assert unknown.operating("event_pr") is None
    assert unknown.operating("decision") is None


def test_chance_is_the_prevalence_on_precision_recall(drawn: curves.Curves) -> None:
    assert {point["y"] for point in values(layers(drawn, "pr")[0])} == {float(f"{drawn.model['prevalence']:.4g}")}
    without = curves.Curves(drawn.table, drawn.predictors, {}, None)
    assert "transform" in layers(without, "pr")[0]


def test_treating_all_follows_from_the_prevalence(drawn: curves.Curves) -> None:
    """At threshold 0 it is the prevalence, at the prevalence 0."""
    never, always, threshold, _ = layers(drawn, "decision")
    assert {point["y"] for point in values(never)} == {0.0}
    share = drawn.model["prevalence"]
    assert values(always)[0] == {"x": 0.0, "y": float(f"{share:.4g}")}
    assert all(
        point["y"] == pytest.approx(share - (1 - share) * point["x"] / (1 - point["x"]), abs=2e-3)
        for point in values(always)
        if point["x"] < 0.5
    )
    assert values(threshold) == [{"x": 0.2}]
    far = curves.Curves(drawn.table, drawn.predictors, drawn.model, 0.999)
    assert len(layers(far, "decision")) == 3


def test_calibration_has_bins_of_the_model_and_lines_of_all(drawn: curves.Curves) -> None:
    bins = values(layers(drawn, "calibration")[-1])
    own = drawn.table.filter(pl.col("predictor") == "model", pl.col("curve").cast(pl.String) == "calibration")
    assert [row["n"] for row in bins] == own["n"].to_list()
    assert {row["p"] for row in bins} == {"Model"}
    assert "Model" in lines(drawn, "calibration")
    bare = curves.Curves(
        drawn.table.filter(pl.col("curve").cast(pl.String) != "smooth"), drawn.predictors, drawn.model, None
    )
    assert len(layers(bare, "calibration")) == 2


def test_the_onset_is_on_the_right(drawn: curves.Curves) -> None:
    spec = curves.chart("by_onset", drawn)
    assert spec is not None
    order = spec["layer"][0]["encoding"]["x"]["sort"]
    assert order == sorted(order, reverse=True)
    assert order[-1] == 1.0
    nearest = next(row for row in values(spec) if row["p"] == "Model" and row["h"] == 1.0)
    assert nearest["b"] == "0–1 h"


def test_the_axis_of_precision_ends_above_all_but_the_first_positives(drawn: curves.Curves) -> None:
    rows = [("model", 0.01, 0.9), ("model", 0.5, 0.12), ("model", 1.0, 0.02)]
    table = pl.DataFrame(rows, schema=["predictor", "x", "y"], orient="row")
    table = table.with_columns(n=pl.lit(1), curve=pl.lit("pr"))
    low = curves.Curves(table, ["model"], {}, None)
    assert layers(low, "pr")[-1]["encoding"]["y"]["scale"]["domain"] == [0.0, 0.2]
    assert layers(drawn, "roc")[1]["encoding"]["y"]["scale"]["domain"] == [0.0, 1.0]
