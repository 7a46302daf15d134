"""From raw measurements to `schemas.Observations`: what is refused is kept, with the rule that refused it."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.sources.base import Extract
from clinical_lstm.variables import dynamic_names, ranges


def clean(extract: Extract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (observations, rejects) of one shard, sorted by stay, hours and variable.

    Rules, the first that applies: `unknown_variable`, `unknown_stay`, `not_finite`, `implausible` (outside low..high
    of variables.csv), `before_admission` (hours < 0), `after_discharge` (hours > length), `duplicate` (the same stay,
    time and variable again: the last one in the file is kept).
    """
    measured = ranges().filter(pl.col("variable").is_in(dynamic_names()))
    judged = (
        extract.observations.join(measured, on="variable", how="left", maintain_order="left")
        .join(extract.stays.select("stay_id", "length_hours"), on="stay_id", how="left", maintain_order="left")
        .with_columns(_rule().alias("rule"))
    )
    columns = ["stay_id", "hours", "variable", "value"]
    kept = judged.filter(pl.col("rule").is_null()).select(columns)
    again = ~pl.struct("stay_id", "hours", "variable").is_last_distinct()
    duplicates = kept.filter(again) if _has_duplicates(kept) else kept.clear()
    if duplicates.height:
        kept = kept.filter(~again)
    refused = [
        extract.rejects,
        judged.filter(pl.col("rule").is_not_null()).select(*columns, "rule"),
        duplicates.with_columns(pl.lit("duplicate").alias("rule")),
    ]
    order = pl.Enum(dynamic_names())
    observations = kept.sort("stay_id", "hours", pl.col("variable").cast(order))
    rejects = pl.concat(refused).sort("stay_id", "hours", "variable", "rule", "value", nulls_last=True)
    return observations, rejects.select(schemas.Rejects.column_names())


def clean_stays(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the stays sorted by id, with implausible static values set to null (unknown)."""
    bounds = {row["variable"]: (row["low"], row["high"]) for row in ranges().iter_rows(named=True)}
    statics = [name for name in stays.columns if name in bounds]
    plausible = [pl.when(pl.col(n).is_between(*bounds[n])).then(pl.col(n)).alias(n) for n in statics]
    return stays.with_columns(plausible).sort("stay_id")


def _rule() -> pl.Expr:
    value, hours = pl.col("value"), pl.col("hours")
    return (
        pl.when(pl.col("low").is_null())
        .then(pl.lit("unknown_variable"))
        .when(pl.col("length_hours").is_null())
        .then(pl.lit("unknown_stay"))
        .when(value.is_null() | ~value.is_finite() | hours.is_null() | ~hours.is_finite())
        .then(pl.lit("not_finite"))
        .when(~value.is_between(pl.col("low"), pl.col("high")))
        .then(pl.lit("implausible"))
        .when(hours < 0)
        .then(pl.lit("before_admission"))
        .when(hours > pl.col("length_hours"))
        .then(pl.lit("after_discharge"))
    )


def _has_duplicates(kept: pl.DataFrame) -> bool:
    return kept.select(pl.struct("stay_id", "hours", "variable").n_unique()).item() < kept.height
