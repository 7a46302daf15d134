"""A mapping that names what does not exist is refused with what does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import naming


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
        ({"variables": {"K": {"name": "potassium", "unit": "mg"}}}, "mapping: K: unit 'mg' of potassium is unknown"),
        ({"variables": {False: "ph"}}, "variables has the key False; put quotes around it"),
        ({"variables": ["HR"]}, "variables must be a table of names"),
        ({"time_zone": "Berlin"}, "there is no time_zone 'Berlin'; did you mean 'Europe/Berlin'"),
        ({"wide": "yes"}, "wide is 'yes'; it must be true"),
        (
            {"files": {"a.csv": {"column": {}}}},
            "mapping: files: a.csv has an unknown key 'column': did you mean 'columns'",
        ),
        ({"files": {"a.csv": "wide"}}, "files needs, per name or pattern, some of columns"),
        ("twice.yaml", "'HR' stands twice; it can mean one thing only"),
        ("nowhere.yaml", "there is no mapping file nowhere.yaml"),
        ("list.yaml", "must hold the keys columns, variables.*it holds list"),
        ("broken.yaml", "is not YAML"),
    ],
)
def test_faulty_mapping_is_named(tmp_path: Path, given: Any, message: str) -> None:
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "twice.yaml").write_text("variables: {HR: heart_rate, BP: map, HR: respiratory_rate}")
    (tmp_path / "broken.yaml").write_text("columns: {stay_id: [")
    with pytest.raises(InputError, match=message):
        naming(given, tmp_path)


def test_file_and_keys_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("variables: {Na: sodium}\nunits: {mmol/l: mmol/L}\n")
    assert naming("m.yaml", tmp_path) == naming(
        {"variables": {"Na": "sodium"}, "units": {"mmol/l": "mmol/L"}}, tmp_path
    )
    assert naming(str(tmp_path / "m.yaml"), Path("elsewhere")) == naming("m.yaml", tmp_path)


def test_words_of_a_file_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "variables: {NO: sodium, 0123: potassium, 1.10: ph, F: {name: fio2, unit: 1}}\nwide: true\n"
    )
    names = naming("m.yaml", tmp_path)
    assert sorted(names.variables) == ["0123", "1.10", "F", "NO"]
    assert (names.wide, names.variables["F"].unit) == (True, "1")


def test_a_file_differs_in_what_it_says_only() -> None:
    files = {"lab*.csv": {"separator": ";", "variables": {"Na": "potassium"}}}
    names = naming({"variables": {"Na": "sodium", "K": "potassium"}, "time_format": "%Y", "files": files}, Path())
    own = names.of("lab1.csv")
    assert (own.separator, own.time_format, own.target("Na").name, own.target("K").name) == (
        ";", "%Y", "potassium", "potassium",
    )  # fmt: skip
    assert (names.of("vitals.csv").separator, names.target("Na").name) == (",", "sodium")
