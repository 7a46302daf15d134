"""The observations of a hospital: a lazy table of hours, labels and values, surveyed before a row is used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.mapping import codebook
from clinical_lstm.sources.table.reading import HospitalTable, hours_between, tolerated
from clinical_lstm.variables import dynamic_names


def measured(table: HospitalTable, stays: pl.DataFrame) -> pl.LazyFrame:
    """Return row, stay_id, shard (null: unknown stay), hours, label, unit, value, what was written, and `rule`.

    `rule` says why a row is refused, or is null: `unknown_stay`, `no_time`, `not_a_time`, `no_value`, `not_a_number`.
    """
    timed = not table.has("hours")
    when = "time" if timed else "hours"
    unit = table.text("unit") if table.has("unit") else pl.lit(None, pl.String).alias("unit")
    columns = [
        table.text("stay_id"),
        (table.instant if timed else table.number)(when).alias("when"),
        table.filled(when).alias("time_text"),
        table.text("variable").alias("label"),
        unit,
        _value(table).alias("value"),
        table.filled("value").alias("value_text"),
    ]
    clock = stays.lazy().select("stay_id", "admission", "shard")
    rows = table.frame.select(columns).with_row_index("row").join(clock, on="stay_id", how="left")
    hours = hours_between(pl.col("admission"), pl.col("when")) if timed else pl.col("when")
    return rows.with_columns(hours.cast(pl.Float64).alias("hours"), _rule().alias("rule")).drop("admission", "when")


def survey(table: HospitalTable, rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the code book of the labels and units that occur: label, unit, variable, factor, offset; one pass.

    Raises InputError on unknown units, on 1 % of texts that are no number or no time, and when no row has a known stay.
    """
    rule, text = pl.col("rule"), {"not_a_number": "value_text", "not_a_time": "time_text"}
    with table.readable():
        counts = (
            rows.group_by("label", "unit")
            .agg(
                pl.len().alias("rows"),
                (rule == "unknown_stay").sum().alias("unknown_stay"),
                pl.col("stay_id").filter(rule == "unknown_stay").min().alias("stranger"),
                *((rule == name).sum().alias(name) for name in text),
                *(pl.col(column).filter(rule == name).min().alias(column) for name, column in text.items()),
            )
            .collect()
            .sort("label", "unit")
        )
    total = int(counts["rows"].sum())
    if total and counts["unknown_stay"].sum() == total:
        stranger = counts["stranger"].min()
        raise InputError(f"{table.path}: none of its {total} row(s) has a stay of the stays file; first: {stranger!r}")
    for name, what in {
        "not_a_number": "text where a number belongs",
        "not_a_time": "text where a time belongs",
    }.items():
        tolerated(table.path, int(counts[name].sum()), total, what, counts[text[name]].min())
    return codebook(counts, table.names, table.path)


def judged(rows: pl.LazyFrame, book: pl.DataFrame) -> pl.LazyFrame:
    """Return row, stay_id, shard, hours, variable, value (canonical unit), rule (null: an observation).

    Refused rows keep the hospital's label as `variable`: `unknown_variable`, `static_variable` (its place is the stays
    file), or a rule of `measured`. Rows of unknown stays fall to the first shard.
    """
    known = pl.col("variable").is_not_null()
    static = known & ~pl.col("variable").is_in(dynamic_names())
    rule = (
        pl.when(~known).then(pl.lit("unknown_variable")).when(static).then(pl.lit("static_variable")).otherwise("rule")
    )
    coded = rows.join(book.lazy(), on=["label", "unit"], how="left", nulls_equal=True).with_columns(rule.alias("rule"))
    kept = pl.col("rule").is_null()
    return coded.select(
        "row",
        pl.col("stay_id").fill_null(""),
        pl.col("shard").fill_null(0),
        "hours",
        pl.when(kept).then("variable").otherwise("label").alias("variable"),
        pl.when(kept).then(pl.col("factor") * pl.col("value") + pl.col("offset")).otherwise("value").alias("value"),
        "rule",
    )


def parts(table: HospitalTable, rows: pl.LazyFrame, shards: list[int]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield (shard, its rows in file order); several shards are parted on disk in one pass."""
    with table.readable():
        if len(shards) == 1:
            yield shards[0], rows.collect().sort("row").drop("row", "shard")
            return
    with TemporaryDirectory() as folder:
        with table.readable():
            rows.sink_parquet(pl.PartitionBy(folder, key="shard", include_key=False))
        for shard in shards:
            files = sorted(Path(folder, f"shard={shard}").glob("*.parquet"))
            part = (
                pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files]) if files else _none(rows)
            )
            yield shard, part.sort("row").drop("row")


def _none(rows: pl.LazyFrame) -> pl.DataFrame:
    return pl.DataFrame(schema=rows.drop("shard").collect_schema())


def _value(table: HospitalTable) -> pl.Expr:
    """Return the value as a number; words that stand for numbers count for their own label only."""
    worded = {label: target.values for label, target in table.names.variables.items() if target.values}
    return reduce(
        lambda value, label: (
            pl.when(table.text("variable") == label).then(table.number("value", worded[label])).otherwise(value)
        ),
        worded,
        table.number("value"),
    )


def _rule() -> pl.Expr:
    return (
        pl.when(pl.col("shard").is_null())
        .then(pl.lit("unknown_stay"))
        .when(pl.col("time_text").is_null())
        .then(pl.lit("no_time"))
        .when(pl.col("when").is_null())
        .then(pl.lit("not_a_time"))
        .when(pl.col("value_text").is_null())
        .then(pl.lit("no_value"))
        .when(pl.col("value").is_null())
        .then(pl.lit("not_a_number"))
    )
