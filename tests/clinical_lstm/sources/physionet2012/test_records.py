"""Malformed records: the message names the file, the line and how many."""

from __future__ import annotations

import re

import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.sources.physionet2012.records import divide, parse, record

HEADER = "Time,Parameter,Value\n"
GOOD = record("set-a/1.txt", (HEADER + "00:00,RecordID,1\n00:07,HR,73\n").encode())


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("00:08,HR", "where Time,Parameter,Value belongs"),
        ("00:08,HR,73,4", "where Time,Parameter,Value belongs"),
        ("00:0", "where Time,Parameter,Value belongs"),
        ("", "where Time,Parameter,Value belongs"),
        ("00:08,HR,high", "'high' where a number belongs"),
        ("00:08,HR,7 3", "'7 3' where a number belongs"),
        ("8 o'clock,HR,73", "where a time HH:MM belongs"),
        ("00:61,HR,73", "'00:61' where a time HH:MM belongs"),
        ("-1:30,HR,73", "'-1:30' where a time HH:MM belongs"),
        (",HR,73", "None where a time HH:MM belongs"),
    ],
)
def test_malformed_row_is_named(row: str, fault: str) -> None:
    bad = record("set-a/2.txt", f"{HEADER}00:00,RecordID,2\n{row}\n00:09,HR,70\n{row}\n00:10,HR,70\n".encode())
    with pytest.raises(InputError, match=rf"set-a/2\.txt, line 3: .*{re.escape(fault)}.*2 such row"):
        parse([GOOD, bad])


def test_rows_that_balance_each_other_are_still_malformed() -> None:
    bad = record("2.txt", f"{HEADER}00:08,HR\n00:08,HR,73,4\n".encode())
    with pytest.raises(InputError, match="2 such row"):
        parse([bad])


def test_bytes_that_are_no_text_are_named() -> None:
    bad = record("2.txt", HEADER.encode() + b"00:00,RecordID,2\n00:08,H\xff\xfeR,73\n")
    with pytest.raises(InputError, match=r"2\.txt, line 3"):
        parse([bad])


@pytest.mark.parametrize("content", ["", "00:00,RecordID,1\n", "Time;Parameter;Value\n00:00;RecordID;1\n"])
def test_missing_header_is_named(content: str) -> None:
    with pytest.raises(InputError, match=r"3\.txt, line 1: .*header Time,Parameter,Value"):
        record("3.txt", content.encode())


def test_empty_record_is_named() -> None:
    with pytest.raises(InputError, match=r"4\.txt, line 2"):
        parse([record("4.txt", HEADER.encode())])


@pytest.mark.parametrize("rows", ["00:07,HR,73\n", "00:00,RecordID,6\n"])
def test_record_must_carry_its_own_number(rows: str) -> None:
    records = [record("5.txt", (HEADER + rows).encode())]
    with pytest.raises(InputError, match=r"first: 5\.txt has (None|6\.0)"):
        divide(parse(records), records)


def test_windows_line_ends_and_a_missing_last_one_read_the_same() -> None:
    plain = "00:00,RecordID,1\n00:07,HR,73"
    ends = [plain + "\n", plain, (plain + "\n").replace("\n", "\r\n"), plain + "\n\n"]
    tables = [parse([record("1.txt", (HEADER + body).encode())]) for body in ends]
    assert all(table.equals(tables[0]) for table in tables)


def test_second_weight_at_admission_is_a_measurement() -> None:
    rows = HEADER + "00:00,RecordID,1\n00:00,Weight,70.8\n00:00,Weight,70.4\n10:00,Weight,71\n"
    records = [record("1.txt", rows.encode())]
    described, measured = divide(parse(records), records)
    assert described["Weight"].to_list() == [70.8]
    assert measured["value"].to_list() == [70.4, 71.0]
