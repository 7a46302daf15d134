"""From intervals to step functions: the rate of a drug, and what is on or off."""

from __future__ import annotations

import polars as pl

from clinical_lstm.variables import vocabulary

# Canonical rate = factor x rate, divided by the weight in kg where the rate is not per kg.
RATES = pl.DataFrame(
    [
        ("mcg/kg/min", "ug/kg/min", 1.0, False),
        ("mcg/kg/hour", "ug/kg/min", 1 / 60, False),
        ("mg/kg/min", "ug/kg/min", 1000.0, False),
        ("mg/kg/hour", "ug/kg/min", 1000 / 60, False),
        ("mcg/min", "ug/kg/min", 1.0, True),
        ("mcg/hour", "ug/kg/min", 1 / 60, True),
        ("mg/min", "ug/kg/min", 1000.0, True),
        ("mg/hour", "ug/kg/min", 1000 / 60, True),
        ("units/hour", "U/h", 1.0, False),
        ("units/min", "U/h", 60.0, False),
    ],
    schema=["unit", "gives", "factor", "per_weight"],
    orient="row",
)
VASOPRESSORS = ["norepinephrine", "epinephrine", "dopamine", "phenylephrine", "vasopressin", "vasopressor"]
FIXED = 2.0**40  # a power of two: scaling there and back is exact
_MOST = 1e6  # beyond any plausible value, and small enough for sums of 64 bits
_AT = ["stay_id", "variable", "hours"]


def whole(value: pl.Expr) -> pl.Expr:
    """Return a number in whole parts of 2^-40: sums of such are exact, and what starts and stops cancels to 0.

    >>> pl.DataFrame({"value": [0.1, 0.2, -0.3]}).select(whole(pl.col("value")).sum() / FIXED).item()
    0.0
    """
    return (value.clip(-_MOST, _MOST) * FIXED).round().cast(pl.Int64)


def judged(intervals: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals with variable, reading, `amount` (rate in the canonical unit; 1: on) and `rule`.

    Rules, the first that applies: `no_span` (the end is not after the start), and for rates `no_value`,
    `not_a_number`, `unknown_unit`, `no_weight` (a rate of the whole body and no plausible weight).
    """
    units = {name: variable.unit for name, variable in vocabulary().items()}
    rows = intervals.join(codes.drop("unit"), on="itemid", how="inner", maintain_order="left")
    rows = rows.with_columns(pl.col("unit").str.strip_chars().str.to_lowercase())
    rows = rows.join(RATES, on="unit", how="left", maintain_order="left")
    bounds, weight = vocabulary()["weight_kg"], pl.col("weight")
    weighed = weight.is_between(bounds.low, bounds.high).fill_null(False)
    meant = pl.col("gives") == pl.col("variable").replace_strict(units, return_dtype=pl.String)
    is_rate = pl.col("reading") == "rate"
    rule = (
        pl.when((pl.col("end") <= pl.col("start")) & (pl.col("reading") != "given"))
        .then(pl.lit("no_span"))
        .when(is_rate & ~pl.col("written"))
        .then(pl.lit("no_value"))
        .when(is_rate & pl.col("value").is_null())
        .then(pl.lit("not_a_number"))
        .when(is_rate & ~meant.fill_null(False))
        .then(pl.lit("unknown_unit"))
        .when(is_rate & pl.col("per_weight") & ~weighed)
        .then(pl.lit("no_weight"))
    )
    rate = pl.col("value") * pl.col("factor")
    rate = pl.when(pl.col("per_weight")).then(rate / weight).otherwise(rate)
    on = (pl.col("value").fill_null(1.0) > 0).cast(pl.Float64)
    return rows.with_columns(rule.alias("rule"), pl.when(is_rate).then(rate).otherwise(on).alias("amount"))


def step_functions(rows: pl.DataFrame, lengths: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, value (from then on), rule (null) wherever something starts or stops.

    ```
        rate   0.1 |=====|        a row each at 0 (0.1), 2 (0.1 + 0.2), 3 (0.2) and 5 (0)
        rate   0.2    |======|
        hours      0  2  3   5
    ```

    What ran before admission counts from hour 0; a stop after the end of the stay is not written. The vasopressors
    together make `vasopressor` (0/1).
    """
    good = rows.filter(pl.col("rule").is_null(), pl.col("reading").is_in(["rate", "running"]))
    switch = (pl.col("reading") == "running").alias("switch")
    runs = good.select("stay_id", "variable", "start", "end", "amount", switch)
    pressors = runs.filter(pl.col("variable").is_in(VASOPRESSORS)).with_columns(
        pl.lit("vasopressor").alias("variable"), (pl.col("amount") > 0).cast(pl.Float64).alias("amount"), switch=True
    )
    runs = pl.concat([runs.filter(pl.col("variable") != "vasopressor"), pressors])
    change, columns = whole(pl.col("amount")).alias("change"), ["stay_id", "variable", "switch"]
    starts = runs.select(*columns, pl.col("start").clip(0.0).alias("hours"), change)
    stops = runs.select(*columns, pl.col("end").alias("hours"), -change)
    points = pl.concat([starts, stops]).group_by(*_AT, "switch").agg(pl.col("change").sum()).sort(_AT)
    level = pl.col("change").cum_sum().over("stay_id", "variable")
    value = pl.when("switch").then((level > 0).cast(pl.Float64)).otherwise(level / FIXED)
    points = points.with_columns(value.alias("value")).join(lengths, on="stay_id", how="inner", maintain_order="left")
    kept = points.filter(pl.col("hours") <= pl.col("length_hours"))
    return kept.select("stay_id", "hours", "variable", "value", pl.lit(None, pl.String).alias("rule"))


def rejected(rows: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, value, rule of the refused intervals, at their start."""
    return rows.filter(pl.col("rule").is_not_null()).select(
        "stay_id", pl.col("start").alias("hours"), "variable", "value", "rule"
    )


def given(rows: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, dated of what was given within the stay: an event at each start."""
    return rows.filter(pl.col("reading") == "given", pl.col("start") >= 0).select(
        "stay_id", pl.col("start").alias("hours"), "variable", pl.lit(True).alias("dated")
    )


def events_once(events: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, value (1), rule: one event per time; `date_only` where the hour is unknown.

    >>> rows = [("1", 2.0, "culture", True), ("1", 2.0, "culture", True), ("1", 9.5, "culture", False)]
    >>> events_once(pl.DataFrame(rows, schema=["stay_id", "hours", "variable", "dated"], orient="row")).rows()
    [('1', 2.0, 'culture', 1.0, None), ('1', 9.5, 'culture', 1.0, 'date_only')]
    """
    once = events.unique().sort("stay_id", "hours", "variable", "dated")
    rule = pl.when(~pl.col("dated")).then(pl.lit("date_only")).alias("rule")
    return once.select("stay_id", "hours", "variable", pl.lit(1.0).alias("value"), rule)
