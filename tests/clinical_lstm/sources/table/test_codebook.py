"""What labels and units mean."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.codebook import codebook, converted
from clinical_lstm.sources.table.mapping import naming


def test_every_unknown_unit_is_listed_with_its_rows() -> None:
    labels = pl.DataFrame(
        {"label": ["lactate", "sodium", "pulse"], "unit": ["mg", "mval/l", "bpm"], "rows": [3, 40, 5]}
    )
    with pytest.raises(
        InputError, match=r"2 unknown unit\(s\): 'mg' of lactate \(3 rows; known: mmol/L, mg/dL\); 'mval/l'"
    ):
        codebook(labels, naming(None, Path()), "observations.csv")


def test_unit_of_the_row_wins_over_the_mapping_and_the_canonical_one_is_last() -> None:
    names = naming({"variables": {"Crea": {"name": "creatinine", "unit": "umol/L"}}}, Path())
    labels = pl.DataFrame(
        {"label": ["Crea", "Crea", "lactate", None], "unit": [None, "mg/dL", None, None], "rows": [1] * 4}
    )
    assert codebook(labels, names, "observations.csv")["factor"].to_list() == [0.0113122, 1.0, 1.0, None]


def test_what_is_converted_is_told_under_the_unit_as_written() -> None:
    given = {"variables": {"Crea": {"name": "creatinine", "unit": "umol/L"}}, "units": {"umol": "umol/L"}}
    labels = pl.DataFrame(
        {"label": ["Crea", "Crea", "Crea", "pulse"], "unit": [None, "umol", "mg/dL", None], "rows": [4, 3, 2, 1]}
    )
    book = codebook(labels, naming(given, Path()), "observations.csv").with_columns(labels["rows"])
    assert converted(book, naming(given, Path())).select("label", "unit", "rows").rows() == [
        ("Crea", "umol/L", 4),
        ("Crea", "umol", 3),
    ]
