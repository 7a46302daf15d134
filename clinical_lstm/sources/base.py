"""The contract of a data source: raw files in, patient-disjoint extracts in canonical names and units out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import polars as pl

from clinical_lstm import schemas

# label and unit as the data has them; canonical value = factor * value + offset; rows so converted
CONVERSIONS = {
    "label": pl.String(),
    "unit": pl.String(),
    "variable": pl.String(),
    "factor": pl.Float64(),
    "offset": pl.Float64(),
    "rows": pl.Int64(),
}


class Extract(NamedTuple):
    """One patient-disjoint shard of a data set.

    Attributes:
        stays: `schemas.Stays` (static variables in canonical units; absent ones null).
        observations: stay_id, hours, variable, value (canonical unit); order, plausibility and uniqueness are
            `data.cleaning`'s business, not the source's.
        episodes: `schemas.Episodes` that the data set itself states (labelled onsets); often empty.
        rejects: `schemas.Rejects`: rows that the source could not turn into an observation.
        labelled: False where the data states no outcomes, so that "no stated episode" does not mean "no event".

    """

    stays: pl.DataFrame
    observations: pl.DataFrame
    episodes: pl.DataFrame
    rejects: pl.DataFrame
    labelled: bool = True


class Source(ABC):
    """A data set. Reading is deterministic: the same files give the same extracts in the same order."""

    title: ClassVar[str]
    citation: ClassVar[str]
    licence: ClassVar[str]

    @property
    @abstractmethod
    def variables(self) -> list[str]:
        """The measured variables that this data set can hold, in vocabulary order."""

    @property
    @abstractmethod
    def statics(self) -> list[str]:
        """The static variables that this data set can hold, in vocabulary order."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A cheap digest of the inputs (names, sizes, modification times) that changes when they do."""

    def files(self) -> list[Path]:
        """The input files, whose SHA-256 the manifest records; none for a source that makes its data."""
        return []

    def conversions(self) -> pl.DataFrame:
        """Return what was read in another unit than the canonical one: `CONVERSIONS`, one row per label and unit."""
        return pl.DataFrame(schema=CONVERSIONS)

    def findings(self) -> list[str]:
        """Return what is wrong with, or worth knowing of, the raw data: a line each, found by a pass over all files."""
        return []

    @abstractmethod
    def extracts(self) -> Iterator[Extract]:
        """Yield the shards; raises InputError on data that cannot be trusted."""


def stays_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `rows` as `schemas.Stays`: what the source does not know of its stays becomes null columns."""
    columns = {name: column for name, column in schemas.Stays.columns().items() if column.nullable}
    absent = [pl.lit(None, column.dtype).alias(name) for name, column in columns.items() if name not in rows.columns]
    return rows.with_columns(absent).select(schemas.Stays.column_names())
