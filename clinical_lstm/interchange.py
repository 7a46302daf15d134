"""Labels and predictions in the Medical Event Data Standard (MEDS 0.4), so that other tools can use and score them.

Source: https://github.com/Medical-Event-Data-Standard/meds; predictions as `meds-evaluation` reads them.

prediction_time is admission + hours. Where the admission of any stay of a patient is unknown, all stays of the patient
get nominal ones: the first (by stay_id) begins on 2000-01-01 00:00, each next one at the first midnight that is at
least a day after the end of the one before, so that they never overlap.

subject_id is patient_id where that is an integer as one writes it (no leading zero or plus, 18 digits at most), else 63
bits of a BLAKE2b hash of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from clinical_lstm.errors import InputError

_EPOCH = datetime(2000, 1, 1)
_MICROSECONDS = 3_600_000_000  # an hour
_ALARMS = {"complication": pl.String, "horizon_hours": pl.Float64, "threshold": pl.Float64}
_IDS = {"patient_id": pl.String, "subject_id": pl.Int64}


def meds_labels(labels: pl.DataFrame, stays: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the labels at risk of every target in `meds.LabelSchema`, by a name like `sepsis3_6h`.

    Columns: subject_id, prediction_time, boolean_value; sorted by both. What is not at risk is no row: MEDS labels have
    no third value.

    Args:
        labels: `schemas.Labels`. stays: `schemas.Stays` (stay_id, patient_id, length_hours, admission).

    >>> stays = pl.DataFrame({"stay_id": ["a"], "patient_id": ["7"], "length_hours": [9.0], "admission": [_EPOCH]})
    >>> row = {"stay_id": ["a"], "hours": [1.5], "complication": ["death"], "horizon_hours": [6.0], "label": [1]}
    >>> meds_labels(pl.DataFrame({**row, "at_risk": [True]}), stays)["death_6h"].row(0)
    (7, datetime.datetime(2000, 1, 1, 1, 30), True)
    """
    timed = _timed(labels.filter("at_risk"), stays)
    return {
        name: rows.select("subject_id", "prediction_time", (pl.col("label") == 1).alias("boolean_value"))
        for name, rows in _by_target(timed).items()
    }


def meds_predictions(
    predictions: pl.DataFrame, stays: pl.DataFrame, thresholds: Sequence[Mapping[str, Any]]
) -> dict[str, pl.DataFrame]:
    """Return the predictions at risk of every target in the prediction schema of `meds-evaluation`, by target name.

    Columns: subject_id, prediction_time, boolean_value, predicted_boolean_value (risk at or above the threshold),
    predicted_boolean_probability (32 bits, as the schema says). Rows without a known outcome are left out.

    Args:
        predictions: `schemas.Predictions`. stays: `schemas.Stays`.
        thresholds: complication, horizon_hours, threshold of every target, as in `thresholds.json`; raises InputError
            where one is missing.

    """
    alarms = {(row["complication"], float(row["horizon_hours"])): float(row["threshold"]) for row in thresholds}
    known = predictions.filter("at_risk", pl.col("label").is_not_null())
    lacking = [target for target in _targets(known) if target not in alarms]
    if lacking:
        said = ", ".join(_name(*target) for target in lacking)
        raise InputError(f"{len(lacking)} target(s) of the predictions have no threshold: {said}; train the run again")
    table = pl.DataFrame([(*target, at) for target, at in alarms.items()], schema=_ALARMS, orient="row")
    timed = _timed(known, stays).join(table, on=["complication", "horizon_hours"], how="left", maintain_order="left")
    return {
        name: rows.select(
            "subject_id",
            "prediction_time",
            (pl.col("label") == 1).alias("boolean_value"),
            (pl.col("risk") >= pl.col("threshold")).alias("predicted_boolean_value"),
            pl.col("risk").cast(pl.Float32).alias("predicted_boolean_probability"),
        )
        for name, rows in _by_target(timed).items()
    }


def subject_ids(patients: pl.Series) -> pl.DataFrame:
    """Return patient_id and subject_id of the distinct patients; raises InputError when two share a number.

    >>> subject_ids(pl.Series(["10", "10", "p1"])).rows()
    [('10', 10), ('p1', 8361833091136382792)]
    """
    names = patients.unique().sort()
    table = pl.DataFrame({"patient_id": names, "subject_id": [_subject(name) for name in names]}, schema_overrides=_IDS)
    same = table.filter(pl.col("subject_id").is_duplicated()).sort("subject_id", "patient_id")["patient_id"]
    if len(same):
        raise InputError(f"{len(same)} patients would share a subject_id, the first are {same[0]!r} and {same[1]!r}")
    return table


def _subject(patient: str) -> int:
    if re.fullmatch(r"0|-?[1-9]\d{0,17}", patient):
        return int(patient)
    return int.from_bytes(hashlib.blake2b(patient.encode(), digest_size=8).digest(), "big") >> 1


def _timed(rows: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Add subject_id and prediction_time to `rows`, and sort by them."""
    facts = _admissions(stays).join(subject_ids(stays["patient_id"]), on="patient_id", how="left")
    strangers = rows.join(facts, on="stay_id", how="anti")
    if strangers.height:
        raise InputError(f"{strangers.height} row(s) are of no known stay, the first of {strangers['stay_id'][0]!r}")
    instant = pl.col("admission") + pl.duration(microseconds=(pl.col("hours") * _MICROSECONDS).round().cast(pl.Int64))
    return (
        rows.drop("patient_id", strict=False)
        .join(facts.select("stay_id", "subject_id", "admission"), on="stay_id", how="left", maintain_order="left")
        .with_columns(instant.cast(pl.Datetime("us")).alias("prediction_time"))
        .sort("subject_id", "prediction_time", maintain_order=True)
    )


def _admissions(stays: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, patient_id and admission: known, or nominal for all stays of the patient."""
    days = (pl.col("length_hours") / 24).ceil() + 1
    before = (days.cum_sum() - days).over("patient_id").cast(pl.Int64)
    nominal = pl.lit(_EPOCH, pl.Datetime("us")) + pl.duration(days=before)
    known = pl.col("admission").is_not_null().all().over("patient_id")
    return stays.sort("patient_id", "stay_id").select(
        "stay_id", "patient_id", pl.when(known).then("admission").otherwise(nominal).alias("admission")
    )


def _targets(rows: pl.DataFrame) -> list[tuple[str, float]]:
    return rows.select("complication", "horizon_hours").unique().sort("complication", "horizon_hours").rows()


def _by_target(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the rows of every target, in their order, by the target's name."""
    return {
        _name(complication, horizon): rows.filter(
            pl.col("complication") == complication, pl.col("horizon_hours") == horizon
        )
        for complication, horizon in _targets(rows)
    }


def _name(complication: str, horizon_hours: float) -> str:
    return f"{complication}_{horizon_hours:g}h"
