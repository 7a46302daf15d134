"""What every source hands on."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.sources.base import Extract, stays_table
from clinical_lstm.variables import static_names


def test_static_variables_that_a_source_lacks_are_null() -> None:
    row = {"site": "A", "stay_id": "a", "patient_id": "p", "start_hours": 0.0, "length_hours": 2.0, "age_years": 61.0}
    stays = stays_table(pl.DataFrame([row | {"ward": "north"}]))
    assert stays.columns == schemas.Stays.column_names()
    assert {name: stays[name][0] for name in static_names() if stays[name][0] is not None} == {"age_years": 61.0}
    schemas.check(schemas.Stays, stays, "stays")


def test_extract_is_labelled_unless_it_says_otherwise() -> None:
    tables = [schemas.empty(s) for s in (schemas.Stays, schemas.Observations, schemas.Episodes, schemas.Rejects)]
    assert Extract(*tables).labelled
