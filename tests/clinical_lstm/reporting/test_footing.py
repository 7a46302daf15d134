"""What a risk stands on: the observed share between points of the curve, and data no fresher than the prediction."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.reporting.footing import observed, quality

TARGET = ("sepsis", 6.0)


def curve(low: float | None = 0.05) -> pl.DataFrame:
    table = pl.DataFrame(
        {
            "predictor": ["model", "model", "other"],
            "complication": "sepsis",
            "horizon_hours": 6.0,
            "subset": "all",
            "curve": "smooth",
            "x": [0.3, 0.1, 0.2],
            "y": [0.4, 0.2, 0.9],
            "n": 5,
            "low": [0.3, low, 0.9],
            "high": [0.5, 0.3, 0.9],
        }
    )
    return table.cast({"curve": schemas.Curves.curve.dtype, "n": pl.Int64})


def test_between_the_points_and_nowhere_else() -> None:
    found = observed(curve(), TARGET, 0.15)
    assert found is not None
    assert (found.share, found.low, found.high) == pytest.approx((0.25, 0.1125, 0.35))
    said = found.said.replace("\N{NO-BREAK SPACE}", " ")
    assert said == "of predictions with this risk, 25 % (11.2 to 35 %) had the onset within 6 h"
    assert observed(curve(), TARGET, 0.31) is None
    assert observed(curve(), TARGET, 0.09) is None
    assert observed(curve(), ("sepsis", 12.0), 0.2) is None


def test_without_an_interval_none_is_told() -> None:
    for table in (curve(low=None), curve().drop("low")):
        found = observed(table, TARGET, 0.1)
        assert found is not None
        assert (found.low, found.share) == (None, 0.2)
        assert "(" not in found.said


def test_the_interval_of_a_judged_run_holds_its_share(told_run: Run) -> None:
    curves = told_run.table("curves.parquet")
    found = [observed(curves, TARGET, risk) for risk in (0.05, 0.1, 0.2)]
    for one in found:
        assert one is not None and one.low is not None and one.high is not None
        assert one.low <= one.share <= one.high


def test_data_from_after_the_prediction_are_not_known() -> None:
    points = {"map": [(2.0, 70.0), (9.0, 66.0)], "lactate": [(30.0, 2.0)], "wbc": [(1.0, 9.0)]}
    found = quality(points, ["map", "lactate", "wbc", "glucose"], 29.0, 0.4)
    assert found.ages == {"vital": 20.0, "lab": 28.0}
    assert (found.recent, found.known) == (1, 4)
    rows = dict(found.rows)
    assert rows["Last laboratory value"] == "28 h before"
    assert rows["Measured in the last 24 h"] == "1 of 4 variables"
    assert rows["From missingness and staleness"].endswith("% of the contributions")
    none = quality({}, ["map"], 1.0, None)
    assert none.rows == [("Last vital sign", "none up to this time"), ("Measured in the last 24 h", "0 of 1 variables")]
    assert dict(dataclasses.replace(none, ages={"vital": 0.0}).rows)["Last vital sign"] == "at this time"
