"""What the survey of the observations refuses before a row is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table import Table

HEADER = "stay_id,hours,variable,value,unit\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,1,creatinine,1,mg\n1,2,creatinine,1,mg\n", r"1 unknown unit\(s\): 'mg' of creatinine \(2 rows"),
        ("1,1,map,high,\n1,2,map,70,\n", r"text where a number belongs in 1 of 2 row\(s\), e\.g\. 'high'"),
        ("1,noon,map,70,\n1,2,map,70,\n", r"text where a time belongs in 1 of 2 row\(s\), e\.g\. 'noon'"),
        ("7,1,map,70,\n8,1,map,70,\n", r"none of its 2 row\(s\) has a stay of the stays file; first: '7'"),
    ],
)
def test_faulty_observations_are_named(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "stays.csv").write_text("stay_id,length_hours\n1,10\n")
    (tmp_path / "observations.csv").write_text(HEADER + rows)
    with pytest.raises(InputError, match=message):
        next(Table(str(tmp_path), "observations.csv", "stays.csv").extracts())


@pytest.mark.parametrize("lost", ["stay_id", "hours", "variable", "value"])
def test_missing_column_is_named(tmp_path: Path, lost: str) -> None:
    (tmp_path / "stays.csv").write_text("stay_id,length_hours,admission\n1,10,2024-01-01\n")
    (tmp_path / "observations.csv").write_text(HEADER.replace(lost, "other") + "1,1,map,70,\n")
    name = "time" if lost == "hours" else lost
    with pytest.raises(InputError, match=rf"observations\.csv lacks the column '{name}'.*it has: .*other"):
        next(Table(str(tmp_path), "observations.csv", "stays.csv").extracts())


def test_a_wide_file_must_not_look_long_and_a_long_one_not_wide(tmp_path: Path) -> None:
    (tmp_path / "stays.csv").write_text("stay_id,length_hours\n1,10\n")
    (tmp_path / "observations.csv").write_text(HEADER + "1,1,map,70,\n")
    with pytest.raises(InputError, match=r"observations\.csv is wide by the mapping, but has the column 'variable'"):
        next(Table(str(tmp_path), "observations.csv", "stays.csv", mapping={"wide": True}).extracts())
    (tmp_path / "observations.csv").write_text("stay_id,hours,map\n1,1,70\n")
    with pytest.raises(InputError, match=r"lacks the column 'value'.*or `wide: true`"):
        next(Table(str(tmp_path), "observations.csv", "stays.csv").extracts())
