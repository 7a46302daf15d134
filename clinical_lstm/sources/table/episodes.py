"""The episodes that a hospital itself states: onset and end of complications."""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.reading import HospitalTable, hours_between


def read_episodes(table: HospitalTable, stays: pl.DataFrame) -> pl.DataFrame:
    """Return `schemas.Episodes`; an end that is absent or empty is the onset.

    Labels are all or nothing: raises InputError on a missing column, a missing or faulty id, complication, onset or
    end, an unknown stay, an end before the onset, or the same episode twice.
    """
    onset = "onset_hours" if table.has("onset_hours") else "onset_time"
    end = next((key for key in ("end_hours", "end_time") if table.has(key)), onset)
    columns = [
        table.text("stay_id"),
        table.text("complication"),
        (table.number if onset.endswith("hours") else table.instant)(onset).alias("onset"),
        (table.number if end.endswith("hours") else table.instant)(end).alias("end"),
        table.filled(end).alias("end_text"),
    ]
    with table.readable():
        rows = table.frame.select(columns).collect()
    known = stays.select("stay_id", "admission", pl.lit(True).alias("known"))
    rows = rows.join(known, on="stay_id", how="left", maintain_order="left")
    rows = rows.with_columns(_hours("onset", onset), _hours("end", end)).with_columns(
        pl.when(pl.col("end_text").is_null()).then("onset_hours").otherwise("end_hours").alias("end_hours")
    )
    faults = {
        "no stay_id": pl.col("stay_id").is_null(),
        "no complication": pl.col("complication").is_null(),
        "a stay_id that is not in the stays file": pl.col("known").is_null(),
        f"no {onset}, or one that is none": ~pl.col("onset_hours").is_finite().fill_null(False),
        f"an {end} that is none": ~pl.col("end_hours").is_finite().fill_null(False),
        "an end before the onset": pl.col("end_hours") < pl.col("onset_hours"),
        "an episode that stands twice": pl.struct("stay_id", "complication", "onset_hours").is_duplicated(),
    }
    for fault, condition in faults.items():
        if (bad := rows.filter(condition)).height:
            raise InputError(f"{table.path} has {fault} in {bad.height} row(s); first: stay {bad['stay_id'][0]!r}")
    return rows.select(schemas.Episodes.column_names())


def _hours(name: str, key: str) -> pl.Expr:
    column = pl.col(name)
    return (column if key.endswith("hours") else hours_between(pl.col("admission"), column)).alias(f"{name}_hours")
