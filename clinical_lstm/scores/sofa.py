"""SOFA: six organs, 0 to 4 points each."""

from __future__ import annotations

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.scores.base import (
    SAME_HOURS,
    below,
    exceeds,
    hourly_grid,
    latest,
    placed,
    reaches,
    require_hours,
    totalled,
)

_RATIO = pl.col("pao2") / pl.col("fio2")
_SUPPORTED = pl.col("mechanical_ventilation") == 1
_PRESSURE = below(pl.col("map"), 70)
_CREATININE = reaches(pl.col("creatinine"), 1.2, 2.0, 3.5, 5.0)
_URINE = 3 * below(pl.col("urine_24h"), 500) + below(pl.col("urine_24h"), 200)
_AGENTS = {  # ug/kg/min, given for at least 1 h
    "dopamine": 2 * exceeds(pl.col("dopamine"), 0) + exceeds(pl.col("dopamine"), 5, 15),
    "dobutamine": 2 * exceeds(pl.col("dobutamine"), 0),
    "epinephrine": 3 * exceeds(pl.col("epinephrine"), 0) + exceeds(pl.col("epinephrine"), 0.1),
    "norepinephrine": 3 * exceeds(pl.col("norepinephrine"), 0) + exceeds(pl.col("norepinephrine"), 0.1),
}
_LEVELS = [2, 3, 4]  # the points that an agent can bring
POINTS = {
    "respiration": below(_RATIO, 400, 300) + pl.when(_SUPPORTED).then(below(_RATIO, 200, 100)).otherwise(0),
    "coagulation": below(pl.col("platelets"), 150, 100, 50, 20),
    "liver": reaches(pl.col("bilirubin_total"), 1.2, 2.0, 6.0, 12.0),
    "cardiovascular": pl.max_horizontal(_PRESSURE, *_AGENTS.values()),
    "cns": below(pl.col("gcs"), 15, 13, 10, 6),
    "renal": pl.max_horizontal(_CREATININE, _URINE),
}
_SINGLE = {  # what one measurement tells: hourly column -> (variable, its rule)
    "coagulation": ("platelets", POINTS["coagulation"]),
    "liver": ("bilirubin_total", POINTS["liver"]),
    "arterial": ("map", _PRESSURE),
    "cuff": ("map_noninvasive", _PRESSURE),
    "cns": ("gcs", POINTS["cns"]),
    "creatinine": ("creatinine", _CREATININE),
}
_VARIABLES = [
    *(variable for variable, _ in _SINGLE.values()),
    *_AGENTS,
    *("pao2", "fio2", "mechanical_ventilation", "urine_output"),
]
_MICROLITRES = 1000  # in one mL: volumes are summed as whole numbers, so that a moving sum stays exact
_DAY = 24


def sofa(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    *,
    window_hours: int = 24,
    carry_hours: int = 0,
    fio2_hours: float = 12.0,
    urine_gap_hours: int = 8,
) -> pl.DataFrame:
    """Return the hourly SOFA: stay_id, hours, the six components, `sofa` (0 to 24), `measured` (0 to 6).

    ```
    points           0       1          2              3                   4
    respiration   >= 400   < 400      < 300        < 200 and supp.   < 100 and supp.   PaO2/FiO2, mmHg
    coagulation   >= 150   < 150      < 100        < 50              < 20              platelets, 10^9/L
    liver         < 1.2    >= 1.2     >= 2.0       >= 6.0            >= 12.0           bilirubin, mg/dL
    cardiovascular         MAP < 70   dopa <= 5    dopa > 5          dopa > 15         mmHg; ug/kg/min
                                      dobutamine   (nor)epi <= 0.1   (nor)epi > 0.1
    cns           15       < 15       < 13         < 10              < 6               Glasgow coma scale
    renal         < 1.2    >= 1.2     >= 2.0       >= 3.5            >= 5.0            creatinine, mg/dL
                                                   < 500             < 200             urine, mL in 24 h
    ```
    Rules: the worst value of the last `window_hours`; a component without one keeps its last points for another
    `carry_hours` (0: not at all), then it is null and counts 0.
    - Respiration: each PaO2 with the FiO2 last stated, at most `fio2_hours` before it; without one, not assessable
      (room air is not assumed). 3 and 4 points only while mechanically ventilated (`mechanical_ventilation` = 1 as last
      stated), else at most 2.
    - Cardiovascular: in each hour the arterial mean pressure, else the cuff's. A rate holds until the next one of that
      agent, 0 at its stop. Agents count once they have brought at least so many points for 1 h without a break, then
      to the end of the run: 40 min at 0.08 and 40 min at 0.12 ug/kg/min are 3 points, not 4.
    - Renal: the urine of the last 24 h, from hour 24 on (its window is always 24 h), where no stretch of
      `urine_gap_hours` of it is without a reading: a chart with holes is no oliguria.
    - Left open by the table and taken so: bilirubin 12.0 and creatinine 5.0 are 4 points, dopamine 5.0 is 2; a band
      begins at its lower printed value (1.95 mg/dL is in 1.2-1.9).

    Limits: phenylephrine, vasopressin and renal replacement have no points in the table; SpO2/FiO2 is no substitute for
    PaO2/FiO2; ventilation stands for every respiratory support; the Glasgow score of the sedated counts as charted.
    Raises InputError on a window that is no whole number of hours, or a negative `fio2_hours`.

    >>> stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [2.0]})
    >>> seen = {"hours": [0.5, 1.5], "variable": ["platelets", "gcs"], "value": [90.0, 13.0]}
    >>> observations = pl.DataFrame({"stay_id": ["a", "a"]} | seen)
    >>> sofa(stays, observations).select("hours", "coagulation", "cns", "sofa", "measured").rows()
    [(1.0, 2, None, 2, 1), (2.0, 2, 1, 3, 2)]

    Source: Vincent et al., Intensive Care Med 22(7):707-710 (1996), doi 10.1007/BF01709751; as in Singer et al.,
    JAMA 315(8):801-810 (2016), doi 10.1001/jama.2016.0287.
    """
    require_hours({"window_hours": window_hours})
    require_hours({"carry_hours": carry_hours}, least=0)
    require_hours({"urine_gap_hours": urine_gap_hours})
    if urine_gap_hours > _DAY:
        raise InputError(f"urine_gap_hours is {urine_gap_hours!r}: the urine is that of a day, give {_DAY} or less")
    if not isinstance(fio2_hours, (int, float)) or not fio2_hours >= 0:
        raise InputError(f"fio2_hours is {fio2_hours!r}: give the hours that an FiO2 holds, 0 or more")
    grid = hourly_grid(stays)
    rows = placed(grid, observations, _VARIABLES)
    for hourly in [
        *(_worst(_own(rows, variable, rule), name, rule) for name, (variable, rule) in _SINGLE.items()),
        _worst(_oxygenation(rows, fio2_hours), "respiration", POINTS["respiration"]),
        _sustained(rows, grid),
        _urine(rows),
    ]:
        grid = grid.join(hourly, on="row", how="left", maintain_order="left")
    renal = pl.max_horizontal(_held("creatinine", window_hours, carry_hours), _URINE)
    scored = grid.with_columns(
        pl.max_horizontal(pl.coalesce("arterial", "cuff"), "agents").alias("cardiovascular"),
        _last_day(urine_gap_hours).alias("urine_24h"),
    ).with_columns(renal=renal, **{name: _held(name, window_hours, carry_hours) for name in POINTS if name != "renal"})
    return totalled(scored, list(POINTS), "sofa")


def _own(rows: pl.DataFrame, variable: str, rule: pl.Expr) -> pl.DataFrame:
    """Return the rows of `variable`, its value in the column that the rule reads."""
    return rows.filter(pl.col("variable") == variable).rename({"value": rule.meta.root_names()[0]})


def _worst(values: pl.DataFrame, name: str, rule: pl.Expr) -> pl.DataFrame:
    """Return the most points in each hour: row, `name`."""
    return values.select("row", rule.alias(name)).group_by("row").agg(pl.col(name).max())


def _held(name: str, window_hours: int, carry_hours: int) -> pl.Expr:
    """Return the worst of the window, or as it was last in the `carry_hours` before; an expression over the grid."""
    worst = pl.col(name).rolling_max(window_hours, min_samples=1)
    return worst.forward_fill(limit=carry_hours).over("stay")


def _oxygenation(rows: pl.DataFrame, fio2_hours: float) -> pl.DataFrame:
    """Return each arterial oxygen pressure with the FiO2 and the ventilation that it was measured under."""
    pressures = rows.filter(pl.col("variable") == "pao2").rename({"value": "pao2"})
    return latest(latest(pressures, rows, "fio2", fio2_hours), rows, "mechanical_ventilation")


def _sustained(rows: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """Return the points of the agents in each hour that has any: row, agents.

    ```
        points now       2  3  4  3  2           a rate holds until the next one of its agent
        at least 3          |_____|              a run: counts from 1 h after its begin, to its end
    ```
    An hour sees only what is stamped by its end: a run that goes on then is long enough by then, or not.
    """
    doses = [
        pl.when(pl.col("variable") == name).then("value").forward_fill().over("stay").alias(name) for name in _AGENTS
    ]
    now = (
        rows.filter(pl.col("variable").is_in(list(_AGENTS)))
        .select("stay", "hours", *doses)
        .unique(["stay", "hours"], keep="last", maintain_order=True)
        .select("stay", "hours", pl.max_horizontal(*_AGENTS.values()).alias("points"))
    )
    levels = now.join(pl.DataFrame({"level": _LEVELS}, schema={"level": pl.Int8}), how="cross")
    levels = levels.with_columns(pl.col("points") >= pl.col("level")).sort("stay", "level", "hours")
    turned = pl.col("points") != pl.col("points").shift().over("stay", "level")
    until = pl.col("hours").shift(-1).over("stay", "level")
    ends = grid.group_by("stay").agg(pl.col("row").min(), pl.len().alias("length"))
    long_enough = pl.col("until").is_null() | (pl.col("until") - pl.col("hours") >= 1 - SAME_HOURS)
    first = (pl.col("hours") + 1 - SAME_HOURS).ceil().cast(pl.Int64)
    last = pl.min_horizontal(pl.col("until").ceil().cast(pl.Int64), "length")
    return (
        levels.filter(turned.fill_null(True))
        .with_columns(until.alias("until"))
        .filter("points", long_enough)
        .join(ends, on="stay")
        .select("level", (pl.col("row") - 1 + pl.int_ranges(first, last + 1)).alias("row"))
        .filter(pl.col("row").list.len() > 0)
        .explode("row")
        .group_by("row")
        .agg(pl.col("level").max().alias("agents"))
    )


def _urine(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the urine of each hour that has a reading: row, microlitres."""
    volume = (pl.col("value") * _MICROLITRES).round().cast(pl.Int64)
    own = rows.filter(pl.col("variable") == "urine_output")
    return own.group_by("row").agg(volume.sum().alias("microlitres"))


def _last_day(gap_hours: int) -> pl.Expr:
    """Return the mL of the last 24 h where every stretch of `gap_hours` in it has a reading; over the grid."""
    read = pl.col("microlitres").is_not_null().cast(pl.Int32)
    stretches = _DAY - gap_hours + 1
    whole = read.rolling_sum(gap_hours).rolling_min(stretches).over("stay") > 0
    total = pl.col("microlitres").fill_null(0).rolling_sum(_DAY).over("stay")
    return pl.when(whole).then(total / _MICROLITRES)
