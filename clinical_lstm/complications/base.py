"""What the complications share: from measurements to assessments, from assessments to episodes.

A complication is a function `(stays, observations, given, **thresholds) -> schemas.Episodes` of one shard, beside two
constants. `NEEDS`: alternative sets of variables, any one of which lets a stay be judged; empty where the data set
states the event. `MEMORY_HOURS`: how far back from t a measurement may lie that bears on the assessment at t, with the
thresholds at their defaults; a state (a weight, a running treatment) holds until it is charted anew.
"""

from __future__ import annotations

import math

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.scores.base import SAME_HOURS, SAME_VALUE

ORDER = ["stay_id", "hours"]


def stated(given: pl.DataFrame, complication: str) -> pl.DataFrame:
    """Return the episodes of `complication` that the data set itself states.

    >>> given = pl.DataFrame({"stay_id": ["a"], "complication": ["death"], "onset_hours": [50.0], "end_hours": [50.0]})
    >>> stated(given, "sepsis_label").height
    0
    """
    return given.filter(pl.col("complication") == complication)


# --- thresholds -------------------------------------------------------------------------------------------------------


def check_thresholds(complication: str, **thresholds: float) -> None:
    """Raise InputError unless every threshold is a number of at least 0.

    >>> check_thresholds("hypotension", below_mmhg="low")
    Traceback (most recent call last):
    clinical_lstm.errors.InputError: complications/hypotension: below_mmhg must be a number of at least 0, not 'low'
    """
    for name, value in thresholds.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or math.isnan(value) or value < 0:
            raise InputError(f"complications/{complication}: {name} must be a number of at least 0, not {value!r}")


def at_least(value: str, bound: float) -> pl.Expr:
    """Return whether the column `value` is at or above `bound`, equality as in decimals."""
    return pl.col(value) >= bound - SAME_VALUE


def at_most(value: str, bound: float) -> pl.Expr:
    """Return whether the column `value` is at or below `bound`, equality as in decimals."""
    return pl.col(value) <= bound + SAME_VALUE


def below(value: str, bound: float) -> pl.Expr:
    """Return whether the column `value` is below `bound`, equality as in decimals."""
    return pl.col(value) < bound - SAME_VALUE


# --- series -----------------------------------------------------------------------------------------------------------


def measured(observations: pl.DataFrame, variable: str) -> pl.DataFrame:
    """Return the series of one variable: stay_id, hours and the value, named `variable`; sorted."""
    own = observations.filter(pl.col("variable") == variable)
    return own.select("stay_id", "hours", pl.col("value").alias(variable)).sort(ORDER)


def running(observations: pl.DataFrame, treatments: list[str]) -> pl.DataFrame:
    """Return the series `running` (stay_id, hours, running): how many of `treatments` run from then on.

    ```
        norepinephrine   0.1 ........ 0           a value states the rate from then on, 0 the stop
        vasopressin           2.4 ........ 0
        running          1    2       1    0
    ```
    """
    rows = observations.filter(pl.col("variable").is_in(treatments)).sort("stay_id", "variable", "hours")
    on = (pl.col("value") > 0).cast(pl.Int64)
    changed = rows.with_columns(change=on - on.shift().over("stay_id", "variable").fill_null(0))
    turns = changed.group_by(ORDER).agg(pl.col("change").sum()).sort(ORDER)
    return turns.select(*ORDER, running=pl.col("change").cum_sum().over("stay_id"))


def held(points: pl.DataFrame, series: pl.DataFrame, within_hours: float = float("inf")) -> pl.DataFrame:
    """Return `points` (stay_id, hours, ...), sorted, with the series as it was last known at or before each.

    The value is null where the series (stay_id, hours, one column) has none within the last `within_hours` (inclusive).

    >>> oxygen = pl.DataFrame({"stay_id": ["a"], "hours": [1.0], "fio2": [0.5]})
    >>> held(pl.DataFrame({"stay_id": ["a", "a"], "hours": [2.0, 9.0]}), oxygen, 4.0)["fio2"].to_list()
    [0.5, None]
    """
    (name,) = (column for column in series.columns if column not in ORDER)
    known = series.sort(ORDER).rename({"hours": "seen"})
    found = (
        points.sort(ORDER, maintain_order=True)
        .with_columns(until=pl.col("hours") + SAME_HOURS)
        .join_asof(known, left_on="until", right_on="seen", by="stay_id", check_sortedness=False, coalesce=False)
    )
    fresh = pl.col("hours") - pl.col("seen") <= within_hours + SAME_HOURS
    return found.with_columns(pl.when(fresh).then(name).alias(name)).drop("until", "seen")


def latest(
    points: pl.DataFrame, observations: pl.DataFrame, variable: str, within_hours: float = float("inf")
) -> pl.DataFrame:
    """Return `points` (stay_id, hours, ...), sorted, with `variable` as it was last observed: `held` of `measured`."""
    return held(points, measured(observations, variable), within_hours)


def moments(*series: pl.DataFrame) -> pl.DataFrame:
    """Return the times (stay_id, hours) of all series, each once, sorted."""
    return pl.concat([one.select(ORDER) for one in series]).unique().sort(ORDER)


def mean_pressure(observations: pl.DataFrame, cuff_minutes: float, derive: bool = False) -> pl.DataFrame:
    """Return the mean arterial pressure in mmHg: stay_id, hours, map; sorted, one reading a time.

    A cuff reading counts only where no arterial one was taken in the `cuff_minutes` up to it (inclusive). With
    `derive`, MAP = (SBP + 2 DBP) / 3 stands in where both were charted at a time that has no mean pressure.
    """
    arterial = measured(observations, "map")
    cuff = measured(observations, "map_noninvasive").rename({"map_noninvasive": "map"})
    if derive:
        charted = moments(arterial, cuff)
        mean = ((pl.col("sbp") + 2 * pl.col("dbp")) / 3).alias("map")
        for_kind = []
        for readings, suffix in ((arterial, ""), (cuff, "_noninvasive")):
            both = measured(observations, f"sbp{suffix}").rename({f"sbp{suffix}": "sbp"})
            both = both.join(measured(observations, f"dbp{suffix}").rename({f"dbp{suffix}": "dbp"}), on=ORDER)
            for_kind.append(pl.concat([readings, both.join(charted, on=ORDER, how="anti").select(*ORDER, mean)]))
        arterial, cuff = for_kind
    recent = held(cuff, arterial.rename({"map": "arterial"}), cuff_minutes / 60)
    return pl.concat([arterial, recent.filter(pl.col("arterial").is_null()).drop("arterial")]).sort(ORDER)


# --- episodes ---------------------------------------------------------------------------------------------------------


def episodes_from(
    judged: pl.DataFrame,
    complication: str,
    *,
    bridge_hours: float = float("inf"),
    min_hours: float = 0.0,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return `schemas.Episodes`, sorted: the runs of assessments that meet a criterion.

    ```
        met        .  x  x  x  .  x  .  .  .  .  x  x
                      |________|  |__|           |__|    runs: onset = the first that is met,
                      |______________|           |__|          end = the first that is no longer, if there is one
    ```
    The second line: the episodes where the first gap is below `free_hours`.

    Args:
        judged: stay_id, hours, met; null `met` is no assessment. Of several at one time, one that is met suffices.
        bridge_hours: neighbours further apart than this are of different runs.
        min_hours: a run counts when its last assessment that is met lies at least this long after its first.
        free_hours: episodes less than this apart (end to onset) are one.

    >>> judged = pl.DataFrame({"stay_id": "a", "hours": [1.0, 2.0, 3.0, 4.0], "met": [True, True, False, True]})
    >>> episodes_from(judged, "hypotension").select("onset_hours", "end_hours").rows()
    [(1.0, 3.0), (4.0, 4.0)]
    """
    points = judged.drop_nulls("met").group_by(ORDER).agg(pl.col("met").any()).sort(ORDER)
    near = (pl.col("stay_id") == pl.col("stay_id").shift()) & (pl.col("hours").diff() <= bridge_hours + SAME_HOURS)
    over = pl.when(near.shift(-1)).then(pl.col("hours").shift(-1)).otherwise("hours")
    begins = (~near | (pl.col("met") != pl.col("met").shift())).fill_null(True)
    runs = (
        points.with_columns(end_hours=over, run=begins.cum_sum())
        .filter("met")
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("stay_id").first(),
            pl.col("hours").first().alias("onset_hours"),
            pl.col("hours").last().alias("last_hours"),
            pl.col("end_hours").last(),
        )
    )
    lasting = runs.filter(pl.col("last_hours") - pl.col("onset_hours") >= min_hours - SAME_HOURS)
    return joined(lasting, complication, free_hours)


def joined(spans: pl.DataFrame, complication: str, free_hours: float) -> pl.DataFrame:
    """Return `schemas.Episodes`, sorted: `spans` (stay_id, onset_hours, end_hours), the close ones joined."""
    spans = spans.sort("stay_id", "onset_hours", "end_hours")
    latest_end = pl.col("end_hours").cum_max().over("stay_id").shift()
    new = (pl.col("stay_id") != pl.col("stay_id").shift()).fill_null(True)
    begins = new | (pl.col("onset_hours") - latest_end >= free_hours - SAME_HOURS)
    return (
        spans.with_columns(begins.fill_null(True).cum_sum().alias("episode"))
        .group_by("episode", maintain_order=True)
        .agg(pl.col("stay_id", "onset_hours").first(), pl.col("end_hours").max())
        .with_columns(pl.lit(complication).alias("complication"))
        .select(schemas.Episodes.column_names())
    )
