"""Yet Another ICU Benchmark (YAIB): hourly tables of MIMIC, eICU, HiRID or AUMC, as its extraction wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import CONVERSIONS, Extract, Source, stays_table
from clinical_lstm.sources.yaib.tables import BIN_HOURS, MEASURED, STATIC, deaths, long, onsets, read, refuse, static
from clinical_lstm.variables import dynamic_names, static_names, vocabulary

_FOR_LIFE_HOURS = 1e6  # a label per stay tells the outcome of the hospital stay, however long it lasted


class Yaib(Source):
    """Read `dyn.parquet` (stay_id, time, one column per variable), `sta.parquet` and, if there is one, `outc.parquet`.

    ```
      row of time t        |== t ==|                 a summary (median; urine: sum) of [t, t + 1) since ICU admission
      stamped                      ^ t + 1           nothing of an hour is known before it is over
      hourly label     0 0 1 1 1 1 1 1 1 1 1 1 1 1 1
                           |- 6 h ----|---- 6 h ---|
                        first       onset        end of the record
    ```
    A stay lasts until its last row is over. `outcome` names the complication that the labels mean (null: leave them).
    - Labels per hour (sepsis, aki): onset = end of the first labelled row + 6 h, so the true onset lies up to 1 h
      before its stamp, as all measurements do. YAIB leaves out onsets in the first 6 h; should an extraction keep
      them, a stay labelled from its first row had its onset then AT THE LATEST (`findings` counts those in doubt).
      The labels end 6 h after the onset, and with them the record: how long the episode lasted is not known.
    - One label per stay (mortality24; `outcome: death`): a death right after the record, at its end + 1 min. Only the
      fact is known, not the hour: fit for one prediction at 24 h without censoring (task=mortality_24h), no clock.

    There is no patient id: every stay counts as its own patient, as in YAIB's own splits, though MIMIC patients can
    have several. Invasive and cuff pressures are one column, so are SpO2 and SaO2. Values are converted from YAIB's
    units (FiO2 in %); columns that are none of the 48 are refused as `unknown_variable`.

    Source: van de Water et al., ICLR 2024, arXiv 2306.05109; Bennett et al., GigaScience 12:giad041 (2023) (ricu),
    doi 10.1093/gigascience/giad041.
    """

    title = "YAIB cohort (hourly ICU tables)"
    citation = "van de Water et al., Yet Another ICU Benchmark, ICLR 2024, arXiv 2306.05109"
    licence = "that of the database the cohort was extracted from (demos: ODbL 1.0)"

    def __init__(self, root: str, outcome: str | None = "sepsis_label", shard_stays: int = 4096) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.root, self.outcome, self.shard_stays = Path(root), outcome, shard_stays

    @property
    def variables(self) -> list[str]:
        """The measured variables that dyn.parquet has columns for."""
        found = {MEASURED[name][0] for name in self._scan("dyn").collect_schema() if name in MEASURED}
        return [name for name in dynamic_names() if name in found]

    @property
    def statics(self) -> list[str]:
        """Age, sex, height and weight, as far as sta.parquet has them."""
        found = {STATIC[name] for name in self._scan("sta").collect_schema() if name in STATIC}
        return [name for name in static_names() if name in found]

    def fingerprint(self) -> str:
        """Return a digest of sizes and modification times of the files and of the meaning of the labels."""
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files()]
        return digest([self.outcome, stats])

    def files(self) -> list[Path]:
        """The two or three tables."""
        return [self._path(what) for what in ("dyn", "sta", *(["outc"] if self._labelled else []))]

    def conversions(self) -> pl.DataFrame:
        """Return the columns in another unit than the canonical one, with the number of their values."""
        scan = self._scan("dyn")
        there = {name: of for name, of in MEASURED.items() if name in scan.collect_schema()}
        other = {name: of for name, of in there.items() if vocabulary()[of[0]].unit != of[1]}
        rows = scan.select(pl.col(list(other)).count()).collect().row(0)
        book = [(n, unit, v, *vocabulary()[v].conversion(unit), k) for (n, (v, unit)), k in zip(other.items(), rows)]
        return pl.DataFrame(book, schema=CONVERSIONS, orient="row")

    def findings(self) -> list[str]:
        """Say what the tables leave open."""
        said = ["no patient ids: the stays of one patient may fall into different splits (YAIB itself splits by stay)"]
        if cut := self._episodes.filter(pl.col("cut")).height:
            said.append(f"{cut} stay(s) are labelled from the first row, for less than 13 h: the onset may be earlier")
        return said

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` stays, in the order of their ids."""
        stays, scan = self._stays, self._scan("dyn")
        episodes = self._episodes.select(schemas.Episodes.column_names())
        for start in range(0, stays.height, self.shard_stays):
            own = stays[start : start + self.shard_stays]
            inside = pl.col("stay_id").is_between(own["key"][0], own["key"][-1])
            observations, rejects = long(scan.filter(inside).collect())
            named = own.select("stay_id")
            given = episodes.join(named, on="stay_id", how="semi", maintain_order="left")
            yield Extract(stays_table(own), observations, given, rejects, self._labelled)

    @property
    def _labelled(self) -> bool:
        return self.outcome is not None and self._path("outc").is_file()

    @property
    def _hourly(self) -> bool:
        return self._labelled and "hours" in self._scan("outc").collect_schema()

    def _path(self, what: str) -> Path:
        return self.root / f"{what}.parquet"

    def _scan(self, what: str) -> pl.LazyFrame:
        path = self._path(what)
        if not path.is_file():
            there = sorted(p.name for p in self.root.iterdir())[:20] if self.root.is_dir() else ["no such folder"]
            raise InputError(f"there is no {path}; source.root must be a folder of YAIB tables: {', '.join(there)}")
        return read(path, {"dyn": ["stay_id", "time"], "sta": ["stay_id"], "outc": ["stay_id", "label"]}[what])

    @cached_property
    def _stays(self) -> pl.DataFrame:
        """The stays sorted by `key`, the id as it is stored; `hours` of the last row is the start of its hour."""
        ends = (pl.col("hours").max(), pl.col("hours").is_null().any().alias("no"))
        spans = self._scan("dyn").group_by("stay_id").agg(ends).collect().sort("stay_id")
        table, dyn, sta = self._scan("sta").collect(), self._path("dyn"), self._path("sta")
        refuse(sta, "a stay_id that stands twice", table.filter(pl.col("stay_id").is_duplicated()))
        refuse(dyn, "no time", spans.filter("no"))
        refuse(dyn, "no stay in sta.parquet", spans.join(table, on="stay_id", how="anti"))
        stays = table.join(spans, on="stay_id", how="left").sort("stay_id")
        refuse(sta, "no row in dyn.parquet", stays.filter(pl.col("hours").is_null()))
        known = [static(name, stays.schema[name]) for name in STATIC if name in stays.columns]
        follow = None if self._hourly or not self._labelled else _FOR_LIFE_HOURS
        return stays.select(
            pl.col("stay_id").alias("key"),
            pl.col("stay_id").cast(pl.String),
            pl.col("stay_id").cast(pl.String).alias("patient_id"),
            pl.lit("all").alias("site"),
            pl.lit(0.0).alias("start_hours"),
            (pl.col("hours") + BIN_HOURS).alias("length_hours"),
            pl.lit(follow, pl.Float64).alias("follow_up_hours"),
            *known,
        )

    @cached_property
    def _episodes(self) -> pl.DataFrame:
        """`schemas.Episodes` of all stays, and `cut` (see `onsets`)."""
        empty = schemas.empty(schemas.Episodes).with_columns(pl.lit(None, pl.Boolean).alias("cut"))
        if not self._labelled:
            return empty
        path, labels = self._path("outc"), self._scan("outc").collect()
        positive = pl.col("label").cast(pl.Float64, strict=False)
        if (odd := labels.filter(~positive.is_in([0.0, 1.0]).fill_null(False))).height:
            what = f"{path} has {odd.height} label(s) other than 0 and 1, e.g. {odd['label'][0]}"
            raise InputError(f"{what}: no event can be read from them; leave them with source.outcome=null")
        if self._hourly == (self.outcome == "death"):
            kind = "labels per hour: name what they mean" if self._hourly else "one label per stay: use outcome=death"
            raise InputError(f"{path} has {kind}, not source.outcome={self.outcome} (null: leave the labels)")
        positives = labels.filter(positive == 1.0)
        strangers = positives.join(self._stays, left_on="stay_id", right_on="key", how="anti")
        refuse(path, "no stay in sta.parquet", strangers)
        found = onsets(path, positives) if self._hourly else deaths(positives, self._stays)
        named = found.with_columns(pl.col("stay_id").cast(pl.String), pl.lit(self.outcome).alias("complication"))
        return named.select(empty.columns).sort("stay_id")
