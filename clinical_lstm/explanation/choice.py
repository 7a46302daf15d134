"""Which predictions to explain: those a reader should see singly, and a sample that stands for the cohort."""

from __future__ import annotations

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.explanation.keys import BEFORE_ONSET, CHOSEN, OUTCOMES, REASONS, SAMPLED, TARGET
from clinical_lstm.metrics.profile import TO_ONSET, bin_of


def choose(predictions: pl.DataFrame, threshold: float, per_reason: int = 3) -> pl.DataFrame:
    """Return the predictions of one target and split that a reader should see, at most `per_reason` of each reason.

    Every stay stands for itself once, at its highest risk before onset (the earliest such hour):

        highest_risk   an onset, risk >= threshold before it: the highest risks
        missed_event   an onset, the threshold never reached before it: the lowest risks
        false_alarm    no onset, risk >= threshold: the highest risks
        typical        no onset: the stays nearest to the median of the highest risks

    Without any label (new data) there is highest_risk, of all stays, and typical. Ties are broken by stay_id. Columns:
    stay_id, hours, complication, horizon_hours, reason, risk. Raises InputError on several targets or splits.

    >>> rows = {"stay_id": ["a", "a", "b"], "patient_id": ["a", "a", "b"], "split": ["test"] * 3, "hours": [1.0, 2, 1]}
    >>> rows |= {"complication": ["sepsis"] * 3, "horizon_hours": [6.0] * 3, "risk": [0.2, 0.7, 0.1]}
    >>> rows |= {"label": [0, 1, 0], "at_risk": [True] * 3, "after_onset": [False] * 3}
    >>> choose(pl.DataFrame(rows), threshold=0.5).select("stay_id", "hours", "reason", "risk").rows()
    [('a', 2.0, 'highest_risk', 0.7), ('b', 1.0, 'typical', 0.1)]
    """
    _one_target(predictions)
    stays = _highest(predictions)
    event, alarmed = pl.col("event"), pl.col("risk") >= threshold
    known = event.is_not_null()
    median = stays.filter(event.fill_null(False).not_())["risk"].median()
    falling, rising = -pl.col("risk"), pl.col("risk")
    rules = [
        (known.not_() | (event & alarmed), falling),
        (event & alarmed.not_(), rising),
        (event.not_() & alarmed, falling),
        (event.fill_null(False).not_(), (pl.col("risk") - pl.lit(median, pl.Float64)).abs()),
    ]
    chosen: list[pl.DataFrame] = []
    for reason, (belongs, order) in zip(REASONS, rules):
        taken = [stay for part in chosen for stay in part["stay_id"]]
        rows = stays.filter(belongs, pl.col("stay_id").is_in(taken).not_()).sort(order, "stay_id").head(per_reason)
        chosen.append(rows.with_columns(reason=pl.lit(reason)).select(CHOSEN))
    return pl.concat(chosen)


def sample_for_importance(predictions: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Return up to `n` random at-risk predictions of one target, each of another patient, in the columns of `choose`.

    Every patient has the same chance, however long the stay; the rows carry the reason "cohort_sample".
    """
    _one_target(predictions)
    generator = np.random.default_rng(seed)
    rows = predictions.filter("at_risk", pl.col("after_onset").not_()).sort("patient_id", "stay_id", "hours")
    return _other_patients(rows, n, generator).with_columns(reason=pl.lit(SAMPLED)).select(CHOSEN)


def sample_by_outcome(predictions: pl.DataFrame, threshold: float, n: int, seed: int) -> pl.DataFrame:
    """Return random stays, n / 4 (rounded up) of each outcome or all that there are, in the columns of `choose`.

    As there, a stay stands for itself at its highest risk before onset; within an outcome each is of another patient:

                     risk >= threshold     risk < threshold
        an onset     true_alarm            missed_event          reason: the outcome with "_sample" behind it
        none         false_alarm           true_silence

    None without labels. Raises InputError on several targets or splits.
    """
    _one_target(predictions)
    generator = np.random.default_rng(seed)
    stays = _highest(predictions).sort("patient_id", "stay_id")
    event, alarmed = pl.col("event"), pl.col("risk") >= threshold
    drawn = []
    for outcome, belongs in zip(OUTCOMES, [event & alarmed, event & ~alarmed, ~event & alarmed, ~event & ~alarmed]):
        rows = _other_patients(stays.filter(belongs), -(-n // len(OUTCOMES)), generator)
        drawn.append(rows.with_columns(reason=pl.lit(f"{outcome}_sample")).select(CHOSEN))
    return pl.concat(drawn)


def sample_before_onset(predictions: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Return random at-risk predictions ahead of an onset, n / 7 (rounded up) of each bin of `profile.TO_ONSET`.

    Within a bin each is of another patient; the rows, in the columns of `choose`, carry the reason
    "before_onset_sample". None where no onset is known. Raises InputError on several targets or splits.
    """
    _one_target(predictions)
    generator = np.random.default_rng(seed)
    ahead = predictions.filter("at_risk", pl.col("after_onset").not_()).sort("patient_id", "stay_id", "hours")
    place = bin_of(hours_to_onset(ahead), TO_ONSET)
    bins = len(TO_ONSET) - 1
    drawn = [_other_patients(ahead.filter(place == b), -(-n // bins), generator) for b in range(bins)]
    return pl.concat(drawn).with_columns(reason=pl.lit(BEFORE_ONSET)).select(CHOSEN)


def hours_to_onset(predictions: pl.DataFrame) -> np.ndarray:
    """Return the hours (N,) from each prediction to the onset that it is about, NaN where none is known.

    >>> hours_to_onset(pl.DataFrame({"hours": [2.0, 3.0], "onset_hours": [5.5, None]})).tolist()
    [3.5, nan]
    """
    if "onset_hours" not in predictions.columns:
        return np.full(predictions.height, np.nan)
    ahead = pl.col("onset_hours").cast(pl.Float64) - pl.col("hours")
    return predictions.select(ahead.fill_null(float("nan"))).to_series().to_numpy()


def _other_patients(rows: pl.DataFrame, n: int, generator: np.random.Generator) -> pl.DataFrame:
    """Return up to `n` random rows, each of another patient, every patient with the same chance; by stay and hour."""
    rows = rows[generator.permutation(rows.height)].unique("patient_id", keep="first", maintain_order=True)
    rows = rows.sort("patient_id")
    return rows[generator.permutation(rows.height)].head(n).sort("stay_id", "hours")


def _one_target(predictions: pl.DataFrame) -> None:
    for columns, what in ((TARGET, "targets"), (["split"], "splits")):
        found = predictions.select(columns).unique().sort(columns).rows()
        if len(found) > 1:
            raise InputError(f"the predictions hold {len(found)} {what}, {found}; give the rows of one of them")


def _highest(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return one row per stay: its highest risk before onset, and `event`, null where no outcome is known at all."""
    if predictions["label"].is_not_null().any():
        onset = ((pl.col("label") == 1) | pl.col("after_onset")).any().over("stay_id")
        rows = predictions.filter(pl.col("label").is_not_null()).with_columns(event=onset)
        rows = rows.filter("at_risk", pl.col("after_onset").not_())
    else:
        rows = predictions.with_columns(event=pl.lit(None, pl.Boolean))
    return rows.sort("stay_id", -pl.col("risk"), "hours").unique("stay_id", keep="first", maintain_order=True)
