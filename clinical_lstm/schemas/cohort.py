"""What `prepare` writes: stays, observations, rejects, episodes, labels, the scaler."""

from __future__ import annotations

from typing import cast

import dataframely as dy
import polars as pl

from clinical_lstm.schemas.contract import OPTIONAL
from clinical_lstm.variables import static_names

SPLITS = ["train", "val", "calib", "test"]
YEAR_HOURS = 8766.0


class StayCore(dy.Schema):
    """One row is a stay; its grid is anchored on admission (hour 0) and its record spans `(start, length]`.

    `admission` is the instant of hour 0 where the data tells it (UTC, or the data's own clock). `follow_up_hours` is
    until when events that the data set STATES (death ...) are known; null: until `length_hours`.

    The optional columns are outcomes of the whole stay, where the data states them: what training may teach beside the
    labels (`trainer.outcomes_weight`), and never an input: `hospital_hours` until the end of the hospital stay,
    `survival_hours` lived after admission (`YEAR_HOURS` of all who lived longer, or of whom no death is known), and the
    points of the scores SAPS-I and SOFA as they were computed in retrospect.
    """

    stay_id = dy.String(primary_key=True, min_length=1)
    patient_id = dy.String(min_length=1)
    site = dy.String(min_length=1)
    start_hours = dy.Float64(min=0, allow_inf=False, allow_nan=False)
    length_hours = dy.Float64(min_exclusive=0, allow_inf=False, allow_nan=False)
    follow_up_hours = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False)
    admission = dy.Datetime(nullable=True, time_unit="us")
    hospital_hours = dy.Float64(nullable=True, min=0, allow_inf=False, allow_nan=False, metadata=OPTIONAL)
    survival_hours = dy.Float64(nullable=True, min=0, max=YEAR_HOURS, metadata=OPTIONAL)
    saps_points = dy.Float64(nullable=True, min=0, max=200, metadata=OPTIONAL)
    sofa_points = dy.Float64(nullable=True, min=0, max=200, metadata=OPTIONAL)

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
    """One row is a prediction time x target: `label` = 1 iff an onset lies in (t + gap, t + gap + horizon].

    `onset_hours` is the onset the row is about: the next one after t + gap (of a row `after_onset`: the last one);
    null: none is known. `follow_up_hours` is until when an onset would be known; null: none is waited for (inside an
    episode, after the first one, in a stay that cannot be judged). Both are null in labels of a file.
    """

    stay_id = dy.String(primary_key=True)
    hours = dy.Float64(primary_key=True)
    complication = dy.String(primary_key=True)
    horizon_hours = dy.Float64(primary_key=True)
    label = dy.Int8(min=0, max=1)
    at_risk = dy.Bool()
    after_onset = dy.Bool()
    onset_hours = dy.Float64(nullable=True, metadata=OPTIONAL)
    follow_up_hours = dy.Float64(nullable=True, metadata=OPTIONAL)

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
