"""What judges predictors: their risks, scores and curves, their order, how unequal they are, how they travel."""

from __future__ import annotations

import dataframely as dy

from clinical_lstm.schemas.cohort import SPLITS
from clinical_lstm.schemas.contract import OPTIONAL

REFITS = ["as_is", "intercept", "intercept_and_slope", "threshold", "oracle"]
SHIFTS = ["mean_value", "share_of_steps_observed", "share_of_stays_observed", "share_of_stays_with_event", "length"]


class Predictions(dy.Schema):
    """The hinge: one row is a risk at a prediction time for a target. Every metric is a function of this table.

    `label` is null where the outcome is unknown (new data); `split` is "new" there. The last two columns are those of
    `Labels`; a table of another tool may lack them.
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
    onset_hours = dy.Float64(nullable=True, metadata=OPTIONAL)
    follow_up_hours = dy.Float64(nullable=True, metadata=OPTIONAL)


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


class Gaps(dy.Schema):
    """One row is a metric of a predictor on a subgroup minus that on the largest subgroup of its dimension.

    `simultaneous_*` is the 95 % interval that holds for all `comparisons` (subgroups x metrics) at once. `n_*`
    count the rows of the level; `value` is null where either has too few patients.
    """

    predictor = dy.String(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    dimension = dy.String(primary_key=True)
    level = dy.String(primary_key=True)
    metric = dy.String(primary_key=True)
    reference = dy.String()
    value = dy.Float64(nullable=True)
    low = dy.Float64(nullable=True)
    high = dy.Float64(nullable=True)
    simultaneous_low = dy.Float64(nullable=True)
    simultaneous_high = dy.Float64(nullable=True)
    comparisons = dy.Int64(min=0)
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


class Pooled(Scores):
    """A score over the test rows of all folds (`all`), its mean over the folds, or that of one fold or site.

    Over several folds: how many, their standard deviation and, of a difference, in how many of them it is a gain.
    """

    prevalence = dy.Float64(min=0, max=1)
    folds = dy.Int64(nullable=True, min=1)
    fold_sd = dy.Float64(nullable=True, min=0)
    better = dy.Int64(nullable=True, min=0)


class Curves(dy.Schema):
    """One row is a point of a curve of a predictor on a subset of rows.

    roc (false positive rate, sensitivity), pr (recall, precision), calibration (mean risk, observed share of a bin),
    smooth (risk, smoothed observed share), decision (threshold, net benefit), event_pr (event recall, alarm precision),
    by_onset (hours before onset, sensitivity at the threshold), auroc_by_onset (of those rows against all rows of stays
    without an onset). `n`: alarms, rows or stays behind the point. `low` and
    `high`: 95 % interval of y, where it was resampled.
    """

    predictor = dy.String()
    complication = dy.String()
    horizon_hours = dy.Float64()
    subset = dy.String()
    curve = dy.Enum(["roc", "pr", "calibration", "smooth", "decision", "event_pr", "by_onset", "auroc_by_onset"])
    x = dy.Float64()
    y = dy.Float64()
    n = dy.Int64()
    low = dy.Float64(nullable=True, metadata=OPTIONAL)
    high = dy.Float64(nullable=True, metadata=OPTIONAL)


class Recalibration(dy.Schema):
    """One row is a metric of the target site's other patients after `patients` of them were used by a method.

    `value` is the mean, `low` and `high` the 95 % range over the `repeats` random draws (null: no draw defines it, or,
    for the range, one draw); `defined` of the draws have a value. `events` is the mean number of used patients with an
    event; in `fallbacks` draws they were too few for the method, and something simpler was judged in its place.
    """

    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    patients = dy.Int64(primary_key=True, min=0)
    method = dy.Enum(REFITS, primary_key=True)
    metric = dy.String(primary_key=True)
    value = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    low = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    high = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    repeats = dy.Int64(min=1)
    defined = dy.Int64(min=0)
    events = dy.Float64(min=0)
    fallbacks = dy.Int64(min=0)
    judged_patients = dy.Int64(min=1)


class DomainShift(dy.Schema):
    """One row is what a variable, an outcome or the length of stay is at the source and at the target.

    `source` and `target` are means over `n_source` and `n_target` stays: of `mean_value` in the canonical unit (of a
    skewed variable, and of `length` in hours, exp(mean of log1p) - 1), else shares. `smd` = (target - source) / pooled
    SD on the scale of the mean (logs where logs); null where a side has no stay, infinite where both sides are constant
    and differ.
    """

    variable = dy.String(primary_key=True)
    measure = dy.Enum(SHIFTS, primary_key=True)
    source = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    target = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    smd = dy.Float64(nullable=True, allow_inf=True, allow_nan=False)
    n_source = dy.Int64(min=0)
    n_target = dy.Int64(min=0)
