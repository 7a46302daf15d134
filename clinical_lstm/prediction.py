"""New stays -> `schemas.Predictions`, from a run directory alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.data import labels, tensors
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, predictions_table
from clinical_lstm.metrics.alarms import Policy, raised
from clinical_lstm.sources.base import Extract, stays_table
from clinical_lstm.variables import static_names

COLUMNS = ["stay_id", "hours", "variable", "value"]


def predict(run: Run, predictor: Predictor, extracts: Iterable[Extract]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield (predictions, rejects) per extract: a risk at every prediction time of every stay, measured or not.

    Labels are filled in where the data states outcomes, or where they follow from what was measured (not at risk: the
    record ends too early to tell), else null. Variables that the run does not know are ignored.
    """
    task = Task.of(run.json("manifest.json")["task"])
    for extract in extracts:
        stays = schemas.check(schemas.Stays, clean_stays(extract.stays), "stays of the source")
        observations, rejects = clean(extract._replace(stays=stays))
        ragged = tensors.ragged(
            stays, observations, predictor.scaler.variables, predictor.scaler.statics, task.step_hours
        )
        times = tensors.step_times(stays, ragged)
        if task.labels:
            outcome = labels.unknown(task, times)
        else:
            outcome = labels.outcome(task, stays, observations, extract.episodes, times)
        rows = outcome.labels
        if not extract.labelled:
            unknown = ~pl.col("complication").is_in(list(outcome.judged))  # stated events, of which nothing is stated
            rows = rows.with_columns(
                pl.when(~unknown).then("label").alias("label"), (pl.col("at_risk") | unknown).alias("at_risk")
            )
        risks = predictor.risks(ragged, asked=outcome.asked)[outcome.asked]
        found = predictions_table(rows, stays.with_columns(pl.lit("new").alias("split")), risks)
        yield schemas.check(schemas.Predictions, found, "predictions"), rejects


def with_alarms(predictions: pl.DataFrame, policies: Mapping[tuple[str, float], Policy]) -> pl.DataFrame:
    """Return `schemas.Predictions` with a column `alarm`: whether the policy rings; null for a target without one.

    Nothing rings inside an episode or after the first one, as far as the data tell.
    """
    rows = predictions.with_row_index("row").sort("complication", "horizon_hours", "stay_id", "hours")
    own = ["complication", "horizon_hours", "stay_id"]
    followed = pl.col("follow_up_hours").is_not_null()
    waiting = followed | (~followed & ~pl.col("after_onset")).all().over(own)  # or nothing is known of the whole stay
    ended = pl.when(~pl.col("waiting")).then("hours").forward_fill().over(own).fill_null(float("nan"))
    rows = rows.with_columns(waiting.alias("waiting")).with_columns(
        ended.alias("ended"), alarm=pl.lit(None, pl.Boolean)
    )
    parts = [rows.clear()]
    for (complication, horizon), part in rows.group_by("complication", "horizon_hours", maintain_order=True):
        policy = policies.get((str(complication), float(str(horizon))))
        if policy is not None:
            heard = part.filter("waiting")
            hours, risk, ends = (heard[name].to_numpy() for name in ("hours", "risk", "ended"))
            rings = raised(heard["stay_id"].rank("dense").to_numpy(), hours, risk, policy, ends)
            ringing = heard.filter(pl.Series(rings))["row"]
            part = part.with_columns(alarm=pl.col("row").is_in(ringing.implode()))
        parts.append(part)
    return pl.concat(parts).sort("row").drop("row", "waiting", "ended")


def extract_of(table: pl.DataFrame) -> Extract:
    """Return the extract of one long table (stay_id, hours, variable, value), for services that have nothing else.

    A static variable is a row too (its last value counts). A stay lasts until its last row, rounded up to a whole hour.

    >>> rows = {"stay_id": ["a", "a"], "hours": [0.0, 1.5], "variable": ["age_years", "lactate"], "value": [61.0, 2.2]}
    >>> extract_of(pl.DataFrame(rows)).stays.select("stay_id", "length_hours", "age_years").row(0)
    ('a', 2.0, 61.0)
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"the observation table lacks {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    types = {"stay_id": pl.String, "hours": pl.Float64, "variable": pl.String, "value": pl.Float64}
    try:
        rows = table.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    except pl.exceptions.InvalidOperationError as fault:
        raise InputError(
            f"the observation table has text where a number belongs: {str(fault).splitlines()[0]}"
        ) from None
    if rows.is_empty():
        raise InputError("the observation table has no row; a stay needs one measurement or static value at least")
    if rows["hours"].is_null().any() or (rows["hours"] < 0).any() or not rows["hours"].is_finite().all():
        raise InputError("the observation table has missing, negative or infinite hours; they count from admission")
    is_static = pl.col("variable").is_in(static_names()).fill_null(False)
    per_stay = rows.group_by("stay_id", maintain_order=True).agg(
        pl.max_horizontal(pl.col("hours").max().ceil(), 1.0).alias("length_hours"),
        *(pl.col("value").filter(pl.col("variable") == name).last().alias(name) for name in static_names()),
    )
    stays = stays_table(
        per_stay.with_columns(
            pl.col("stay_id").alias("patient_id"), pl.lit("all").alias("site"), pl.lit(0.0).alias("start_hours")
        )
    )
    return Extract(
        stays, rows.filter(~is_static), schemas.empty(schemas.Episodes), schemas.empty(schemas.Rejects), False
    )
