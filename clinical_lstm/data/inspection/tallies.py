"""Counts that are merged by addition: how often each rounded value occurs."""

from __future__ import annotations

import polars as pl

_DIGITS = 3


def counted(*keys: str, **more: pl.DataType) -> pl.DataFrame:
    """Return an empty tally: text `keys` and other columns, and `rows`."""
    return pl.DataFrame(schema=dict.fromkeys(keys, pl.String()) | more | {"rows": pl.Int64()})


def merged(tally: pl.DataFrame, things: pl.DataFrame) -> pl.DataFrame:
    """Return `tally` with each row of `things` counted, sorted by its keys.

    >>> merged(counted("site"), pl.DataFrame({"site": ["b", "a", "b"]})).rows()
    [('a', 1), ('b', 2)]
    """
    keys = [name for name in tally.columns if name != "rows"]
    new = things.group_by(keys).agg(pl.len().cast(pl.Int64).alias("rows"))
    return pl.concat([tally, new]).group_by(keys).agg(pl.col("rows").sum()).sort(keys)


def values(rows: pl.DataFrame) -> pl.DataFrame:
    """Return variable, value (finite, rounded to 3 significant digits) of long rows.

    >>> values(pl.DataFrame({"variable": ["ph", "ph"], "value": [7.4049, float("nan")]})).rows()
    [('ph', 7.4)]
    """
    finite = rows.filter(pl.col("value").is_finite())
    unsigned = pl.when(pl.col("value") != 0).then("value").otherwise(0.0)  # no negative zero
    return finite.select("variable", unsigned.round_sig_figs(_DIGITS).alias("value"))


def intervals(observations: pl.DataFrame) -> pl.DataFrame:
    """Return variable, value: the hours between the distinct times of a variable in a stay, rounded.

    >>> seen = pl.DataFrame({"stay_id": ["a", "a"], "variable": ["ph", "ph"], "hours": [1.0, 3.5]})
    >>> intervals(seen).rows()
    [('ph', 2.5)]
    """
    keys = ["variable", "stay_id"]
    numbered = [pl.col(key).cast(pl.Categorical).to_physical().alias(f"{key} number") for key in keys]  # faster to sort
    times = observations.filter(pl.col("hours").is_finite()).select("variable", "hours", *numbered)
    times = times.sort(*(f"{key} number" for key in keys), "hours")
    same = pl.all_horizontal(pl.col(f"{key} number") == pl.col(f"{key} number").shift() for key in keys)
    gap = pl.col("hours").diff()
    return times.select(
        "variable", pl.when(same & (gap > 0)).then(gap).round_sig_figs(_DIGITS).alias("value")
    ).drop_nulls()


def quantile(tally: pl.DataFrame, share: float) -> float | None:
    """Return the smallest value (of a tally sorted by value) that `share` of the rows do not exceed; None of nothing.

    >>> quantile(pl.DataFrame({"value": [1.0, 2.0, 9.0], "rows": [1, 2, 1]}), 0.5)
    2.0
    """
    if not tally.height:
        return None
    reached = tally["rows"].cum_sum() >= share * int(tally["rows"].sum())
    return float(tally.filter(reached)["value"][0])
