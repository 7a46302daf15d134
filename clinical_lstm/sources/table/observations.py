"""The observations of a hospital: a lazy table of hours, labels and values, surveyed before a row is used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.codebook import codebook
from clinical_lstm.sources.table.reading import HospitalTable, hours_between, placed, tolerated
from clinical_lstm.variables import dynamic_names


def measured(table: HospitalTable, stays: pl.DataFrame) -> pl.LazyFrame:
    """Return row, stay_id, shard (null: unknown stay), hours, label, unit, value, what was written, and `rule`.

    `rule` says why a row is refused, or is null: `unknown_stay`, `no_time`, `not_a_time`, `dst_gap` (a local time that
    the clocks skipped), `no_value`, `not_a_number`. `repeated`: a local time that the clocks showed twice.
    """
    clock = stays.lazy().select("stay_id", "admission", "shard")
    rows = _placed(table, (_wide if table.names.wide else _long)(table)).join(clock, on="stay_id", how="left")
    hours = pl.col("when") if table.has("hours") else hours_between(pl.col("admission"), pl.col("when"))
    return rows.with_columns(hours.cast(pl.Float64).alias("hours"), _rule().alias("rule")).drop("admission", "when")


def survey(table: HospitalTable, rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the code book of the labels and units that occur, with `rows` (usable) and `repeated` counts; one pass.

    Raises InputError on unknown units, on 1 % of texts that are no number or no time, and when no row has a known stay.
    Texts under labels that nobody mapped do not count: they are refused whatever they say.
    """
    rule, text = pl.col("rule"), {"not_a_number": "value_text", "not_a_time": "time_text"}
    with table.readable():
        counts = (
            rows.group_by("label", "unit")
            .agg(
                pl.len().alias("rows"),
                rule.is_null().sum().cast(pl.Int64).alias("used"),
                (rule.is_null() & pl.col("repeated")).sum().alias("repeated"),
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
    book = codebook(counts, table.names, table.path)
    known = counts.filter(book["variable"].is_in(dynamic_names()))
    for of, name, what in [
        (known, "not_a_number", "text where a number belongs"),
        (counts, "not_a_time", "text where a time belongs"),
    ]:
        tolerated(table.path, int(of[name].sum()), int(of["rows"].sum()), what, of[text[name]].min())
    return book.with_columns(counts["used"].alias("rows"), counts["repeated"])


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
    book = book.drop("rows", "repeated")
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


def changing(table: HospitalTable, rows: pl.LazyFrame, book: pl.DataFrame) -> dict[str, int]:
    """Return, per label of a static variable among the observations, the stays in which its value changes."""
    static = book.drop_nulls("variable").filter(~pl.col("variable").is_in(dynamic_names()))["label"].unique()
    if static.is_empty():
        return {}
    with table.readable():
        per_stay = (
            rows.filter(pl.col("label").is_in(static.implode()))
            .group_by("label", "stay_id")
            .agg(pl.col("value_text").drop_nulls().n_unique())
            .collect()
        )
    found = per_stay.filter(pl.col("value_text") > 1).group_by("label").len().sort("label")
    return dict(found.rows())


def parts(files: list[tuple[HospitalTable, pl.LazyFrame]], shards: list[int]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield (shard, its rows, file by file in file order); several shards are parted on disk in one pass."""
    if len(shards) == 1:
        whole = []
        for table, rows in files:
            with table.readable():
                whole.append(rows.collect().sort("row").drop("row", "shard"))
        yield shards[0], pl.concat(whole)
        return
    with TemporaryDirectory() as folder:
        for number, (table, rows) in enumerate(files):
            with table.readable():
                rows.sink_parquet(pl.PartitionBy(Path(folder, str(number)), key="shard", include_key=False))
        for shard in shards:
            own = [_part(Path(folder, str(number), f"shard={shard}"), rows) for number, (_, rows) in enumerate(files)]
            yield shard, pl.concat(own)


def _part(folder: Path, rows: pl.LazyFrame) -> pl.DataFrame:
    files = sorted(folder.glob("*.parquet"))
    part = pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files]) if files else _none(rows)
    return part.sort("row").drop("row")


def _none(rows: pl.LazyFrame) -> pl.DataFrame:
    return pl.DataFrame(schema=rows.drop("shard").collect_schema())


def _long(table: HospitalTable) -> pl.LazyFrame:
    """Return the rows of a file with one measurement a row."""
    unit = table.text("unit") if table.has("unit") else pl.lit(None, pl.String).alias("unit")
    plain = (
        table.number("value") if not _worded(table) else _number(table, table.filled("value"), table.text("variable"))
    )
    columns = [
        *_stamps(table),
        table.text("variable").alias("label"),
        unit,
        plain.alias("value"),
        table.filled("value").alias("value_text"),
    ]
    return table.frame.select(columns).with_row_index("row")


def _wide(table: HospitalTable) -> pl.LazyFrame:
    """Return the measurements of a file with one column per variable; an empty cell is none."""
    for key in ("variable", "value", "unit"):
        if table.has(key):
            raise InputError(f"{table.path} is wide by the mapping, but has the column {key!r} of a long file")
    labels = table.others()
    stamps = [name.meta.output_name() for name in _stamps(table)]
    cells = table.frame.select(*_stamps(table), *(table.cells(label).alias(f"= {label}") for label in labels))
    long = cells.with_row_index("line").unpivot(
        index=["line", *stamps], on=[f"= {label}" for label in labels], variable_name="label", value_name="value_text"
    )
    place = pl.col("label").replace_strict(labels, range(len(labels)), return_dtype=pl.UInt32)
    number = _number(table, pl.col("value_text"), pl.col("label"))
    return (
        long.filter(pl.col("value_text").is_not_null())
        .with_columns(pl.col("label").str.strip_prefix("= "), pl.lit(None, pl.String).alias("unit"))
        .with_columns((pl.col("line").cast(pl.UInt64) * len(labels) + place).alias("row"), number.alias("value"))
        .drop("line")
    )


def _stamps(table: HospitalTable) -> list[pl.Expr]:
    """Return stay_id, what is written as its time, and that as hours or as the time on the wall."""
    key = "hours" if table.has("hours") else "time"
    when = table.number(key) if key == "hours" else table.wall(key)
    return [table.text("stay_id"), table.filled(key).alias("time_text"), when.alias("when")]


def _placed(table: HospitalTable, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return rows with `when` as an instant where the zone is known, `skipped` and `repeated` by its clocks."""
    zone = None if table.has("hours") else table.zone("time")
    if zone is None:
        return rows.with_columns(pl.lit(False).alias("skipped"), pl.lit(False).alias("repeated"))
    first, last = placed(pl.col("wall"), zone, "earliest"), placed(pl.col("wall"), zone, "latest")
    rows = rows.rename({"when": "wall"}).with_columns(first.alias("when"), last.alias("last"))
    skipped = pl.col("wall").is_not_null() & pl.col("when").is_null()
    repeated = (pl.col("when") != pl.col("last")).fill_null(False)
    return rows.with_columns(skipped.alias("skipped"), repeated.alias("repeated")).drop("wall", "last")


def _worded(table: HospitalTable) -> dict[str, dict[str, float]]:
    return {label: target.values for label, target in table.names.variables.items() if target.values}


def _number(table: HospitalTable, text: pl.Expr, label: pl.Expr) -> pl.Expr:
    """Return a text as a number; words that stand for numbers count for their own label only."""
    plain = text.cast(pl.Float64, strict=False)
    return reduce(
        lambda value, worded: (
            pl.when(label == worded[0])
            .then(pl.coalesce(text.replace_strict(worded[1], default=None, return_dtype=pl.Float64), plain))
            .otherwise(value)
        ),
        _worded(table).items(),
        plain,
    )


def _rule() -> pl.Expr:
    return (
        pl.when(pl.col("shard").is_null())
        .then(pl.lit("unknown_stay"))
        .when(pl.col("time_text").is_null())
        .then(pl.lit("no_time"))
        .when(pl.col("skipped"))
        .then(pl.lit("dst_gap"))
        .when(pl.col("when").is_null())
        .then(pl.lit("not_a_time"))
        .when(pl.col("value_text").is_null())
        .then(pl.lit("no_value"))
        .when(pl.col("value").is_null())
        .then(pl.lit("not_a_number"))
    )
