"""The options of NEWS2 reach the chart."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.baselines.news2 import News2

STAYS = pl.DataFrame({"stay_id": ["a", "b"], "length_hours": [20.0, 20.0]})
SEEN = pl.DataFrame({"stay_id": ["a", "b"], "hours": 0.5, "variable": "spo2", "value": 90.0})


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [3, 3]), ({"scale_2_stays": ["b"]}, [3, 0]), ({"carry_hours": 4}, [0, 0])],
)
def test_options_of_the_chart(options: dict, expected: list[int]) -> None:
    steps = pl.DataFrame({"stay_id": ["a", "b"], "hours": [6.0, 6.0]})
    assert News2(**options).known_at(steps, STAYS, SEEN)["points"].to_list() == expected
