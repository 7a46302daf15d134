"""The event files of a MEDS data set, read in blocks of whole subjects, with codes as numbers; memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import meds
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from clinical_lstm.errors import InputError

NONE = np.iinfo(np.int64).min  # stands for a null subject, or a null time (a static row), which so sorts first
BATCH_ROWS = 1 << 20


class Block(NamedTuple):
    """Rows of one file, in its order: all of a subject that stand together.

    Attributes:
        file: name below the root. first: number of its first row in the file.
        subject: (N,) int64. time: (N,) int64, microseconds since 1970. code: (N,) int32, number in the `Codes`.
        number: (N,) float64. `NONE`, -1 and NaN stand for null.

    """

    file: str
    first: int
    subject: np.ndarray
    time: np.ndarray
    code: np.ndarray
    number: np.ndarray

    def starts(self) -> np.ndarray:
        """Return the first row of every run of one subject."""
        if not len(self.subject):
            return np.empty(0, np.int64)
        return np.concatenate([[0], np.flatnonzero(self.subject[1:] != self.subject[:-1]) + 1])

    def cut(self, begin: int, end: int) -> Block:
        """Return the rows `begin` to `end`."""
        part = slice(begin, end)
        arrays = (array[part] for array in (self.subject, self.time, self.code, self.number))
        return Block(self.file, self.first + begin, *arrays)


class Codes:
    """The distinct codes that were read, numbered in the order of their first appearance."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}

    def numbers(self, column: pa.Array) -> np.ndarray:
        """Return the number (N,) of every row's code, -1 where it is null."""
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        names = coded.dictionary.to_pylist()
        own = [self.index.setdefault(name, len(self.index)) if name is not None else -1 for name in names]
        return np.array([*own, -1], np.int32)[coded.indices.cast(pa.int32()).fill_null(len(own)).to_numpy()]

    def names(self) -> list[str]:
        """Return the codes in the order of their numbers."""
        return list(self.index)


def shards(root: Path) -> list[Path]:
    """Return the event files, sorted by path; raises InputError when there are none."""
    folder = root / meds.data_subdirectory
    if not folder.is_dir():
        raise InputError(f"{root} is no MEDS data set: it has no folder {folder.name}; give source.root=FOLDER")
    found = sorted(p for p in folder.rglob("*.parquet") if not p.name.startswith((".", "_")) and p.is_file())
    if not found:
        raise InputError(f"{folder} holds no *.parquet file; a MEDS data set keeps its events there")
    return found


def blocks(root: Path, path: Path, codes: Codes, batch_rows: int = BATCH_ROWS) -> Iterator[Block]:
    """Yield the rows of one file; new codes are added to `codes`. Raises InputError on a file that cannot be read."""
    name = path.relative_to(root).as_posix()
    held = Block(name, 0, *(np.empty(0, kind) for kind in (np.int64, np.int64, np.int32, np.float64)))
    with readable(path):
        file = pq.ParquetFile(path, read_dictionary=["code"])
        faults, _ = type_faults(meds.DataSchema, file.schema_arrow)
        if faults:
            raise InputError(f"schema: {name}: {'; '.join(faults)}; write it as meds.DataSchema says")
        columns = [c for c in ("subject_id", "time", "code", "numeric_value") if c in file.schema_arrow.names]
        for batch in file.iter_batches(batch_rows, columns=columns):
            held = _joined(held, batch, codes)
            starts = held.starts()
            if len(starts) > 1:
                yield held.cut(0, starts[-1])
                held = held.cut(starts[-1], len(held.subject))
    if len(held.subject):
        yield held


def survey(root: Path) -> pl.DataFrame:
    """Return every code that occurs, sorted: code, rows, numbers (rows with a numeric value)."""
    codes, rows, numbers = Codes(), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for path in shards(root):
        for block in blocks(root, path, codes):
            known, valued = block.code >= 0, ~np.isnan(block.number)
            size = len(codes.index)
            rows = np.pad(rows, (0, size - len(rows))) + np.bincount(block.code[known], minlength=size)
            valued = np.bincount(block.code[known & valued], minlength=size)
            numbers = np.pad(numbers, (0, size - len(numbers))) + valued
    return pl.DataFrame(
        {"code": codes.names(), "rows": rows, "numbers": numbers},
        schema={"code": pl.String, "rows": pl.Int64, "numbers": pl.Int64},
    ).sort("code")


def type_faults(schema: type, found: pa.Schema) -> tuple[list[str], list[str]]:
    """Return (what keeps a table from being read, what is readable but not the type that MEDS prescribes)."""
    fatal: list[str] = []
    minor: list[str] = []
    for column in schema.columns():  # type: ignore[attr-defined]  # a class of flexible_schema
        wanted = schema.schema().field(column).type  # type: ignore[attr-defined]
        if column not in found.names:
            if column in schema.required_columns():  # type: ignore[attr-defined]
                fatal.append(f"the column {column} is missing")
            continue
        kind = _plain(found.field(column).type)
        if kind != _plain(wanted):
            related = _family(kind) == _family(wanted)
            (minor if related else fatal).append(f"{column} is {kind} where {wanted} belongs")
    return fatal, minor


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn a reader's fault into an InputError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        raise InputError(f"readable: {path} cannot be read ({str(fault).splitlines()[0]}); fetch it again") from fault


def _joined(held: Block, batch: pa.RecordBatch, codes: Codes) -> Block:
    """Return the rows that were held back, and those of the batch behind them."""
    subject = batch.column("subject_id").cast(pa.int64()).fill_null(NONE).to_numpy()
    time = batch.column("time").cast(pa.timestamp("us"), safe=False).cast(pa.int64()).fill_null(NONE).to_numpy()
    code = codes.numbers(batch.column("code"))
    if "numeric_value" in batch.schema.names:
        number = batch.column("numeric_value").cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        number = np.full(len(subject), np.nan)
    arrays = zip((held.subject, held.time, held.code, held.number), (subject, time, code, number), strict=True)
    return Block(held.file, held.first, *(np.concatenate(pair) for pair in arrays))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type without what Parquet does not tell apart: large and dictionary-encoded text is text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _family(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "instant" if kind.tz is None else "instant with a zone"
    if pa.types.is_integer(kind):
        return "integer"
    return "number" if pa.types.is_floating(kind) else str(_plain(kind))
