"""A mapping that names what does not exist is refused with what does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import codebook, naming


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variable": {}}, "unknown key 'variable': did you mean 'variables'"),
        ({"columns": {"stayid": "encounter"}}, "unknown key 'stayid': did you mean 'stay_id'"),
        (
            {"variables": {"HR": "heart_rat"}},
            "HR is mapped to the unknown variable 'heart_rat': did you mean 'heart_rate'",
        ),
        ({"variables": {"HR": {"unit": "/min"}}}, "HR needs a vocabulary name"),
        ({"variables": {"HR": {"name": "heart_rate", "units": "/min"}}}, "HR needs a vocabulary name"),
        ({"variables": {"Cr": {"name": "creatinine", "unit": "umol"}}}, "unit 'umol' of creatinine is unknown"),
        ({"variables": {"Sex": {"name": "male", "values": {"M": "man"}}}}, "values of Sex must give a number"),
        ("nowhere.yaml", "there is no mapping file nowhere.yaml"),
        ("list.yaml", "must hold the keys columns, variables.*it holds list"),
        ("broken.yaml", "is not YAML"),
    ],
)
def test_faulty_mapping_is_named(tmp_path: Path, given: Any, message: str) -> None:
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("columns: {stay_id: [")
    with pytest.raises(InputError, match=message):
        naming(given, tmp_path)


def test_file_and_keys_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("variables: {Na: sodium}\nunits: {mmol/l: mmol/L}\n")
    assert naming("m.yaml", tmp_path) == naming(
        {"variables": {"Na": "sodium"}, "units": {"mmol/l": "mmol/L"}}, tmp_path
    )
    assert naming(str(tmp_path / "m.yaml"), Path("elsewhere")) == naming("m.yaml", tmp_path)


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
