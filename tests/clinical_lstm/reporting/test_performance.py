"""Chapter 1: what is drawn, what is told, and what a run without curves, subgroups or another place leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import performance
from clinical_lstm.reporting.contents import Contents, read
from clinical_lstm.reporting.embedding import Charts

SIX = ("sepsis", 6.0)


@pytest.fixture(scope="module")
def contents(judged_run: Run) -> Contents:
    return read(judged_run)


def first(contents: Contents) -> dict[str, Any]:
    found = performance.chapter(contents, Charts())["targets"][0]
    assert isinstance(found, dict)
    return found


def test_a_target_has_sentences_tables_and_charts(contents: Contents) -> None:
    charts = Charts()
    found = performance.chapter(contents, charts)
    six = found["targets"][0]
    assert [title for title, _ in six["said"]][:3] == ["Beside the others", "Calibration", "Alarms"]
    assert len(six["charts"]) == 6
    assert six["forest"]
    assert charts.count == 2 * (6 + 1) + 2 * 3  # curves and subgroups, then repair
    assert [line["name"] for line in found["predictors"]] == six["main"].columns
    assert found["undrawn"] == 1


def test_sentences_come_from_the_summary_alone(contents: Contents) -> None:
    told = replace(contents, summary={SIX: {"alarms": ["It rings."], "limits": []}})
    assert first(told)["said"] == [("Alarms", ["It rings."])]
    assert first(replace(contents, summary={}))["said"] == []


def test_a_run_without_curves_of_the_model_draws_none(contents: Contents) -> None:
    others = contents.curves.filter(pl.col("predictor") != "model")
    assert first(replace(contents, curves=others))["charts"] == []


def test_one_class_leaves_the_curves_that_are_defined(contents: Contents) -> None:
    kinds = pl.col("curve").cast(pl.String).is_in(["calibration", "decision"])
    shows = [chart["shows"] for chart in first(replace(contents, curves=contents.curves.filter(kinds)))["charts"]]
    assert [text.split(" ")[0] for text in shows] == ["Calibration.", "Decision"]


def test_parts_that_were_not_judged_are_left_out(contents: Contents) -> None:
    whole = contents.scores.filter(pl.col("subset") == "all")
    found = first(replace(contents, scores=whole, gaps=contents.gaps.clear()))
    assert found["early"] is None
    assert found["subgroups"].rows == []
    assert found["forest"] is None
    assert (found["compared"], found["held"]) == ("", [])


@pytest.mark.parametrize("missing", ["transport", "recalibration", "shift"])
def test_what_is_known_of_another_place_is_shown(contents: Contents, missing: str) -> None:
    found = performance.chapter(replace(contents, **{missing: None}), Charts())["transport"]
    assert bool(found["told"]) is (missing != "transport")
    assert bool(found["shifts"]) is (missing != "shift")
    assert bool(found["targets"][0]["charts"]) is (missing != "recalibration")
    nothing = replace(contents, transport=None, recalibration=None, shift=None)
    assert performance.chapter(nothing, Charts())["transport"] is None
