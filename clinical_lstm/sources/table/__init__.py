"""A hospital's own long tables: stays, observations and, if it has them, episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive
from clinical_lstm.sources.base import Extract, Source, stays_table
from clinical_lstm.sources.table.episodes import read_episodes
from clinical_lstm.sources.table.mapping import naming
from clinical_lstm.sources.table.observations import judged, measured, parts, survey
from clinical_lstm.sources.table.reading import HospitalTable, needs_admission
from clinical_lstm.sources.table.stays import read_stays, sharded, static_columns
from clinical_lstm.variables import dynamic_names, static_names


class Table(Source):
    """Read CSV (also .csv.gz) or Parquet files below `root`.

    observations: stay_id, hours since admission or `time`, variable, value, and maybe unit; one measurement a row.
    stays: stay_id, and maybe patient_id (else every stay is its own patient), site, admission and discharge (times),
        start_hours, length_hours, and columns of static variables. admission is needed where observations have times.
        A stay whose end is unknown lasts to its last observation.
    episodes: stay_id, complication, onset_hours or onset_time, and maybe end_hours or end_time.

    `mapping` (keys, or a YAML file) translates the hospital's words:

        columns: {stay_id: encounter, time: charted_at}
        variables: {HR: heart_rate, Lactat: {name: lactate, unit: mg/dL}, Sex: {name: male, values: {M: 1, F: 0}}}
        units: {mmol/l: mmol/L}
        time_format: "%d.%m.%Y %H:%M"      (else ISO 8601; all local or, with %z, all with their offset from UTC)
        separator: ";"

    A row without a unit is taken to be in the mapping's unit, else in the canonical one. Refused rows are counted by
    rule: `unknown_variable`, `static_variable`, `unknown_stay`, `no_time`, `not_a_time`, `no_value`, `not_a_number`.
    Times before admission or after discharge are left to the cleaning. Two passes over the observations, whatever
    their size: one to survey labels and units, one to part the shards (on disk when there are several).
    """

    title = "A hospital's own tables"
    citation = "the hospital's own"
    licence = "the hospital's own"

    def __init__(
        self,
        root: str,
        observations: str,
        stays: str,
        episodes: str | None = None,
        mapping: Mapping[str, Any] | str | None = None,
        shard_stays: int = 4096,
    ) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.root, self.shard_stays = Path(root), shard_stays
        self.names = naming(mapping, self.root)
        self.tables = {"observations": observations, "stays": stays} | ({"episodes": episodes} if episodes else {})

    @property
    def variables(self) -> list[str]:
        """The measured variables that occur in the observations."""
        return [name for name in dynamic_names() if name in self._book["variable"]]

    @property
    def statics(self) -> list[str]:
        """The static variables that the stays file has."""
        found = [target.name for target in static_columns(self._table("stays")).values()]
        return [name for name in static_names() if name in found]

    def fingerprint(self) -> str:
        """Return a digest of the files (size, modification time) and of the mapping."""
        return digest([self.names, {what: archive.fingerprint(self.root / file) for what, file in self.tables.items()}])

    def files(self) -> list[Path]:
        """The two or three tables."""
        return [self._table(what).path for what in self.tables]

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` stays, patients in the order of a hash of their id."""
        stays, refused = self._stays
        episodes = schemas.empty(schemas.Episodes)
        if "episodes" in self.tables:
            episodes = read_episodes(self._table("episodes"), stays)
        rows = judged(measured(self._table("observations"), stays), self._book)
        shards = stays["shard"].unique().sort().to_list()
        for shard, part in parts(self._table("observations"), rows, shards):
            own = stays.filter(pl.col("shard") == shard)
            kept = part.filter(pl.col("rule").is_null()).select("stay_id", "hours", "variable", "value")
            rejects = part.filter(pl.col("rule").is_not_null()).select(schemas.Rejects.column_names())
            named = own.select("stay_id")
            yield Extract(
                stays_table(_ended(own, kept)),
                kept,
                episodes.join(named, on="stay_id", how="semi", maintain_order="left"),
                pl.concat([rejects, refused.join(named, on="stay_id", how="semi", maintain_order="left")]),
                labelled="episodes" in self.tables,
            )

    def _table(self, what: str) -> HospitalTable:
        return HospitalTable(self.root, self.tables[what], self.names)

    @cached_property
    def _stays(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        keys = ["admission", "discharge", "time", "onset_time", "end_time"]
        tables = [self._table(what) for what in self.tables]
        times = {f"{t.path.name}: {key}": t.aware(key) for t in tables for key in keys if t.has(key)}
        if len(set(times.values())) > 1:
            said = ", ".join(f"{key} {'with' if aware else 'without'}" for key, aware in times.items())
            raise InputError(
                f"{self.root}: some times state their offset from UTC and some do not: {said}; write all alike"
            )
        timed = any(needs_admission(table) for table in tables)
        stays, refused = read_stays(self._table("stays"), timed)
        return sharded(stays, self.shard_stays), refused

    @cached_property
    def _book(self) -> pl.DataFrame:
        table = self._table("observations")
        return survey(table, measured(table, self._stays[0]))


def _ended(stays: pl.DataFrame, observations: pl.DataFrame) -> pl.DataFrame:
    """Return the stays with an end: where the file states none, the last observation."""
    last = observations.filter(pl.col("hours").is_finite()).group_by("stay_id").agg(pl.col("hours").max().alias("last"))
    stays = stays.join(last, on="stay_id", how="left", maintain_order="left")
    stays = stays.with_columns(pl.coalesce("length_hours", "last").alias("length_hours"))
    if (bad := stays.filter(~(pl.col("length_hours") > pl.col("start_hours")).fill_null(False))).height:
        what = "no end and no observation after their start"
        raise InputError(
            f"{bad.height} stay(s) have {what}; first: {bad['stay_id'][0]!r}; give discharge or length_hours"
        )
    return stays
