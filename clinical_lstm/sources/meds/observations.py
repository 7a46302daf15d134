"""From events to observations and static values in canonical units."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.sources.meds.stays import hours_between

_CELL = ["stay_id", "hours", "variable"]
_DIGITS = 7  # significant decimal digits that a 32-bit float keeps: 32.7 is stored as 32.70000076


def observed(events: pl.DataFrame, stays: pl.DataFrame, parts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (observations, rejects) of the events that lie within a stay, its end included.

    An event on the border of two stays belongs to the later one; one outside every stay belongs to none. Rules:
    `no_value` (no number), `part_missing` (of a variable that is the sum of parts). Values 0 that stand for the end of
    a treatment come first, so that at one instant a new rate wins over the end of the old one.

    Args:
        events: measured variables: subject, time, variable, constant, part, number, factor, offset.
        parts: variable, parts (how many a value needs).

    """
    own = stays.select("subject", "stay_id", "length_hours", "admission")
    placed = (
        events.filter(pl.col("time").is_not_null())
        .join_asof(
            own, left_on="time", right_on="admission", by="subject", strategy="backward",
            coalesce=False, check_sortedness=False,
        )
        .with_columns(hours_between("admission", "time").alias("hours"), _value().alias("value"))
        .filter(pl.col("hours") <= pl.col("length_hours"))
    )  # fmt: skip
    valued = placed.filter(pl.col("value").is_not_null())
    stop = (pl.col("constant") == 0).fill_null(False)
    single = valued.filter(pl.col("part").is_null())
    summed = _summed(valued.filter(pl.col("part").is_not_null()), parts)
    rejects = [
        _refused(placed.filter(pl.col("value").is_null()), "no_value"),
        _refused(summed.filter(pl.col("found") < pl.col("parts")), "part_missing"),
    ]
    complete = summed.filter(pl.col("found") == pl.col("parts"))
    tables = [single.filter(stop), single.filter(~stop), complete]
    return pl.concat([table.select(*_CELL, "value") for table in tables]), pl.concat(rejects)


def described(
    events: pl.DataFrame, stays: pl.DataFrame, names: list[str], static_hours: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (stays with a column per static variable of `names`, rejects).

    What counts for a stay, in this order: a value without a time, the last one at or before admission, the first one
    up to `static_hours` after it. Another value within the stay is rejected as `static_changed`, or `static_late` where
    none counts (to take it would be to look ahead).
    """
    rows = (
        stays.select("subject", "stay_id", "length_hours", "admission")
        .join(events, on="subject", how="inner", maintain_order="left_right")
        .with_columns(hours_between("admission", "time").alias("hours"), _value().alias("value"))
        .filter(pl.col("value").is_not_null())
    )
    hours = pl.col("hours")
    rank = pl.when(hours.is_null()).then(0).when(hours <= 0).then(1).otherwise(2)
    known = (
        rows.filter(hours.is_null() | (hours <= static_hours))
        .with_columns(rank.alias("rank"), hours.abs().alias("away"))
        .sort("stay_id", "variable", "rank", "away", maintain_order=True, nulls_last=False)
        .unique(["stay_id", "variable"], keep="first", maintain_order=True)
        .select("stay_id", "variable", pl.col("value").alias("chosen"))
    )
    inside = rows.filter(hours.is_null() | hours.is_between(0, pl.col("length_hours")))
    inside = inside.join(known, on=["stay_id", "variable"], how="left", maintain_order="left")
    rejects = [
        _refused(inside.filter(pl.col("chosen").is_null()), "static_late"),
        _refused(inside.filter(pl.col("value") != pl.col("chosen")), "static_changed"),
    ]
    for name in names:
        column = known.filter(pl.col("variable") == name).select("stay_id", pl.col("chosen").alias(name))
        stays = stays.drop(name, strict=False).join(column, on="stay_id", how="left", maintain_order="left")
    return stays, pl.concat(rejects)


def _value() -> pl.Expr:
    number = pl.col("number").round_sig_figs(_DIGITS) * pl.col("factor") + pl.col("offset")
    return pl.coalesce("constant", number)


def _summed(rows: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, value (the sum of the parts at one time), found, parts."""
    return (
        rows.unique([*_CELL, "part"], keep="last", maintain_order=True)
        .group_by(_CELL, maintain_order=True)
        .agg(pl.col("value").sum(), pl.col("part").len().cast(pl.Int64).alias("found"))
        .join(parts, on="variable", how="left", maintain_order="left")
    )


def _refused(rows: pl.DataFrame, rule: str) -> pl.DataFrame:
    return rows.select(*_CELL, "value", pl.lit(rule).alias("rule")).select(schemas.Rejects.column_names())
