"""A hospital's own tables, long or wide: stays, observations and, if it has them, episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive
from clinical_lstm.sources.base import CONVERSIONS, Extract, Source, stays_table
from clinical_lstm.sources.table.codebook import codebook, converted
from clinical_lstm.sources.table.episodes import read_episodes
from clinical_lstm.sources.table.mapping import naming
from clinical_lstm.sources.table.observations import changing, judged, measured, parts, survey
from clinical_lstm.sources.table.reading import HospitalTable, listed, needs_admission
from clinical_lstm.sources.table.stays import read_stays, sharded, static_columns
from clinical_lstm.variables import dynamic_names, static_names


class Table(Source):
    """Read CSV (also .csv.gz) or Parquet files below `root`.

    observations (one file, a list, or a pattern like `labs/*.csv`), one measurement a row: stay_id, hours since
        admission or `time`, variable, value, and maybe unit. Or `wide`, one column per variable: stay_id, hours or
        time, and the variables; an empty cell is no measurement.
    stays: stay_id, and maybe patient_id (else every stay is its own patient), site, admission and discharge (times),
        start_hours, length_hours, and columns of static variables. admission is needed where observations have times.
        A stay whose end is unknown lasts to its last observation.
    episodes: stay_id, complication, onset_hours or onset_time, and maybe end_hours or end_time. Without this file the
        data state no outcomes; complications that are derived from measurements need none.

    `mapping` (keys, or a YAML file) translates the hospital's words:

        columns: {stay_id: encounter, time: charted_at}
        variables: {HR: heart_rate, Lactat: {name: lactate, unit: mg/dL}, Sex: {name: male, values: {M: 1, F: 0}}}
        units: {mmol/l: mmol/L}
        time_format: "%d.%m.%Y %H:%M"      (else ISO 8601; all local or, with %z, all with their offset from UTC)
        time_zone: Europe/Berlin           (of local times; else they are differences of one wall clock)
        separator: ";"
        wide: true                         (one column per variable)
        files: {"vitals*.csv": {wide: true, columns: {time: at}}}      (what differs in single files)

    With a time_zone, hours are real hours across a change of clocks: a local time that the clocks skipped is refused
    (`dst_gap`), of one that they repeated the earlier is meant (`findings` counts them). Without it, and without
    offsets, such a stay is off by an hour.

    A row without a unit is taken to be in the mapping's unit, else in the canonical one. Refused rows are counted by
    rule: `unknown_variable`, `static_variable`, `unknown_stay`, `no_time`, `not_a_time`, `dst_gap`, `no_value`,
    `not_a_number`. Times before admission or after discharge and repeated measurements are left to the cleaning. Two
    passes over the observations, whatever their size: one to survey labels and units, one to part the shards (on disk
    when there are several).
    """

    title = "A hospital's own tables"
    citation = "the hospital's own"
    licence = "the hospital's own"

    def __init__(
        self,
        root: str,
        observations: str | Sequence[str],
        stays: str,
        episodes: str | None = None,
        mapping: Mapping[str, Any] | str | None = None,
        shard_stays: int = 4096,
    ) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.root, self.shard_stays = Path(root), shard_stays
        self.names = naming(mapping, self.root)
        self.observations = [observations] if isinstance(observations, str) else list(observations)
        self.others = {"stays": stays} | ({"episodes": episodes} if episodes else {})

    @property
    def variables(self) -> list[str]:
        """The measured variables that occur in the observations."""
        found = {name for book in self._books for name in book["variable"]}
        return [name for name in dynamic_names() if name in found]

    @property
    def statics(self) -> list[str]:
        """The static variables that the stays file has."""
        found = [target.name for target in static_columns(self._other("stays")).values()]
        return [name for name in static_names() if name in found]

    def fingerprint(self) -> str:
        """Return a digest of the files (size, modification time) and of the mapping."""
        names = listed(self.root, self.observations)
        files = [*(("observations", name) for name in names), *self.others.items()]
        return digest([self.names, [(what, file, archive.fingerprint(self.root / file)) for what, file in files]])

    def files(self) -> list[Path]:
        """The observations, stays and episodes."""
        return [table.path for table in [*self._measured, *(self._other(what) for what in self.others)]]

    def conversions(self) -> pl.DataFrame:
        """Return the labels and units that were converted, or only spelt otherwise, with their usable rows."""
        found = [converted(book, table.names) for table, book in zip(self._measured, self._books)]
        table, (stays, _) = self._other("stays"), self._stays
        known = [(label, None, stays[of.name].count()) for label, of in static_columns(table).items()]
        labels = pl.DataFrame(known, schema={"label": pl.String, "unit": pl.String, "rows": pl.Int64}, orient="row")
        book = codebook(labels, table.names, table.path).with_columns(labels["rows"])
        keys = [name for name in CONVERSIONS if name != "rows"]
        every = pl.concat([*found, converted(book, table.names)])
        return every.group_by(keys, maintain_order=True).agg(pl.col("rows").sum())

    def findings(self) -> list[str]:
        """Say what the files leave open, or contradict themselves in."""
        said = [] if self._other("stays").has("patient_id") else ["no patient_id: every stay counts as its own patient"]
        if self._timed and not self._aware:
            said.append("times without offset and no time_zone in the mapping: off by 1 h across a change of clocks")
        stays = self._stays[0]
        if endless := int(stays["length_hours"].null_count()):
            said.append(f"{endless} stay(s) have no end: they last to their last observation")
        for table, book in zip(self._measured, self._books):
            if twice := int(book["repeated"].sum()):
                zone = table.names.time_zone
                said.append(
                    f"{table.path.name}: {twice} time(s) that the clocks of {zone} show twice: the earlier taken"
                )
            for label, count in changing(table, measured(table, stays), book).items():
                said.append(
                    f"{table.path.name}: {label} is static, yet changes in {count} stay(s); only stays hold statics"
                )
        return said

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` stays, patients in the order of a hash of their id."""
        stays, refused = self._stays
        episodes = schemas.empty(schemas.Episodes)
        if "episodes" in self.others:
            episodes = read_episodes(self._other("episodes"), stays)
        files = [(table, judged(measured(table, stays), book)) for table, book in zip(self._measured, self._books)]
        for shard, part in parts(files, stays["shard"].unique().sort().to_list()):
            own = stays.filter(pl.col("shard") == shard)
            kept = part.filter(pl.col("rule").is_null()).select("stay_id", "hours", "variable", "value")
            rejects = part.filter(pl.col("rule").is_not_null()).select(schemas.Rejects.column_names())
            named = own.select("stay_id")
            yield Extract(
                stays_table(_ended(own, kept)),
                kept,
                episodes.join(named, on="stay_id", how="semi", maintain_order="left"),
                pl.concat([rejects, refused.join(named, on="stay_id", how="semi", maintain_order="left")]),
                labelled="episodes" in self.others,
            )

    def _other(self, what: str) -> HospitalTable:
        return HospitalTable(self.root, self.others[what], self.names)

    @cached_property
    def _measured(self) -> list[HospitalTable]:
        names = listed(self.root, self.observations)
        self.names.refuse_idle([*names, *self.others.values()])
        return [HospitalTable(self.root, name, self.names) for name in names]

    @property
    def _timed(self) -> bool:
        kinds = [*((table, "observations") for table in self._measured)]
        kinds += [(self._other("episodes"), "episodes")] if "episodes" in self.others else []
        return any(needs_admission(table, what) for table, what in kinds)

    @property
    def _aware(self) -> bool:
        """Whether the times of all files are instants; raises InputError when some are and some are not."""
        keys = ["admission", "discharge", "time", "onset_time", "end_time"]
        tables = [*self._measured, *(self._other(what) for what in self.others)]
        times = {f"{t.path.name}: {key}": t.aware(key) for t in tables for key in keys if t.has(key)}
        if len(set(times.values())) > 1:
            said = ", ".join(f"{key} {'with' if aware else 'without'}" for key, aware in times.items())
            raise InputError(
                f"{self.root}: some times state their offset from UTC and some do not: {said}; write all alike, or "
                "give the time_zone of the local ones in the mapping"
            )
        return any(times.values())

    @cached_property
    def _stays(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        _ = self._aware  # refuses files that disagree
        stays, refused = read_stays(self._other("stays"), self._timed)
        return sharded(stays, self.shard_stays), refused

    @cached_property
    def _books(self) -> list[pl.DataFrame]:
        return [survey(table, measured(table, self._stays[0])) for table in self._measured]


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
