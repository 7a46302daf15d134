"""NEWS2: the national early warning score of the Royal College of Physicians."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from clinical_lstm.scores.base import (
    below,
    carried,
    charted,
    exceeds,
    hourly_grid,
    placed,
    reaches,
    require_hours,
    totalled,
    with_last,
)

_REST = float("inf")
_SCALE_1 = charted(pl.col("spo2").round(), (91, 3), (93, 2), (95, 1), (_REST, 0))
_SCALE_2_AIR = charted(pl.col("spo2").round(), (83, 3), (85, 2), (87, 1), (_REST, 0))
_SCALE_2_OXYGEN = charted(pl.col("spo2").round(), (83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (_REST, 3))
_ON_OXYGEN = pl.col("oxygen") == 1
POINTS = {
    "respiration": charted(pl.col("respiratory_rate").round(), (8, 3), (11, 1), (20, 0), (24, 2), (_REST, 3)),
    "saturation": pl.when(pl.col("scale_2") & _ON_OXYGEN)
    .then(_SCALE_2_OXYGEN)
    .when("scale_2")
    .then(_SCALE_2_AIR)
    .otherwise(_SCALE_1),
    "air_or_oxygen": 2 * reaches(pl.col("oxygen"), 1),
    "systolic_pressure": charted(pl.col("sbp").round(), (90, 3), (100, 2), (110, 1), (219, 0), (_REST, 3)),
    "pulse": charted(pl.col("heart_rate").round(), (40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (_REST, 3)),
    "consciousness": 3 * reaches(pl.col("not_alert"), 1),
    "temperature": charted(pl.col("temperature").round(1), (35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), (_REST, 2)),
}
CLASSES = pl.Enum(["low", "low-medium", "medium", "high"])
_VITALS = ["respiratory_rate", "spo2", "sbp", "sbp_noninvasive", "heart_rate", "not_alert", "gcs", "temperature"]
_STATES = ["fio2", "oxygen_flow", "mechanical_ventilation"]
_ROOM_AIR = 0.21


def news2(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    *,
    carry_hours: int = 12,
    scale_2_stays: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the hourly NEWS2: stay_id, hours, the seven components, `news2` (0 to 20), `measured`, `risk_class`.

    ```
    points                3      2       1         0          1        2        3
    respiration, /min   <= 8           9-11      12-20              21-24    >= 25
    saturation 1, %     <= 91  92-93   94-95     >= 96
    saturation 2, %     <= 83  84-85   86-87   88-92, or     93-94    95-96    >= 97     the right half on oxygen,
                                             >= 93 on air                                the left one always
    air or oxygen              oxygen              air
    systolic, mmHg      <= 90  91-100  101-110   111-219                     >= 220
    pulse, /min         <= 40          41-50     51-90     91-110   111-130  >= 131
    consciousness                                alert                       C, V, P, U
    temperature, degC   <= 35.0        35.1-36.0 36.1-38.0 38.1-39.0 >= 39.1
    ```
    Class: low 0 to 4; low-medium where a total of 0 to 4 has a 3 in one component; medium 5 and 6; high from 7 on; null
    where nothing was measured. With a component missing, total and class are lower bounds: see `measured`.

    Rules: of each vital sign the last value of the last `carry_hours` (12 is the longest interval between observations
    that the RCP allows), at the precision of the chart (whole numbers, temperature to 0.1); a component without one is
    null and counts 0.
    - Systolic pressure: in each hour the arterial one, else the cuff's.
    - Consciousness: `not_alert` = 1 or a Glasgow coma scale below 15 is not alert.
    - Oxygen: FiO2 above 0.21, an oxygen flow or mechanical ventilation, each as last stated, however long ago.
    - SpO2 scale 2 (target 88 to 92 % in hypercapnic respiratory failure) is a prescription, not a measurement: it is
      used for the stays named in `scale_2_stays`.

    Limits: made for adults who are not pregnant, outside intensive care; sedation counts as not alert.
    Raises InputError when `carry_hours` is no whole number of hours.

    >>> stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [1.0]})
    >>> observations = pl.DataFrame({"stay_id": "a", "hours": [0.5], "variable": "respiratory_rate", "value": [25.0]})
    >>> news2(stays, observations).select("respiration", "pulse", "news2", "measured", "risk_class").row(0)
    (3, None, 3, 1, 'low-medium')

    Source: Royal College of Physicians. National Early Warning Score (NEWS) 2: Standardising the assessment of
    acute-illness severity in the NHS. Updated report of a working party. London: RCP, 2017 (no DOI). NEWS2 is the work
    of the Royal College of Physicians and is acknowledged as such; scoring a record by it is not endorsed by the RCP.
    """
    require_hours({"carry_hours": carry_hours})
    grid = hourly_grid(stays)
    seen = with_last(grid, placed(grid, observations, [*_VITALS, *_STATES]), [*_VITALS, *_STATES])
    signs = {
        "sbp": pl.coalesce("sbp", "sbp_noninvasive"),
        **{name: pl.col(name) for name in _VITALS if name not in ("sbp", "sbp_noninvasive")},
    }
    known = seen.select(
        "stay_id",
        "hours",
        pl.col("stay_id").is_in(list(scale_2_stays)).alias("scale_2"),
        *(carried(sign, carry_hours).alias(name) for name, sign in signs.items()),
        *(carried(pl.col(name)) for name in _STATES),
    )
    not_alert = pl.max_horizontal(reaches(pl.col("not_alert"), 1), below(pl.col("gcs"), 15))
    supported = exceeds(pl.col("fio2"), _ROOM_AIR), reaches(pl.col("mechanical_ventilation"), 1)
    oxygen = pl.max_horizontal(exceeds(pl.col("oxygen_flow"), 0), *supported)
    known = known.with_columns(not_alert.alias("not_alert"), oxygen.alias("oxygen"))
    scored = totalled(known.select("stay_id", "hours", **POINTS), list(POINTS), "news2")
    return scored.with_columns(_risk_class().alias("risk_class"))


def _risk_class() -> pl.Expr:
    total, red = pl.col("news2"), pl.any_horizontal(pl.col(name) == 3 for name in POINTS)
    return (
        pl.when(pl.col("measured") == 0)
        .then(None)
        .when(total >= 7)
        .then(pl.lit("high"))
        .when(total >= 5)
        .then(pl.lit("medium"))
        .when(red)
        .then(pl.lit("low-medium"))
        .otherwise(pl.lit("low"))
        .cast(CLASSES)
    )
