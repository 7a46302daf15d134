"""The option of qSOFA reaches the score."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.baselines.qsofa import Qsofa


@pytest.mark.parametrize(("options", "expected"), [({}, 2), ({"carry_hours": 4}, 1)])
def test_how_long_a_sign_counts(options: dict, expected: int) -> None:
    stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [20.0]})
    seen = {"hours": [0.5, 5.5], "variable": ["respiratory_rate", "sbp"], "value": [30.0, 90.0]}
    steps = pl.DataFrame({"stay_id": ["a"], "hours": [6.0]})
    observations = pl.DataFrame({"stay_id": ["a", "a"]} | seen)
    assert Qsofa(**options).known_at(steps, stays, observations)["points"].to_list() == [expected]
