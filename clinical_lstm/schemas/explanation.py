"""What explains: which predictions, how well, and the share of every input cell."""

from __future__ import annotations

import dataframely as dy


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


CHANNELS = ["value", "mask", "delta", "static"]
PARTS = ["all", "to_onset", "age", "sex", "outcome"]
GROUPS = ["all", "system", "variable"]


class Drivers(dy.Schema):
    """One row is what a group of variables contributes through a channel, over a part of the explained predictions.

    `mean_abs` is additive: the mean over predictions of the sum over variables and channels of |contribution|, each
    summed over time; `share` is its part in that of everything. All in logits, with 95 % intervals by patient; null
    where the part has too few patients. The parts of `to_onset` and `outcome` are samples of their own.
    """

    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    dimension = dy.Enum(PARTS, primary_key=True)
    level = dy.String(primary_key=True)
    kind = dy.Enum(GROUPS, primary_key=True)
    group = dy.String(primary_key=True)
    channel = dy.Enum(["all", *CHANNELS], primary_key=True)
    mean_abs = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False)
    low = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False)
    high = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False)
    mean_signed = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    signed_low = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    signed_high = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    share = dy.Float64(nullable=True, min=0, max=1, allow_inf=False, allow_nan=False)
    share_low = dy.Float64(nullable=True, min=0, max=1, allow_inf=False, allow_nan=False)
    share_high = dy.Float64(nullable=True, min=0, max=1, allow_inf=False, allow_nan=False)
    n_predictions = dy.Int64(min=1)
    n_patients = dy.Int64(min=1)


class Contrasts(dy.Schema):
    """One row is what a group contributes in a level, against a reference level of the same dimension.

    `difference`: mean_signed minus that of the reference (logit), for errors against their correct counterparts;
    `ratio`: share over that of the reference, for subgroups. `simultaneous_*` is the 95 % interval that holds for all
    `comparisons` of the level at once. Null where either has too few patients, or some draw leaves a ratio undefined.
    """

    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    dimension = dy.Enum(PARTS, primary_key=True)
    level = dy.String(primary_key=True)
    reference = dy.String()
    measure = dy.Enum(["difference", "ratio"], primary_key=True)
    kind = dy.Enum(GROUPS, primary_key=True)
    group = dy.String(primary_key=True)
    channel = dy.Enum(["all", *CHANNELS], primary_key=True)
    value = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    low = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    high = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    simultaneous_low = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    simultaneous_high = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    comparisons = dy.Int64(min=0)
    n_patients = dy.Int64(min=1)
    n_reference = dy.Int64(min=1)


class Dose(dy.Schema):
    """One row is a prediction (`point`) or a band of values (`curve`): the contribution of a value that was measured.

    `value` is the last one measured before the prediction (canonical unit; of a curve the mean of its band),
    `contribution` what it added to the logit since it was measured; `low` and `high` are the 95 % interval by patient
    of a curve, null at points. `n` predictions lie behind the row.
    """

    complication = dy.String()
    horizon_hours = dy.Float64()
    variable = dy.String()
    kind = dy.Enum(["point", "curve"])
    value = dy.Float64(allow_inf=False, allow_nan=False)
    contribution = dy.Float64(allow_inf=False, allow_nan=False)
    low = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    high = dy.Float64(nullable=True, allow_inf=False, allow_nan=False)
    n = dy.Int64(min=1)


class Directions(dy.Schema):
    """One row is a variable of `Dose`: does its contribution rise or fall with the measured value?

    `spearman` is the rank correlation over all predictions in which it had been measured, with its 95 % interval by
    patient; null where values or contributions are all equal, or patients too few. `normal_*` is the reference range.
    """

    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    rank = dy.Int64(primary_key=True, min=1)
    variable = dy.String()
    unit = dy.String()
    normal_low = dy.Float64(nullable=True)
    normal_high = dy.Float64(nullable=True)
    spearman = dy.Float64(nullable=True, min=-1, max=1, allow_nan=False)
    low = dy.Float64(nullable=True, min=-1, max=1, allow_nan=False)
    high = dy.Float64(nullable=True, min=-1, max=1, allow_nan=False)
    n_predictions = dy.Int64(min=1)
    n_patients = dy.Int64(min=1)


class GateTraces(dy.Schema):
    """One row is a step before an explained prediction: the gates of an LSTM layer, averaged over its units.

    `cell` is the mean |cell state|, `retained` the mean share of this step's cell that is left at the prediction.
    """

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    layer = dy.String(primary_key=True)
    input_hours = dy.Float64(primary_key=True)
    input = dy.Float64(min=0, max=1)
    forget = dy.Float64(min=0, max=1)
    output = dy.Float64(min=0, max=1)
    cell = dy.Float64(min=0)
    retained = dy.Float64(min=0, max=1)


class HalfLives(dy.Schema):
    """One row is a unit of an LSTM layer: after how many hours half of what it holds is gone, up to a prediction."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    layer = dy.String(primary_key=True)
    unit = dy.Int64(primary_key=True, min=0)
    half_life_hours = dy.Float64(min=0)


class Attention(dy.Schema):
    """One row is a step that a head of an attention layer weighed at an explained prediction; no attribution."""

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    layer = dy.String(primary_key=True)
    head = dy.Int64(primary_key=True, min=0)
    input_hours = dy.Float64(primary_key=True)
    weight = dy.Float64(min_exclusive=0, max=1.000001)
