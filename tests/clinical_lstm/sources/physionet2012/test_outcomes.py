"""Outcomes files: what is refused, and the sets that paths name."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.physionet2012.outcomes import joined, letter, outcomes

HEADER = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def table(rows: str, name: str = "Outcomes-a.txt") -> pl.DataFrame:
    return outcomes(name, (HEADER + rows).encode())


@pytest.mark.parametrize("row", ["7,1,1,5,-1,2", "7,1,1,5,-1,", "seven,1,1,5,-1,0", "7,1,1,5,soon,1"])
def test_faulty_label_is_named(row: str) -> None:
    with pytest.raises(InputError, match=r"Outcomes-a\.txt.* 1 row\(s\); first: line 3"):
        table(f"6,1,1,5,-1,0\n{row}\n")


def test_missing_column_is_named() -> None:
    with pytest.raises(InputError, match=r"lacks the column.* In-hospital_death; it has RecordID, Survival"):
        outcomes("Outcomes-a.txt", b"RecordID,Survival\n1,2\n")


def test_empty_file_is_named() -> None:
    with pytest.raises(InputError, match=r"Outcomes-a\.txt is no comma-separated table"):
        outcomes("Outcomes-a.txt", b"")


def test_two_outcomes_of_one_record_are_refused() -> None:
    tables = [table("7,1,1,5,-1,0\n"), table("7,1,1,5,3,1\n", "Outcomes-b.txt")]
    with pytest.raises(InputError, match=r"first: 7 in Outcomes-a\.txt and Outcomes-b\.txt"):
        joined(tables, ["7"])


def test_record_without_outcome_is_refused() -> None:
    with pytest.raises(InputError, match=r"2 record\(s\) have no outcome; first: 8"):
        joined([table("7,1,1,5,-1,0\n")], ["7", "8", "9"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x/set-a.tar.xz/set-b/1.txt", "b"), ("setC/1.txt", "c"), ("set-abc/1.txt", None), ("Outcomes-a.txt", "a")],
)
def test_letter_of_the_set(name: str, expected: str | None) -> None:
    assert letter(name) == expected
