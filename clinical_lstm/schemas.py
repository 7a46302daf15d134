"""The contract of every table on disk: columns, types, units, what a row is, its key and its named rules.

Times are hours since admission. `check` is how a stage refuses a table that breaks its contract.
"""

from __future__ import annotations

from typing import Any, cast

import dataframely as dy
import polars as pl
from dataframely.exc import SchemaError, ValidationError

from clinical_lstm.errors import InputError
from clinical_lstm.variables import static_names

SPLITS = ["train", "val", "calib", "test"]


class StayCore(dy.Schema):
    """One row is a stay; its grid is anchored on admission (hour 0) and its record spans `(start, length]`.

    `admission` is the instant of hour 0 where the data tells it (UTC, or the data's own clock). `follow_up_hours` is
    until when events that the data set STATES (death ...) are known; null: until `length_hours`.
    """

    stay_id = dy.String(primary_key=True, min_length=1)
    patient_id = dy.String(min_length=1)
    site = dy.String(min_length=1)
    start_hours = dy.Float64(min=0, allow_inf=False, allow_nan=False)
    length_hours = dy.Float64(min_exclusive=0, allow_inf=False, allow_nan=False)
    follow_up_hours = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False)
    admission = dy.Datetime(nullable=True, time_unit="us")

    @dy.rule()
    def record_has_a_span(cls) -> pl.Expr:
        """The record ends after it starts."""
        return pl.col("length_hours") > pl.col("start_hours")


# The static variables of the vocabulary are columns of Stays: nullable numbers in the canonical unit.
Stays = cast(
    "type[dy.Schema]",
    type(
        "Stays",
        (StayCore,),
        {name: dy.Float64(nullable=True, allow_inf=False, allow_nan=False) for name in static_names()}
        | {"__module__": __name__, "__doc__": "One row is a stay with its static variables."},
    ),
)
SplitStays = cast(
    "type[dy.Schema]",
    type(
        "SplitStays",
        (Stays,),
        {"split": dy.Enum(SPLITS), "__module__": __name__, "__doc__": "A stay with the split of its patient."},
    ),
)


class Observations(dy.Schema):
    """One row is a measurement, finite and plausible, in the canonical unit of its variable."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True, allow_inf=False, allow_nan=False)
    variable = dy.String(primary_key=True)
    value = dy.Float64(allow_inf=False, allow_nan=False)


class Rejects(dy.Schema):
    """One row is a refused measurement and the rule that refused it; nothing is dropped silently."""

    stay_id = dy.String()
    hours = dy.Float64(nullable=True, allow_inf=True, allow_nan=True)
    variable = dy.String(nullable=True)
    value = dy.Float64(nullable=True, allow_inf=True, allow_nan=True)
    rule = dy.String()


class Episodes(dy.Schema):
    """One row is an episode of a complication, `[onset, end]`."""

    stay_id = dy.String(primary_key=True)
    complication = dy.String(primary_key=True)
    onset_hours = dy.Float64(primary_key=True, allow_inf=False, allow_nan=False)
    end_hours = dy.Float64(allow_inf=False, allow_nan=False)

    @dy.rule()
    def ends_after_onset(cls) -> pl.Expr:
        """An episode does not end before it begins."""
        return pl.col("end_hours") >= pl.col("onset_hours")


class Labels(dy.Schema):
    """One row is a prediction time x target: `label` = 1 iff an onset lies in (t + gap, t + gap + horizon]."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    label = dy.Int8(min=0, max=1)
    at_risk = dy.Bool()
    after_onset = dy.Bool()

    @dy.rule()
    def positive_is_at_risk(cls) -> pl.Expr:
        """A row outside the risk set has no label 1."""
        return (pl.col("label") == 0) | pl.col("at_risk")


class ScalerTable(dy.Schema):
    """One row is a variable: z = (f(value) - location) / scale, f = log1p where `log`; fitted on train only."""

    variable = dy.String(primary_key=True)
    static = dy.Bool()
    log = dy.Bool()
    location = dy.Float64(allow_inf=False, allow_nan=False)
    scale = dy.Float64(min_exclusive=0, allow_inf=False, allow_nan=False)


class Predictions(dy.Schema):
    """The hinge: one row is a risk at a prediction time for a target. Every metric is a function of this table.

    `label` is null where the outcome is unknown (new data); `split` is "new" there.
    """

    stay_id = dy.String(primary_key=True)
    patient_id = dy.String()
    site = dy.String()
    split = dy.Enum([*SPLITS, "new"])
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    risk = dy.Float64(min_exclusive=0, max_exclusive=1)
    label = dy.Int8(nullable=True, min=0, max=1)
    at_risk = dy.Bool()
    after_onset = dy.Bool()


class Scores(dy.Schema):
    """One row is a metric of a predictor on a subset of rows, with a patient-clustered bootstrap interval."""

    predictor = dy.String(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    subset = dy.String(primary_key=True)
    metric = dy.String(primary_key=True)
    value = dy.Float64(nullable=True)
    low = dy.Float64(nullable=True)
    high = dy.Float64(nullable=True)
    n_rows = dy.Int64()
    n_stays = dy.Int64()
    n_positives = dy.Int64()


class Ranking(Scores):
    """A score as the mean over the seeds of a predictor, and its paired difference from the reference.

    `difference_*` is the 95 % interval of this row alone, `simultaneous_*` that of all `comparisons` of its table.
    """

    rank = dy.Int64(nullable=True, min=1)
    seeds = dy.Int64(min=1)
    seed_sd = dy.Float64(nullable=True)
    reference = dy.String()
    difference = dy.Float64(nullable=True)
    difference_low = dy.Float64(nullable=True)
    difference_high = dy.Float64(nullable=True)
    simultaneous_low = dy.Float64(nullable=True)
    simultaneous_high = dy.Float64(nullable=True)
    comparisons = dy.Int64(min=0)


class Comparison(Ranking):
    """A row of the ranking with what the predictor costs: null for baselines, the latency also without streaming."""

    model = dy.Bool()
    causal = dy.Bool(nullable=True)
    parameters = dy.Int64(nullable=True)
    epoch_seconds = dy.Float64(nullable=True)
    step_milliseconds = dy.Float64(nullable=True)


class Curves(dy.Schema):
    """One row is a point of a curve: roc (fpr, tpr), pr (recall, precision), calibration (risk, observed)."""

    predictor = dy.String()
    complication = dy.String()
    horizon_hours = dy.Float64()
    curve = dy.Enum(["roc", "pr", "calibration"])
    x = dy.Float64()
    y = dy.Float64()
    n = dy.Int64()


class Explained(dy.Schema):
    """One row is an explained prediction; `gap` bounds |sum of attributions - (logit - baseline_logit)|."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    reason = dy.String()
    risk = dy.Float64()
    logit = dy.Float64()
    baseline_logit = dy.Float64()
    gap = dy.Float64(min=0)
    evaluations = dy.Int64(min=1)
    explained = dy.Bool()


class Attributions(dy.Schema):
    """One row is the share of one input cell in the logit of one explained prediction."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    input_hours = dy.Float64(primary_key=True)
    variable = dy.String(primary_key=True)
    channel = dy.Enum(["value", "mask", "delta", "static"], primary_key=True)
    attribution = dy.Float64(allow_inf=False, allow_nan=False)


def check(schema: Any, table: pl.DataFrame, what: str, advice: str = "") -> pl.DataFrame:
    """Return `table` with exactly the columns of `schema`, or raise InputError with the broken rules and row counts."""
    missing = [name for name in schema.column_names() if name not in table.columns]
    hint = f"; {advice}" if advice else ""
    if missing:
        raise InputError(f"{what} lacks the column(s) {', '.join(missing)}{hint}")
    try:
        return cast("pl.DataFrame", schema.validate(table, cast=False))
    except ValidationError:
        _, failure = schema.filter(table, cast=False)
        broken = ", ".join(f"{rule} ({count} rows)" for rule, count in sorted(failure.counts().items()))
        first = failure.invalid().head(1).to_dicts()
        raise InputError(f"{what} breaks its contract {schema.__name__}: {broken}; first: {first}{hint}") from None
    except SchemaError as fault:
        reason = str(fault).split("\n", 1)[0]
        raise InputError(f"{what} breaks its contract {schema.__name__}: {reason}{hint}") from None


def empty(schema: Any) -> pl.DataFrame:
    """Return the table of `schema` without rows."""
    return cast("pl.DataFrame", schema.create_empty())
