"""qSOFA: three bedside signs."""

from __future__ import annotations

import polars as pl

from clinical_lstm.scores.base import (
    below,
    carried,
    exceeds,
    hourly_grid,
    placed,
    reaches,
    require_hours,
    totalled,
    with_last,
)

POINTS = {
    "respiration": reaches(pl.col("respiratory_rate"), 22),
    "systolic_pressure": 1 - exceeds(pl.col("sbp"), 100),
    "mentation": pl.max_horizontal(below(pl.col("gcs"), 15), reaches(pl.col("not_alert"), 1)),
}
_PRESSURES = ["sbp", "sbp_noninvasive"]
_SIGNS = ["respiratory_rate", "gcs", "not_alert"]


def qsofa(stays: pl.DataFrame, observations: pl.DataFrame, *, carry_hours: int = 12) -> pl.DataFrame:
    """Return the hourly qSOFA: stay_id, hours, the three components (0 or 1), `qsofa` (0 to 3), `measured`.

    One point each: respiratory rate >= 22 /min; systolic pressure <= 100 mmHg; altered mentation, which is a Glasgow
    coma scale below 15 or `not_alert` = 1. Two points or more mark a patient with suspected infection as likely to do
    badly.

    Rules: of each sign the last value of the last `carry_hours`; systolic pressure is in each hour the arterial one,
    else the cuff's. A component without a value is null and counts 0.
    Raises InputError when `carry_hours` is no whole number of hours.

    >>> stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [1.0]})
    >>> observations = pl.DataFrame({"stay_id": "a", "hours": [0.5], "variable": "sbp", "value": [100.0]})
    >>> qsofa(stays, observations).row(0)
    ('a', 1.0, None, 1, None, 1, 1)

    Source: Singer et al., JAMA 315(8):801-810 (2016), doi 10.1001/jama.2016.0287; Seymour et al., JAMA 315(8):762-774
    (2016), doi 10.1001/jama.2016.0288.
    """
    require_hours({"carry_hours": carry_hours})
    grid = hourly_grid(stays)
    variables = [*_PRESSURES, *_SIGNS]
    seen = with_last(grid, placed(grid, observations, variables), variables)
    known = seen.with_columns(
        carried(pl.coalesce(*_PRESSURES), carry_hours).alias("sbp"), *(carried(pl.col(n), carry_hours) for n in _SIGNS)
    )
    return totalled(known.select("stay_id", "hours", **POINTS), list(POINTS), "qsofa")
