"""Stays that cannot be trusted are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import naming
from clinical_lstm.sources.table.reading import HospitalTable
from clinical_lstm.sources.table.stays import read_stays


def stays(folder: Path, content: str) -> HospitalTable:
    (folder / "stays.csv").write_text(content)
    return HospitalTable(folder, "stays.csv", naming({"variables": {"Alter": "age_years"}}, folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stay_id,length_hours\n1,5\n1,6\n2,5\n", "a stay_id that stands twice in 2 row.*'1'"),
        ("stay_id,length_hours\n,5\n2,5\n", "no stay_id in 1 row"),
        ("stay_id,length_hours\n1,0\n", "an end that is not after the start in 1 row.*'1'"),
        ("stay_id,start_hours,length_hours\n1,5,4\n", "an end that is not after the start"),
        ("stay_id,length_hours\n1,inf\n", "an end that is not after the start"),
        ("stay_id,length_hours\n1,NaN\n", "an end that is not after the start"),
        ("stay_id,start_hours\n1,-1\n", "a start_hours below 0"),
        ("stay_id,length_hours\n1,long\n", "a length_hours that is none"),
        ("stay_id,length_hours\n", "holds no stay"),
        ("encounter,length_hours\n1,5\n", r"lacks the column 'stay_id'.*it has: encounter, length_hours"),
        ("stay_id,age_years,Alter\n1,5,5\n", "age_years, Alter all mean age_years"),
        ("stay_id,Alter\n1,old\n2,50\n", r"text where a number belongs in Alter in 1 of 2 row\(s\), e\.g\. 'old'"),
    ],
)
def test_faulty_stays_are_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_stays(stays(tmp_path, content), timed=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stay_id\n1\n", "lacks the column 'admission'"),
        ("stay_id,admission\n1,2024-01-01\n2,\n", "no admission, while observations have times in 1 row.*'2'"),
        ("stay_id,admission\n1,yesterday\n", "an? admission that is none in 1 row"),
        ("stay_id,admission,discharge\n1,2024-01-02,later\n", "a discharge that is none"),
        ("stay_id,admission,discharge\n1,2024-01-02,2024-01-01\n", "an end that is not after the start"),
    ],
)
def test_faulty_clock_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_stays(stays(tmp_path, content), timed=True)


def test_few_static_texts_are_refused_one_by_one(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 90}\n" for i in range(200))
    table, rejects = read_stays(stays(tmp_path, "stay_id,Alter\n" + rows + "x,unknown\n"), timed=False)
    assert rejects.rows() == [("x", None, "age_years", None, "not_a_number")]
    assert table.filter(stay_id="x")["age_years"].item() is None
    assert table["age_years"].null_count() == 1
