"""What the scores share: the hourly grid, what was last known at each hour, rules of points, the total.

A score is a function `(stays, observations, **windows)` -> one row per stay and whole hour 1..floor(length), sorted:
stay_id, hours, one column of points per component (Int8; null: not assessable), the total under the score's own name,
in which such a component counts 0, and `measured`, the number of components that could be assessed. Beside it the
module's `POINTS` is the printed table: per component one expression over columns, good for any frame that has them.

```
    observations    o  o     o  o         o
    hours      |----.----|---.----|----.----|----.----|
               0         1        2        3         4     hour k ends at k: it sees what is stamped <= k, no later
```
Hour k holds what is stamped in (k - 1, k], the first one also what is stamped 0. A window of w hours at hour k is the w
hours that end with it, (k - w, k].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import polars as pl

from clinical_lstm.errors import InputError

SAME_HOURS = 1e-6  # 4 ms: times in minutes, as fractions of an hour, are equal when they are meant to be
SAME_VALUE = 1e-9  # binary floating point: to a clinician 6 ug/kg/h are 0.1 ug/kg/min, and 1.2 - 0.9 is 0.3


def hourly_grid(stays: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours = 1..floor(length_hours), and the numbers `stay` and `row`, sorted by stay_id and hours.

    >>> hourly_grid(pl.DataFrame({"stay_id": ["b", "a"], "length_hours": [2.5, 0.5]})).rows()
    [('b', 1.0, 1, 0), ('b', 2.0, 1, 1)]
    """
    hours = pl.int_ranges(1, pl.col("length_hours").floor().cast(pl.Int64) + 1)
    numbered = stays.sort("stay_id").select("stay_id", hours.alias("hours")).with_row_index("stay")
    grid = numbered.filter(pl.col("hours").list.len() > 0).explode("hours").with_row_index("row")
    return grid.select("stay_id", pl.col("hours").cast(pl.Float64), pl.col("stay", "row").cast(pl.Int64))


def placed(grid: pl.DataFrame, observations: pl.DataFrame, variables: Sequence[str]) -> pl.DataFrame:
    """Return the observations of `variables` that the grid sees: stay, row, hours, variable, value; sorted by time.

    >>> grid = hourly_grid(pl.DataFrame({"stay_id": ["a"], "length_hours": [3.0]}))
    >>> seen = pl.DataFrame({"stay_id": "a", "hours": [1.2, 2.0], "variable": "map", "value": [60.0, 70.0]})
    >>> placed(grid, seen, ["map"])["row"].to_list()
    [1, 1]
    """
    stays = grid.group_by("stay_id").agg(pl.col("stay", "row").min(), pl.len().alias("length"))
    hour = pl.col("hours").ceil().clip(1).cast(pl.Int64)
    return (
        observations.filter(pl.col("variable").is_in(list(variables)))
        .join(stays, on="stay_id")
        .filter(hour <= pl.col("length"))
        .select("stay", pl.col("row") + hour - 1, "hours", "variable", "value")
        .sort("stay", "hours", maintain_order=True)
    )


def with_last(grid: pl.DataFrame, rows: pl.DataFrame, variables: Sequence[str]) -> pl.DataFrame:
    """Return `grid` with a column per variable: the last value of each hour, null in an hour without one.

    >>> grid = hourly_grid(pl.DataFrame({"stay_id": ["a"], "length_hours": [2.0]}))
    >>> seen = pl.DataFrame({"stay_id": "a", "hours": [1.2, 1.8], "variable": "map", "value": [60.0, 70.0]})
    >>> with_last(grid, placed(grid, seen, ["map"]), ["map"])["map"].to_list()
    [None, 70.0]
    """
    for name in variables:
        own = rows.filter(pl.col("variable") == name).select("row", pl.col("value").alias(name))
        grid = grid.join(own.unique("row", keep="last"), on="row", how="left", maintain_order="left")
    return grid


def carried(value: pl.Expr, hours: int | None = None) -> pl.Expr:
    """Return the hourly `value` as last known within the window of `hours`; None: however long ago.

    >>> seen = pl.DataFrame({"stay": [1, 1, 1, 2], "map": [60.0, None, None, None]})
    >>> seen.select(carried(pl.col("map"), 2))["map"].to_list()
    [60.0, 60.0, None, None]
    """
    return value.forward_fill(limit=None if hours is None else hours - 1).over("stay")


def latest(points: pl.DataFrame, rows: pl.DataFrame, variable: str, within_hours: float = float("inf")) -> pl.DataFrame:
    """Return `points` (stay, hours, ...) with `variable` as last observed at or before each, null if longer ago.

    >>> fio2 = pl.DataFrame({"stay": [1], "hours": [1.0], "variable": ["fio2"], "value": [0.5]})
    >>> latest(pl.DataFrame({"stay": [1, 1], "hours": [2.0, 9.0]}), fio2, "fio2", 4.0)["fio2"].to_list()
    [0.5, None]
    """
    own = rows.filter(pl.col("variable") == variable).select(
        "stay", "hours", pl.col("hours").alias("seen"), pl.col("value").alias(variable)
    )
    found = points.sort("hours").join_asof(own.sort("hours"), on="hours", by="stay", check_sortedness=False)
    fresh = pl.col("hours") - pl.col("seen") <= within_hours + SAME_HOURS
    return found.with_columns(pl.when(fresh).then(variable).alias(variable)).drop("seen")


def below(value: pl.Expr, *edges: float) -> pl.Expr:
    """Return how many of `edges` the value lies below: points of a table whose bands rise by one.

    >>> pl.DataFrame({"gcs": [15, 14, 5, None]}).select(below(pl.col("gcs"), 15, 13, 10, 6))["gcs"].to_list()
    [0, 1, 4, None]
    """
    return reduce(add, [(value < edge - SAME_VALUE).cast(pl.Int8) for edge in edges])


def reaches(value: pl.Expr, *edges: float) -> pl.Expr:
    """Return how many of `edges` the value is at or above.

    >>> pl.DataFrame({"x": [1.1, 1.2, 12.0]}).select(reaches(pl.col("x"), 1.2, 2.0, 6.0, 12.0))["x"].to_list()
    [0, 1, 4]
    """
    return reduce(add, [(value >= edge - SAME_VALUE).cast(pl.Int8) for edge in edges])


def exceeds(value: pl.Expr, *edges: float) -> pl.Expr:
    """Return how many of `edges` the value lies above.

    >>> pl.DataFrame({"x": [5.0, 5.1]}).select(exceeds(pl.col("x"), 0, 5, 15))["x"].to_list()
    [1, 2]
    """
    return reduce(add, [(value > edge + SAME_VALUE).cast(pl.Int8) for edge in edges])


def charted(value: pl.Expr, *bands: tuple[float, int]) -> pl.Expr:
    """Return the points of the first band (upper edge, points) whose edge the value does not exceed.

    >>> pulse = (40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (float("inf"), 3)
    >>> pl.DataFrame({"x": [40, 41, 131, None]}).select(charted(pl.col("x"), *pulse).alias("x"))["x"].to_list()
    [3, 1, 3, None]
    """
    points = pl.lit(None, pl.Int8)
    for edge, number in reversed(bands):
        points = pl.when(value <= edge + SAME_VALUE).then(pl.lit(number, pl.Int8)).otherwise(points)
    return points


def totalled(scored: pl.DataFrame, components: Sequence[str], score: str) -> pl.DataFrame:
    """Return stay_id, hours, the components, their total under the name of the score, and `measured`.

    >>> scored = pl.DataFrame({"stay_id": ["a"], "hours": [1.0], "cns": [2], "renal": [None]})
    >>> totalled(scored, ["cns", "renal"], "sofa").row(0)
    ('a', 1.0, 2, None, 2, 1)
    """
    parts = [pl.col(name).cast(pl.Int8) for name in components]
    total = reduce(add, [part.fill_null(0) for part in parts])
    measured = reduce(add, [part.is_not_null().cast(pl.Int8) for part in parts])
    return scored.select("stay_id", "hours", *parts, total.alias(score), measured.alias("measured"))


def require_hours(windows: Mapping[str, int], least: int = 1) -> None:
    """Raise InputError on a window that is no whole number of hours, or below `least`."""
    for name, hours in windows.items():
        if not isinstance(hours, int) or isinstance(hours, bool) or hours < least:
            raise InputError(f"{name} is {hours!r}: a score is hourly, give a whole number of hours, {least} or more")
