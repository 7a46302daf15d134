"""Labels that somebody else made, in the Medical Event Data Standard, put in the place of our own."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError

_SAME_HOURS = 1e-6  # 4 ms: a time in hours that is meant to be a step's end is it
_MICROSECONDS = 3_600_000_000  # an hour
REASONS = ["no_value", "outside_stays", "before_first_step", "replaced"]


def external_labels(
    path: Path, stays: pl.DataFrame, times: pl.DataFrame, complication: str, horizon_hours: float
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return (`schemas.Labels` of the labelled steps alone, in the order of `times`; counts by what became of a label).

    ```
        admission     step      step      step        end of stay
            |-----------|---------|---------|---------|
                                  ^    x                       x: prediction_time; it labels the last step that ended
    ```

    A label goes to the stay of its subject in which its prediction_time lies (of two, the later one), at the last step
    that ends at or before it, so that nothing after the prediction time is known there. All such rows are at risk. The
    counts are of the labels of these stays' patients: `used`, and why others are not: `no_value`, `outside_stays`,
    `before_first_step`, `replaced` (by a later label of the same step).

    Args:
        path: Parquet of `meds.LabelSchema` with boolean_value: a file, or a folder of files.
        stays: stay_id, patient_id (the subject_id as text), admission (known), length_hours.
        times: stay_id, hours: the end of every step of these stays.
        complication, horizon_hours: the name of the target; what lies in its horizon is the label maker's business.

    Raises InputError on a file that is no such table, or a stay without an admission.

    """
    found = _read(path).filter(pl.col("patient_id").is_in(stays["patient_id"].unique().implode()))
    unknown = stays.filter(pl.col("admission").is_null())
    if unknown.height:
        said = f"{unknown.height} of {stays.height} stay(s) have none, the first is {unknown['stay_id'][0]!r}"
        raise InputError(f"external labels have times, so every stay needs its admission: {said}")
    placed = _step(_stay(found, stays), times)
    reason = (
        pl.when(pl.col("boolean_value").is_null()).then(pl.lit("no_value"))
        .when(pl.col("stay_id").is_null()).then(pl.lit("outside_stays"))
        .when(pl.col("row").is_null()).then(pl.lit("before_first_step"))
    )  # fmt: skip
    judged = placed.with_columns(reason.alias("reason"))
    kept = judged.filter(pl.col("reason").is_null()).sort("row", "prediction_time", maintain_order=True)
    used = kept.unique("row", keep="last", maintain_order=True)
    counts = {"used": used.height} | {name: judged.filter(pl.col("reason") == name).height for name in REASONS}
    counts["replaced"] = kept.height - used.height
    labels = used.select(
        "stay_id",
        "hours",
        pl.lit(complication).alias("complication"),
        pl.lit(float(horizon_hours)).alias("horizon_hours"),
        pl.col("boolean_value").cast(pl.Int8).alias("label"),
        pl.lit(True).alias("at_risk"),
        pl.lit(False).alias("after_onset"),
    )
    return schemas.check(schemas.Labels, labels, f"external labels of {path}"), counts


def _read(path: Path) -> pl.DataFrame:
    """Return patient_id, prediction_time, boolean_value of every row, files in the order of their names."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"there is no label file {path}: give a Parquet file of meds.LabelSchema, or a folder of them")
    parts = []
    for file in files:
        try:
            table = pl.read_parquet(file)
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise InputError(f"{file} cannot be read as Parquet: {str(fault).splitlines()[0]}") from None
        wanted = {
            "subject_id": lambda kind: kind.is_integer(),
            "prediction_time": lambda kind: isinstance(kind, pl.Datetime) and kind.time_zone is None,
            "boolean_value": lambda kind: kind == pl.Boolean,
        }
        for name, fits in wanted.items():
            if name not in table.columns or not fits(table.schema[name]):
                has = ", ".join(f"{column} ({kind})" for column, kind in table.schema.items())
                raise InputError(f"{file} lacks {name} as meds.LabelSchema has it; its columns are {has}")
        parts.append(
            table.select(
                pl.col("subject_id").cast(pl.String).alias("patient_id"),
                pl.col("prediction_time").cast(pl.Datetime("us")),
                "boolean_value",
            )
        )
    return pl.concat(parts)


def _stay(labels: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Add stay_id and the hours since its admission (`now`); null where the time is in no stay of the patient."""
    own = stays.select("patient_id", "stay_id", "admission", "length_hours").sort("admission", "stay_id")
    found = labels.sort("prediction_time", maintain_order=True).join_asof(
        own,
        left_on="prediction_time",
        right_on="admission",
        by="patient_id",
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    )
    now = (pl.col("prediction_time") - pl.col("admission")).dt.total_microseconds() / _MICROSECONDS
    inside = pl.col("now") <= pl.col("length_hours") + _SAME_HOURS
    return found.with_columns(now.alias("now")).with_columns(
        pl.when(inside).then("stay_id").alias("stay_id"), pl.when(inside).then("now").alias("now")
    )


def _step(labels: pl.DataFrame, times: pl.DataFrame) -> pl.DataFrame:
    """Add row (in `times`) and hours of the last step that ends at or before `now`, null where there is none."""
    steps = (
        times.select("stay_id", "hours").with_row_index("row").with_columns(pl.col("hours").alias("end")).sort("end")
    )
    reach = (pl.col("now") + _SAME_HOURS).fill_null(float("-inf")).alias("reach")
    return (
        labels.with_columns(reach)
        .sort("reach", maintain_order=True)
        .join_asof(
            steps, left_on="reach", right_on="end", by="stay_id", strategy="backward", coalesce=False,
            check_sortedness=False,
        )
    )  # fmt: skip
