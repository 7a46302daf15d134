"""SIRS: the systemic inflammatory response syndrome, four criteria."""

from __future__ import annotations

import polars as pl

from clinical_lstm.scores.base import (
    below,
    carried,
    exceeds,
    hourly_grid,
    placed,
    require_hours,
    totalled,
    with_last,
)

_TEMPERATURE = pl.col("temperature").round(1)  # 100.4 degF is 38.0 degC, not 38.0000001
_CELLS = pl.col("wbc")
POINTS = {
    "temperature": pl.max_horizontal(exceeds(_TEMPERATURE, 38), below(_TEMPERATURE, 36)),
    "pulse": exceeds(pl.col("heart_rate"), 90),
    "respiration": pl.max_horizontal(exceeds(pl.col("respiratory_rate"), 20), below(pl.col("paco2"), 32)),
    "leukocytes": pl.max_horizontal(exceeds(_CELLS, 12), below(_CELLS, 4), exceeds(pl.col("bands"), 10)),
}
_VITALS = ["temperature", "heart_rate", "respiratory_rate"]
_LABS = ["paco2", "wbc", "bands"]


def sirs(
    stays: pl.DataFrame, observations: pl.DataFrame, *, carry_hours: int = 12, lab_hours: int = 24
) -> pl.DataFrame:
    """Return the hourly SIRS criteria: stay_id, hours, the four components (0 or 1), `sirs` (0 to 4), `measured`.

    One point each: temperature above 38 or below 36 degC; heart rate above 90 /min; respiratory rate above 20 /min or
    PaCO2 below 32 mmHg; leukocytes above 12 or below 4 x 10^9/L, or more than 10 % bands. Two or more are SIRS.

    Rules: of each vital sign the last value of the last `carry_hours`, of each laboratory value that of the last
    `lab_hours`; temperature to 0.1 degC. Of a criterion with alternatives those that are known are judged; without any
    it is null and counts 0.
    Raises InputError on a window that is no whole number of hours.

    >>> stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [1.0]})
    >>> seen = {"hours": [0.5, 0.5], "variable": ["heart_rate", "wbc"], "value": [91.0, 12.0]}
    >>> observations = pl.DataFrame({"stay_id": ["a", "a"]} | seen)
    >>> sirs(stays, observations).row(0)
    ('a', 1.0, None, 1, None, 0, 1, 2)

    Source: Bone et al., Chest 101(6):1644-1655 (1992), doi 10.1378/chest.101.6.1644.
    """
    require_hours({"carry_hours": carry_hours, "lab_hours": lab_hours})
    grid = hourly_grid(stays)
    variables = [*_VITALS, *_LABS]
    seen = with_last(grid, placed(grid, observations, variables), variables)
    known = seen.with_columns(
        *(carried(pl.col(name), carry_hours) for name in _VITALS), *(carried(pl.col(name), lab_hours) for name in _LABS)
    )
    return totalled(known.select("stay_id", "hours", **POINTS), list(POINTS), "sirs")
