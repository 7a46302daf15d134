"""One file of a hospital, scanned lazily: its columns under our names, its texts as numbers and instants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import COLUMNS, Naming

_MISSING = ["", "NA", "N/A", "n/a", "NULL", "null", "None"]
_ISO = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


class HospitalTable:
    """A CSV (also .gz) or Parquet file under its own names; CSV columns are text: an id keeps its leading zeros."""

    def __init__(self, root: Path, file: str, names: Naming) -> None:
        self.path, self.names = root / file, names.of(file)
        if not self.path.exists():
            raise InputError(f"there is no {self.path}; {root} holds: {_held(root)}")
        with self.readable():
            if self.path.suffix == ".parquet":
                self.frame = pl.scan_parquet(self.path)
            else:
                # polars refuses a row with too many fields (a decimal comma!) only when it reads all columns.
                lines = pl.scan_csv(self.path, separator=self.names.separator, infer_schema=False)
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
            advice = "see `columns` of the mapping"
            if key in ("variable", "value"):
                advice += ", or `wide: true` where the file has one column per variable"
            raise InputError(f"{self.path} lacks the column {own!r} ({key}); it has: {known}; {advice}")
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

    def cells(self, column: str) -> pl.Expr:
        """Return any column as trimmed text, null where it is empty or a word for "missing"."""
        plain = pl.col(column).cast(pl.Int8) if self.schema[column] == pl.Boolean else pl.col(column)
        text = plain.cast(pl.String).str.strip_chars()
        return pl.when((text != "") & ~text.is_in(_MISSING)).then(text)

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
        """Return whether the times of `key` are instants: their offset from UTC is stated, or their zone known."""
        return self._offset(key) or self.names.time_zone is not None

    def instant(self, key: str) -> pl.Expr:
        """Return the column of `key` as a time, null where it is none; UTC where it is an instant (`aware`).

        A local time that the clocks of the time zone skip is null; of one that they repeat, the earlier is meant.
        """
        wall, zone = self.wall(key), self.zone(key)
        return (placed(wall, zone, "earliest") if zone else wall).alias(key)

    def zone(self, key: str) -> str | None:
        """Return the time zone of the local times of `key`; None where it is unknown or the offset is stated."""
        return None if self._offset(key) else self.names.time_zone

    def _offset(self, key: str) -> bool:
        kind = self._kind(key)
        return kind.time_zone is not None if isinstance(kind, pl.Datetime) else "%z" in (self.names.time_format or "")

    def wall(self, key: str) -> pl.Expr:
        """Return the time as it stands there, or UTC where it states its offset."""
        column, kind = self.column(key), self._kind(key)
        if isinstance(kind, pl.Datetime):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else column
            return column.cast(pl.Datetime("us"))
        if kind == pl.Date:
            return column.cast(pl.Datetime("us"))
        text, given = self.filled(key), self.names.time_format
        if given and "%z" in given:
            return text.str.strptime(pl.Datetime("us", "UTC"), given, strict=False).dt.replace_time_zone(None)
        if given:
            return text.str.strptime(pl.Datetime("us"), given, strict=False)
        plain = text.str.replace("T", " ", literal=True)
        return pl.coalesce(plain.str.strptime(pl.Datetime("us"), form, strict=False) for form in _ISO)


def placed(wall: pl.Expr, zone: str, ambiguous: Literal["earliest", "latest"]) -> pl.Expr:
    """Return the instants (UTC) of local times, null where the clocks skip them.

    >>> from datetime import datetime
    >>> frame = pl.DataFrame({"wall": [datetime(2024, 7, 1, 12), datetime(2024, 3, 31, 2, 30)]})
    >>> frame.select(placed(pl.col("wall"), "Europe/Berlin", "earliest"))["wall"].to_list()
    [datetime.datetime(2024, 7, 1, 10, 0), None]
    """
    instant = wall.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    return instant.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def listed(root: Path, given: Sequence[str]) -> list[str]:
    """Return the files below `root` that names and patterns (`labs/*.csv`) mean, patterns sorted, each file once."""
    found: list[str] = []
    for name in given:
        if any(sign in name for sign in "*?["):
            matches = sorted(path.relative_to(root).as_posix() for path in root.glob(name) if path.is_file())
            if not matches:
                raise InputError(f"{root}: no file matches {name!r}; it holds: {_held(root)}")
            found += matches
        else:
            found.append(name)
    if not found:
        raise InputError("source.observations names no file; give one, a list, or a pattern like labs/*.csv")
    return list(dict.fromkeys(found))


def _held(root: Path) -> str:
    return ", ".join(sorted(p.name for p in root.iterdir())[:20]) if root.is_dir() else "no such folder"


def needs_admission(table: HospitalTable, what: str) -> bool:
    """Return whether a file of observations or episodes has times that must be counted from admission."""
    keys = {"observations": ["hours"], "episodes": ["onset_hours", "end_hours"]}[what]
    return any(not table.has(key) and table.has(key.replace("hours", "time")) for key in keys)


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
