"""Acute kidney injury by KDIGO 2012: creatinine, urine output and renal replacement therapy."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import (
    SAME_HOURS,
    at_least,
    at_most,
    below,
    check_thresholds,
    episodes_from,
    held,
    latest,
    measured,
    moments,
)
from clinical_lstm.errors import InputError

NEEDS = [["creatinine"], ["urine_output", "weight"], ["urine_output", "weight_kg"]]
MEMORY_HOURS = 216.0  # a creatinine holds for 2 days, and is compared with those of the 7 days before it

_ACUTE_HOURS, _BASELINE_HOURS = 48, 168
_MILLISECONDS = 3_600_000  # of an hour: rolling windows need whole numbers


def aki_kdigo(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    stage: int = 1,
    hold_hours: float = 48.0,
    collection_hours: float = 24.0,
    free_hours: float = 48.0,
) -> pl.DataFrame:
    """Return the episodes of acute kidney injury of at least `stage`.

    With Cr a creatinine (mg/dL), low_48 and low_168 the lowest EARLIER ones at most 48 h and 7 days old, and
    U_W = volume in (t - W, t] / (W x weight) in mL/kg/h, from t = W on:

    | stage | creatinine | or urine |
    |---|---|---|
    | 1 | Cr >= 1.5 low_168, or Cr - low_48 >= 0.3 | U_6 < 0.5 |
    | 2 | Cr >= 2.0 low_168 | U_12 < 0.5 |
    | 3 | Cr >= 3.0 low_168, or stage 1 with Cr >= 4.0; or renal replacement runs | U_24 < 0.3, or nothing for 12 h |

    ```
        creatinine  0   .   .   .   1   .   .   .   0      each holds until its own next assessment, hold_hours at most
        urine           0   1   1   0   0   0   0          (renal replacement: until it stops)
        worst       0   0   1   1   1   1   1   1   0
                            |_______________________|      onset: first time the worst is at least `stage`
    ```
    A urine row is the volume since the row before (the first: since admission), spread evenly, and is assessed at its
    own time; a window that holds a part of a row collected over more than `collection_hours` is not. Weight: the latest
    observed at or before t, else that at admission; with neither, urine is not assessed. Stage 1 is the default because
    it is where the definition begins. Episodes less than 48 h apart are one (ADQI: reversal must be sustained).

    Limits: the first creatinine is never an onset (there is nothing to compare it with): what was already high at
    admission is seen only if it rises further. The baseline is in the data only, none is assumed. After 7 days at a
    new level the rise is no longer seen. A missing urine row makes the next look larger and later. Dialysis for chronic
    failure counts as stage 3. Not covered: eGFR below 35 under 18 years.

    Args:
        stays: `schemas.Stays` (weight_kg). observations: `schemas.Observations`. given: not used.
        stage: 1, 2 or 3.
        hold_hours: how long an assessment of creatinine or urine holds at most.
        collection_hours: the longest collection of urine that is spread.
        free_hours: episodes less than this apart are one.

    Source: KDIGO AKI Work Group, Kidney Int Suppl 2(1):1-138 (2012), doi 10.1038/kisup.2012.1, section 2.1; Chawla et
    al. (ADQI 16), Nat Rev Nephrol 13:241-257 (2017), doi 10.1038/nrneph.2017.2.
    """
    if isinstance(stage, bool) or stage not in (1, 2, 3):
        raise InputError(f"complications/aki_kdigo: stage must be 1, 2 or 3, not {stage!r}")
    hours = {"hold_hours": hold_hours, "collection_hours": collection_hours, "free_hours": free_hours}
    check_thresholds("aki_kdigo", **hours)
    creatinine, urine = _creatinine(observations), _urine(stays, observations, collection_hours)
    dialysis = measured(observations, "renal_replacement").select(
        "stay_id", "hours", dialysis=pl.when(pl.col("renal_replacement") > 0).then(3).otherwise(0)
    )
    known = held(moments(creatinine, urine, dialysis), creatinine, hold_hours)
    known = held(held(known, urine, hold_hours), dialysis)
    judged = known.with_columns(met=pl.max_horizontal("creatinine", "urine", "dialysis") >= stage)
    return episodes_from(judged, "aki_kdigo", free_hours=free_hours)


def _creatinine(observations: pl.DataFrame) -> pl.DataFrame:
    """Return the stage (0 to 3) of every creatinine: stay_id, hours, creatinine."""
    rows = measured(observations, "creatinine")
    rows = rows.with_columns(clock=(pl.col("hours") * _MILLISECONDS).round().cast(pl.Int64))

    def lowest(hours: int) -> pl.Expr:  # of [t - hours, t): earlier values only
        window = f"{hours * _MILLISECONDS}i"
        return pl.col("creatinine").rolling_min_by("clock", window, closed="left").over("stay_id")

    rows = rows.with_columns(
        rise=pl.col("creatinine") - lowest(_ACUTE_HOURS), ratio=pl.col("creatinine") / lowest(_BASELINE_HOURS)
    )
    acute = at_least("rise", 0.3) | at_least("ratio", 1.5)
    stage = (
        pl.when(at_least("ratio", 3.0) | (acute & at_least("creatinine", 4.0)))
        .then(3)
        .when(at_least("ratio", 2.0))
        .then(2)
        .when(acute)
        .then(1)
        .otherwise(0)
    )
    return rows.select("stay_id", "hours", creatinine=stage)


def _urine(stays: pl.DataFrame, observations: pl.DataFrame, collection_hours: float) -> pl.DataFrame:
    """Return the stage (0 to 3) at every urine row that can be assessed: stay_id, hours, urine."""
    rows = measured(observations, "urine_output").filter(pl.col("hours") > SAME_HOURS)  # 0 h: from before admission
    begin = pl.col("hours").shift().over("stay_id").fill_null(0.0)
    rows = rows.rename({"urine_output": "volume"}).with_columns(begin=begin)
    long = pl.col("hours") - pl.col("begin") > collection_hours + SAME_HOURS
    rows = rows.with_columns(
        total=pl.col("volume").cum_sum().over("stay_id"), long=long, longs=long.cast(pl.Int64).cum_sum().over("stay_id")
    )
    for window in (6, 12, 24):
        rows = _collected(rows, window)
    rows = latest(rows, observations, "weight").join(
        stays.select("stay_id", "weight_kg"), on="stay_id", how="left", maintain_order="left"
    )
    weight = pl.coalesce("weight", "weight_kg")
    rows = rows.with_columns((pl.col(f"ml_{w}") / (w * weight)).alias(f"rate_{w}") for w in (6, 12, 24))
    stage = (
        pl.when(below("rate_24", 0.3) | at_most("rate_12", 0.0))
        .then(3)
        .when(below("rate_12", 0.5))
        .then(2)
        .when(below("rate_6", 0.5))
        .then(1)
        .otherwise(0)
    )
    return (
        rows.select("stay_id", "hours", urine=stage, known=pl.col("rate_6").is_not_null()).filter("known").drop("known")
    )


def _collected(rows: pl.DataFrame, window: int) -> pl.DataFrame:
    """Add `ml_<window>`: the volume in (t - window, t], null before t = window and where a collection is too long.

    ```
        rows     |____60____|____40____|__30__|         the row whose collection the window cuts gives the share
        window         (___________________t]           of it that lies inside: total(t) - total(cut) + inside
    ```
    """
    start = pl.col("hours") - window
    cut = rows.select("stay_id", "long", "longs", "volume", "begin", "total", knot="hours")
    found = rows.with_columns(start=start - SAME_HOURS).join_asof(
        cut, left_on="start", right_on="knot", by="stay_id", strategy="forward", suffix="_cut", check_sortedness=False
    )
    after = pl.col("knot") - pl.col("hours") + window  # hours of the cut collection inside the window
    inside = pl.col("volume_cut") * after / (pl.col("knot") - pl.col("begin_cut"))
    volume = pl.col("total") - pl.col("total_cut") + pl.when(after > SAME_HOURS).then(inside).otherwise(0.0)
    long = pl.col("longs") - pl.col("longs_cut") + (pl.col("long_cut") & (after > SAME_HOURS)).cast(pl.Int64)
    assessed = (pl.col("hours") >= window - SAME_HOURS) & (long == 0)
    return found.with_columns(pl.when(assessed).then(volume).alias(f"ml_{window}")).select(
        *rows.columns, f"ml_{window}"
    )
