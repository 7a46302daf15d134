"""The chart of the subgroups: those of the scores in their order, none that was not judged."""

from __future__ import annotations

import altair as alt
import polars as pl

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import forest

SIX = ("sepsis", 6.0)


def test_a_row_per_judged_subgroup_as_they_were_judged(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    spec = forest.chart(scores, SIX)
    assert spec is not None
    alt.LayerChart.from_dict(spec)
    whole, spans, dots = spec["layer"]
    rows = spans["data"]["values"]
    assert dots["encoding"]["y"]["sort"] == [row["v"] for row in rows]
    assert [row["v"] for row in rows][:6] == [
        "All predictions", "Before onset only", "Site A", "Site B", "Sex female", "Sex male",
    ]  # fmt: skip
    assert "Age <45" not in [row["v"] for row in rows]  # too few patients
    own = scores.filter(complication="sepsis", horizon_hours=6.0, predictor="model", metric="auroc", subset="site=B")
    site = next(row for row in rows if row["v"] == "Site B")
    low, value, high, stays = own.select(pl.col("low", "value", "high").round(4), "n_stays").row(0)
    assert (site["l"], site["x"], site["h"], site["n"]) == (low, value, high, stays)
    assert whole["data"]["values"] == [{"x": rows[0]["x"]}]


def test_no_chart_without_subgroups(judged_run: Run) -> None:
    scores = judged_run.table("scores.parquet")
    assert forest.chart(scores.filter(pl.col("subset").is_in(["all", "pre_onset"])), SIX) is None
    assert forest.chart(scores, ("death", 6.0)) is None


def test_a_subgroup_whose_interval_is_undefined_is_a_point(judged_run: Run) -> None:
    bare = pl.lit(None, pl.Float64)
    spec = forest.chart(judged_run.table("scores.parquet").with_columns(low=bare, high=bare), SIX)
    assert spec is not None
    assert all(row["l"] == row["x"] == row["h"] for row in spec["layer"][1]["data"]["values"])
