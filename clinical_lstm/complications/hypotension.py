"""Hypotension: mean arterial pressure below a threshold for some time."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import (
    SAME_HOURS,
    at_most,
    below,
    check_thresholds,
    episodes_from,
    joined,
    mean_pressure,
)
from clinical_lstm.errors import InputError, closest

NEEDS = [["map"], ["map_noninvasive"]]
MEMORY_HOURS = 2.5  # a run of 30 minutes may begin 90 minutes back, with a cuff reading that looks back for an hour

_RUN = {"below_mmhg": 65.0, "min_minutes": 30.0, "max_gap_minutes": 60.0}
_MINUTE = 1 / 60
_AHE_MMHG, _AHE_READINGS, _AHE_LOW = 60.0, 30, 27  # 27 of 30 is 90 %


def hypotension(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    definition: str = "run",
    below_mmhg: float = 65.0,
    min_minutes: float = 30.0,
    max_gap_minutes: float = 60.0,
    cuff_minutes: float = 60.0,
    derive: bool = False,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of hypotension.

    ```
        MAP    70  64  63  61  66        definition "run": neighbouring readings, all below 65 mmHg, at most 60 minutes
                   |_______|             apart, the last at least 30 minutes after the first; nothing is carried forward
                   |___________|         onset = first low reading, end = the reading that ends it (else the last)
    ```
    `ahe_2009`, the acute hypotensive episode of the PhysioNet Challenge 2009: a window of 30 consecutive one-minute
    values with at least 27 (90 %) at or below 60 mmHg; episodes are the unions of windows that overlap or touch. Its
    numbers are fixed, and readings must be stamped by the minute.

    Arterial readings (`map`) are used; a cuff reading (`map_noninvasive`) counts only where no arterial one was taken
    in the `cuff_minutes` up to it.

    Limits: a low first reading is an onset at that reading: it was there when first looked at. Kept-up pressures
    (vasopressors) are no hypotension: see `circulatory_failure`. A damped or flushed line is not told from the truth.
    With hourly charting a run is two readings; the onset is known 30 minutes or more after it.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        definition: "run" or "ahe_2009".
        below_mmhg, min_minutes, max_gap_minutes: the numbers of a run.
        cuff_minutes: see above.
        derive: where no mean pressure was charted, take (SBP + 2 DBP) / 3 of what was.
        free_hours: episodes less than this apart are one.

    Source: MAP 65 mmHg: Singer et al., JAMA 315:801-810 (2016), doi 10.1001/jama.2016.0287 (septic shock). `ahe_2009`:
    Moody and Lehman, Comput Cardiol 36:541-544 (2009).
    """
    run = {"below_mmhg": below_mmhg, "min_minutes": min_minutes, "max_gap_minutes": max_gap_minutes}
    check_thresholds("hypotension", **run, cuff_minutes=cuff_minutes, free_hours=free_hours)
    if definition not in ("run", "ahe_2009"):
        advice = closest(str(definition), ["run", "ahe_2009"])
        raise InputError(f"complications/hypotension: definition {definition!r} is unknown: {advice}")
    pressure = mean_pressure(observations, cuff_minutes, derive)
    if definition == "ahe_2009":
        if run != _RUN:
            raise InputError(f"complications/hypotension: ahe_2009 has fixed numbers: leave out {', '.join(_RUN)}")
        return joined(_low_windows(pressure), "hypotension", max(free_hours, 2 * _MINUTE))
    return episodes_from(
        pressure.with_columns(met=below("map", below_mmhg)),
        "hypotension",
        bridge_hours=max_gap_minutes / 60,
        min_hours=min_minutes / 60,
        free_hours=free_hours,
    )


def _low_windows(pressure: pl.DataFrame) -> pl.DataFrame:
    """Return the windows (stay_id, onset_hours, end_hours) of 30 one-minute values of which 27 are low."""
    follows = (pl.col("stay_id") == pl.col("stay_id").shift()) & (
        (pl.col("hours").diff() - _MINUTE).abs() < SAME_HOURS
    ).fill_null(False)
    low = at_most("map", _AHE_MMHG)
    unbroken = follows.cast(pl.Int64).rolling_sum(_AHE_READINGS - 1) == _AHE_READINGS - 1
    enough = low.cast(pl.Int64).rolling_sum(_AHE_READINGS) >= _AHE_LOW
    begin = pl.col("hours").shift(_AHE_READINGS - 1)
    return pressure.select("stay_id", onset_hours=begin, end_hours="hours", met=unbroken & enough).filter("met")
