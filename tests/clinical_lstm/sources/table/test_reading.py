"""Files, columns, numbers and times as hospitals write them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import naming
from clinical_lstm.sources.table.reading import HospitalTable, tolerated


def table(folder: Path, content: str | bytes, mapping: dict | None = None, file: str = "t.csv") -> HospitalTable:
    (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    return HospitalTable(folder, file, naming(mapping, folder))


@pytest.mark.parametrize(
    "written", ["2024-03-01 10:30", "2024-03-01T10:30:00", "2024-03-01 10:30:00.000", " 2024-03-01 10:30:00 "]
)
def test_iso_times_are_read(tmp_path: Path, written: str) -> None:
    read = table(tmp_path, f"time\n{written}\n")
    assert read.frame.select(read.instant("time")).collect().item() == datetime(2024, 3, 1, 10, 30)


@pytest.mark.parametrize(
    "written", ["01.03.2024 10:30", "2024-03-01 25:00", "2024-13-01", "2024-03-01 10:30+01:00", "soon"]
)
def test_other_times_are_not_guessed(tmp_path: Path, written: str) -> None:
    read = table(tmp_path, f"time\n{written}\n")
    assert read.frame.select(read.instant("time")).collect().item() is None


def test_offsets_are_read_where_the_format_has_them(tmp_path: Path) -> None:
    read = table(tmp_path, "time\n2024-03-01T10:30:00+0100\n", {"time_format": "%Y-%m-%dT%H:%M:%S%z"})
    assert read.aware("time")
    assert read.frame.select(read.instant("time")).collect().item() == datetime(2024, 3, 1, 9, 30)


def test_ids_keep_their_zeros_and_words_for_missing_are_no_values(tmp_path: Path) -> None:
    read = table(tmp_path, "stay_id,value\n007,NULL\nNA, 7.5 \n")
    rows = read.frame.select(read.text("stay_id"), read.number("value")).collect().rows()
    assert rows == [("007", None), ("NA", 7.5)]


def test_missing_column_is_named_with_those_that_exist(tmp_path: Path) -> None:
    read = table(tmp_path, "encounter;hr\n1;2\n", {"columns": {"stay_id": "case"}})
    with pytest.raises(InputError, match=r"t\.csv lacks the column 'case' \(stay_id\); it has: encounter;hr"):
        read.text("stay_id")


def test_missing_file_is_named_with_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "stay.csv").write_text("stay_id\n")
    with pytest.raises(InputError, match=r"there is no .*stays\.csv; .* holds: stay\.csv"):
        HospitalTable(tmp_path, "stays.csv", naming(None, tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        HospitalTable(tmp_path / "none", "stays.csv", naming(None, tmp_path))


@pytest.mark.parametrize(("file", "content"), [("t.csv", b""), ("t.parquet", b"PAR1 truncated")])
def test_unreadable_file_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    with pytest.raises(InputError, match=rf"{file} cannot be read"):
        table(tmp_path, content, file=file)


def test_row_with_too_many_fields_is_a_fault_of_the_file(tmp_path: Path) -> None:
    read = table(tmp_path, "stay_id,value\n1,2\n1,2,3\n")
    with pytest.raises(InputError, match=r"t\.csv cannot be read"), read.readable():
        read.frame.select(read.text("stay_id")).collect()


def test_one_percent_is_too_much() -> None:
    tolerated(Path("t.csv"), 9, 1000, "text where a number belongs", "<1")
    with pytest.raises(InputError, match=r"t\.csv has text where a number belongs in 10 of 1000 row\(s\), e\.g\. '<1'"):
        tolerated(Path("t.csv"), 10, 1000, "text where a number belongs", "<1")
