"""The options of SOFA reach the score."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.baselines.sofa import Sofa

STAYS = pl.DataFrame({"stay_id": ["a"], "length_hours": [48.0]})


def points(variables: dict[str, float], hours: float, **options: float) -> int:
    """Return the points at `hours` of values seen once, half an hour after each other."""
    seen = [("a", 0.5 * (k + 1), name, value) for k, (name, value) in enumerate(variables.items())]
    observations = pl.DataFrame(seen, schema=["stay_id", "hours", "variable", "value"], orient="row")
    steps = pl.DataFrame({"stay_id": ["a"], "hours": [hours]})
    return Sofa(**options).known_at(steps, STAYS, observations)["points"].item()


@pytest.mark.parametrize(
    ("options", "expected"), [({}, 4), ({"window_hours": 6}, 0), ({"window_hours": 6, "carry_hours": 4}, 4)]
)
def test_the_worst_of_the_window(options: dict, expected: int) -> None:
    assert points({"platelets": 10.0}, 10.0, **options) == expected


def test_how_long_an_fio2_holds() -> None:
    lung = {"fio2": 1.0, "pao2": 90.0}
    assert points(lung, 10.0) == 2
    assert points(lung, 10.0, fio2_hours=0.25) == 0


def test_how_long_a_chart_of_urine_may_be_silent() -> None:
    seen = [("a", hour, "urine_output", 10.0) for hour in (3.5, 15.5, 27.5)]
    observations = pl.DataFrame(seen, schema=["stay_id", "hours", "variable", "value"], orient="row")
    steps = pl.DataFrame({"stay_id": ["a"], "hours": [28.0]})
    found = [
        Sofa(**given).known_at(steps, STAYS, observations)["points"].item() for given in ({}, {"urine_gap_hours": 13})
    ]
    assert found == [0, 4]
