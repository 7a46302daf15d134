"""One file of a hospital, scanned lazily: its columns under our names, its texts as numbers and instants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import COLUMNS, Naming

_MISSING = ["", "NA", "N/A", "n/a", "NULL", "null", "None"]
_ISO = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


class HospitalTable:
    """A CSV (also .gz) or Parquet file; CSV columns are read as text, so that an id keeps its leading zeros."""

    def __init__(self, root: Path, file: str, names: Naming) -> None:
        self.path, self.names = root / file, names
        if not self.path.exists():
            there = ", ".join(sorted(p.name for p in root.iterdir())[:20]) if root.is_dir() else "no such folder"
            raise InputError(f"there is no {self.path}; {root} holds: {there}")
        with self.readable():
            if self.path.suffix == ".parquet":
                self.frame = pl.scan_parquet(self.path)
            else:
                # polars refuses a row with too many fields (a decimal comma!) only when it reads all columns.
                lines = pl.scan_csv(self.path, separator=names.separator, infer_schema=False)
                self.frame = lines.map_batches(lambda rows: rows, projection_pushdown=False, streamable=True)
            self.schema = self.frame.collect_schema()

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn a reader's fault into an InputError that names the file."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise InputError(f"{self.path} cannot be read: {str(fault).splitlines()[0]}") from fault

    def has(self, key: str) -> bool:
        """Return whether the file has the column that stands for `key`."""
        return self.names.columns.get(key, key) in self.schema

    def others(self) -> list[str]:
        """Return the columns that stand for none of our keys."""
        taken = {self.names.columns.get(key, key) for key in COLUMNS}
        return [name for name in self.schema if name not in taken]

    def column(self, key: str) -> pl.Expr:
        """Return the column of `key`; raises InputError naming the file, the column and those that exist."""
        if not self.has(key):
            own = self.names.columns.get(key, key)
            known = ", ".join(self.schema)
            raise InputError(
                f"{self.path} lacks the column {own!r} ({key}); it has: {known}; see `columns` of the mapping"
            )
        return pl.col(self.names.columns.get(key, key))

    def _kind(self, key: str) -> pl.DataType:
        return self.schema[self.column(key).meta.output_name()]

    def text(self, key: str) -> pl.Expr:
        """Return the column of `key` as trimmed text; a word for "missing" stays (an id or label may be NA)."""
        text = self.column(key).cast(pl.String).str.strip_chars()
        return pl.when(text != "").then(text).alias(key)

    def filled(self, key: str) -> pl.Expr:
        """Return the column of `key` as text, null where it is empty or a word for "missing"."""
        text = self.text(key)
        return pl.when(~text.is_in(_MISSING)).then(text).alias(key)

    def number(self, key: str, values: Mapping[str, float] | None = None) -> pl.Expr:
        """Return the column of `key` as a number, null where it is none; `values` are words that stand for numbers."""
        kind = self._kind(key)
        if not values and (kind.is_numeric() or kind == pl.Boolean):
            return self.column(key).cast(pl.Float64).alias(key)
        number = self.filled(key).cast(pl.Float64, strict=False)
        if not values:
            return number.alias(key)
        worded = self.text(key).replace_strict(dict(values), default=None, return_dtype=pl.Float64)
        return pl.coalesce(worded, number).alias(key)

    def aware(self, key: str) -> bool:
        """Return whether the times of `key` state their offset from UTC."""
        kind = self._kind(key)
        return kind.time_zone is not None if isinstance(kind, pl.Datetime) else "%z" in (self.names.time_format or "")

    def instant(self, key: str) -> pl.Expr:
        """Return the column of `key` as a time (UTC where offsets are stated), null where it is none."""
        column, kind = self.column(key), self._kind(key)
        if isinstance(kind, pl.Datetime):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else column
            return column.cast(pl.Datetime("us")).alias(key)
        if kind == pl.Date:
            return column.cast(pl.Datetime("us")).alias(key)
        text, given = self.filled(key), self.names.time_format
        if given and "%z" in given:
            return (
                text.str.strptime(pl.Datetime("us", "UTC"), given, strict=False).dt.replace_time_zone(None).alias(key)
            )
        if given:
            return text.str.strptime(pl.Datetime("us"), given, strict=False).alias(key)
        plain = text.str.replace("T", " ", literal=True)
        return pl.coalesce(plain.str.strptime(pl.Datetime("us"), form, strict=False) for form in _ISO).alias(key)


def needs_admission(table: HospitalTable) -> bool:
    """Return whether a file of observations or episodes has times that must be counted from admission."""
    if table.has("variable"):
        return not table.has("hours")
    onset, end = (not table.has(f"{what}_hours") and table.has(f"{what}_time") for what in ("onset", "end"))
    return onset or end


def tolerated(path: Path, bad: int, rows: int, what: str, example: object) -> None:
    """Raise InputError when 1 % of the rows or more are `bad`; fewer are refused one by one.

    >>> tolerated(Path("observations.csv"), 1, 1000, "text where a number belongs", "<0.01")
    """
    if 100 * bad >= rows > 0 and bad:
        advice = "is the right column mapped? Clean them, or leave fewer than 1 % to be refused one by one"
        raise InputError(f"{path} has {what} in {bad} of {rows} row(s), e.g. {example!r}; {advice}")


def hours_between(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Return the hours from `start` to `end`.

    >>> from datetime import datetime
    >>> frame = pl.DataFrame({"a": [datetime(2020, 1, 1)], "b": [datetime(2020, 1, 1, 1, 30)]})
    >>> frame.select(hours_between(pl.col("a"), pl.col("b"))).item()
    1.5
    """
    return (end - start).dt.total_microseconds() / 3_600_000_000
