"""The ICU stays: who, from when to when, what was known at admission, and death in hospital."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.sources.mimic_iv.files import Files
from clinical_lstm.sources.table.reading import hours_between
from clinical_lstm.sources.table.stays import sharded
from clinical_lstm.variables import static_names

SITE = "MIMIC-IV"
_ICU = [name for name in static_names() if name.startswith("icu_")]


def read_stays(files: Files, wards: dict[str, list[str]], shard_stays: int) -> pl.DataFrame:
    """Return one row per ICU stay, by patient: its span, shard and what is known at admission.

    ```
        admittime       intime = hour 0          end              outtime          dischtime
            |--------------|=======================|.................|................|
            hours_before_icu      length_hours       (after death)     follow_up_hours
    ```

    `end` is the earlier of outtime and death (outtime is often stamped hours later). `rule` is `no_span` where the end
    is not after intime (such a stay is refused), else null.
    """
    patients, admissions, rows = (files.table(f) for f in ("hosp/patients", "hosp/admissions", "icu/icustays"))
    rows = rows.join(patients, on="subject_id", how="left", maintain_order="left")
    rows = rows.join(admissions, on="hadm_id", how="left", maintain_order="left")
    died = pl.coalesce("deathtime", pl.when(pl.col("hospital_expire_flag") == 1).then("dischtime"))
    rows = rows.with_columns(died.alias("death"), pl.coalesce("outtime", "dischtime").alias("out"))
    in_icu = pl.col("death") > pl.col("intime")
    rows = rows.with_columns(
        pl.when(in_icu).then(pl.min_horizontal("out", "death")).otherwise("out").alias("end"),
        pl.max_horizontal("out", "dischtime", "death").alias("known"),
    )
    intime = pl.col("intime")
    rows = rows.with_columns(
        pl.col("stay_id").alias("icu_id"),
        pl.col("stay_id").cast(pl.String),
        pl.col("subject_id").cast(pl.String).alias("patient_id"),
        pl.lit(SITE).alias("site"),
        pl.lit(0.0).alias("start_hours"),
        hours_between(intime, pl.col("end")).alias("length_hours"),
        hours_between(intime, pl.col("known")).clip(0.0).alias("follow_up_hours"),
        intime.alias("admission"),
        hours_between(intime, pl.col("death")).alias("death_hours"),
        hours_between(pl.col("admittime"), intime).clip(0.0).alias("hours_before_icu"),
        (pl.col("anchor_age") + intime.dt.year() - pl.col("anchor_year")).alias("age_years"),
        pl.col("gender").replace_strict({"M": 1.0, "F": 0.0}, default=None, return_dtype=pl.Float64).alias("male"),
        *_kinds(wards),
    )
    spans = (pl.col("length_hours") > 0).fill_null(False)
    return sharded(rows, shard_stays).with_columns(pl.when(~spans).then(pl.lit("no_span")).alias("rule"))


def clock(stays: pl.DataFrame) -> pl.DataFrame:
    """Return what places a row in a stay: stay_id (the number), subject_id, shard, intime, start, end, until.

    A row of a patient belongs to the stay with start <= time <= end and time < until, the start of the next stay;
    `start` is the minute of intime.
    """
    spans = stays.filter(pl.col("rule").is_null()).sort("subject_id", "intime", "icu_id")
    start = pl.col("intime").dt.truncate("1m").alias("start")
    until = start.shift(-1).over("subject_id").alias("until")
    return spans.select(pl.col("icu_id").alias("stay_id"), "subject_id", "shard", "intime", start, "end", until)


def deaths(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the episode `death` of each stay whose patient died in hospital: onset = end = the time of death.

    >>> deaths(pl.DataFrame({"stay_id": ["1", "2"], "death_hours": [30.5, None]})).rows()
    [('1', 'death', 30.5, 30.5)]
    """
    died = stays.filter(pl.col("death_hours").is_not_null())
    return died.select(
        "stay_id",
        pl.lit("death").alias("complication"),
        pl.col("death_hours").alias("onset_hours"),
        pl.col("death_hours").alias("end_hours"),
    )


def refused(stays: pl.DataFrame) -> pl.DataFrame:
    """Return `schemas.Rejects` of the stays without a span."""
    kinds = schemas.empty(schemas.Rejects).schema
    return stays.filter(pl.col("rule").is_not_null()).select(
        "stay_id", *(pl.lit(None, kinds[name]).alias(name) for name in ("hours", "variable", "value")), "rule"
    )


def _kinds(wards: dict[str, list[str]]) -> list[pl.Expr]:
    """Return the columns `icu_*` (0/1, null in a ward that the map does not list)."""
    return [
        pl.col("first_careunit")
        .replace_strict(
            {ward: float(kind in kinds) for ward, kinds in wards.items()}, default=None, return_dtype=pl.Float64
        )
        .alias(kind)
        for kind in _ICU
    ]
