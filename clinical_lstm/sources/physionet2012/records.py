"""From the bytes of record files to rows and descriptors: joined in memory and parsed in one call."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError

_HEADER = b"Time,Parameter,Value"
_DESCRIPTORS = ["RecordID", "Age", "Gender", "Height", "ICUType", "Weight"]


class Record(NamedTuple):
    """One record file: `body` is the lines below the header, each ending with a newline."""

    stay_id: str
    name: str
    body: bytes
    lines: int


def record(name: str, content: bytes) -> Record:
    """Return the record of one file, named by its number; raises InputError on a wrong header.

    >>> record("set-a/132539.txt", b"Time,Parameter,Value\\n00:07,HR,73\\n").lines
    1
    """
    header, _, body = content.replace(b"\r\n", b"\n").partition(b"\n")
    if header.strip() != _HEADER:
        raise InputError(f"{name}, line 1: {header[:60]!r} where the header {_HEADER.decode()} belongs; fetch it again")
    body = body.rstrip(b"\n") + b"\n"
    return Record(name.rsplit("/", 1)[-1].removesuffix(".txt"), name, body, body.count(b"\n"))


def parse(records: list[Record]) -> pl.DataFrame:
    """Return record (its index), hours, parameter (or null), value (or null) of every row, in file order.

    Raises InputError with the file and line of the first row that has not three fields, or text in the place of a
    time (HH:MM, not negative) or of a number.

    >>> parse([record("1.txt", b"Time,Parameter,Value\\n00:30,HR,73\\n")]).row(0)
    (0, 0.5, 'HR', 73.0)
    """
    counts = np.array([record.lines for record in records])
    columns = dict.fromkeys(["time", "parameter", "text"], pl.String)
    body = b"".join(record.body for record in records)
    try:
        rows = pl.read_csv(body, has_header=False, schema=columns, quote_char=None)
    except pl.exceptions.PolarsError:
        raise InputError(_ragged(records)) from None
    # No row has more than three fields (or parsing had failed), so two commas a row on average are two in each.
    if rows.height != counts.sum() or body.count(b",") != 2 * rows.height:
        raise InputError(_ragged(records))
    index = np.repeat(np.arange(len(records), dtype=np.uint32), counts)
    line = np.arange(rows.height) - (np.cumsum(counts) - counts)[index] + 2
    hour, minute = (pl.col("time").str.slice(start, 2).cast(pl.Float64, strict=False) for start in (0, 3))
    clock = pl.when(pl.col("time").str.contains(r"^\d\d:[0-5]\d$")).then(hour + minute / 60).alias("hours")
    number = pl.col("text").cast(pl.Float64, strict=False).alias("value")
    rows = rows.with_columns(clock, number, pl.Series("record", index), pl.Series("line", line))
    _refuse(rows, pl.col("hours").is_null(), "time", "where a time HH:MM belongs", records)
    _refuse(rows, pl.col("value").is_null() & pl.col("text").is_not_null(), "text", "where a number belongs", records)
    return rows.select("record", "hours", "parameter", "value")


def divide(rows: pl.DataFrame, records: list[Record]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (descriptors, measurements): one row a record with the six descriptors, and all rows that are none.

    The first row of a descriptor at 00:00 describes the stay; a later Weight is a measurement. Raises InputError when
    the RecordID row is not the file's name.
    """
    first = pl.struct("record", "parameter").is_first_distinct()
    described = pl.col("parameter").is_in(_DESCRIPTORS) & (pl.col("hours") == 0) & first
    rows = rows.with_columns(described.fill_null(False).alias("described"))
    long = rows.filter("described")
    wide = long.pivot(on="parameter", on_columns=_DESCRIPTORS, index="record", values="value")
    ids = pl.DataFrame({"stay_id": [record.stay_id for record in records]}).with_row_index("record")
    wide = ids.join(wide, on="record", how="left", maintain_order="left")
    other = wide.filter(pl.col("RecordID").ne_missing(pl.col("stay_id").cast(pl.Float64)))
    if other.height:
        first_name, number = records[other["record"][0]].name, other["RecordID"][0]
        what = f"{other.height} record(s) whose RecordID row is not the file's name"
        raise InputError(f"{what}; first: {first_name} has {number}; give each record the name of its RecordID")
    return wide, rows.filter(~pl.col("described")).drop("described")


def _refuse(rows: pl.DataFrame, fault: pl.Expr, column: str, what: str, records: list[Record]) -> None:
    if (bad := rows.filter(fault)).height:
        name, line = records[bad["record"][0]].name, bad["line"][0]
        raise InputError(f"{name}, line {line}: {bad[column][0]!r} {what}; {bad.height} such row(s); fetch it again")


def _ragged(records: list[Record]) -> str:
    """Say where rows have other than three fields, or bytes that are not UTF-8."""
    bad = []
    for record in records:
        for line, row in enumerate(record.body.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=2):
            if row.count(",") != 2 or "\ufffd" in row:
                bad.append(f"{record.name}, line {line}: {row[:60]!r}")
    return f"{bad[0]} where Time,Parameter,Value belongs; {len(bad)} such row(s); fetch the file(s) again"
