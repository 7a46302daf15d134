"""Death is what the data set states: one instant per stay."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.complications.death import death


def test_stated_deaths_are_returned_and_no_value_makes_one() -> None:
    columns = schemas.empty(schemas.Episodes).schema
    rows = [("a", "death", 50.0, 50.0), ("b", "sepsis_label", 3.0, 9.0)]
    given = pl.DataFrame(rows, schema=columns, orient="row")
    dying = pl.DataFrame({"stay_id": ["b"], "hours": [1.0], "variable": ["heart_rate"], "value": [10.0]})
    assert death(schemas.empty(schemas.Stays), dying, given).rows() == rows[:1]
