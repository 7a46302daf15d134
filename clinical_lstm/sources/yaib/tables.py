"""The tables of YAIB: wide rows to observations, labels to episodes."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.variables import vocabulary

# YAIB's name -> our variable and YAIB's unit (that of the ricu concept, which the medians of both demos confirm)
MEASURED = {
    "alb": ("albumin", "g/dL"), "alp": ("alkaline_phosphatase", "IU/L"), "alt": ("alt", "IU/L"),
    "ast": ("ast", "IU/L"), "be": ("base_excess", "mEq/L"), "bicar": ("bicarbonate", "mEq/L"),
    "bili": ("bilirubin_total", "mg/dL"), "bili_dir": ("bilirubin_direct", "mg/dL"), "bnd": ("bands", "%"),
    "bun": ("bun", "mg/dL"), "ca": ("calcium", "mg/dL"), "cai": ("calcium_ionized", "mmol/L"), "ck": ("ck", "IU/L"),
    "ckmb": ("ck_mb", "ng/mL"), "cl": ("chloride", "mEq/L"), "crea": ("creatinine", "mg/dL"), "crp": ("crp", "mg/L"),
    "dbp": ("dbp", "mmHg"), "fgn": ("fibrinogen", "mg/dL"), "fio2": ("fio2", "%"), "glu": ("glucose", "mg/dL"),
    "hgb": ("hemoglobin", "g/dL"), "hr": ("heart_rate", "/min"), "inr_pt": ("inr", "1"), "k": ("potassium", "mEq/L"),
    "lact": ("lactate", "mmol/L"), "lymph": ("lymphocytes", "%"), "map": ("map", "mmHg"), "mch": ("mch", "pg"),
    "mchc": ("mchc", "%"), "mcv": ("mcv", "fL"), "methb": ("methemoglobin", "%"), "mg": ("magnesium", "mg/dL"),
    "na": ("sodium", "mEq/L"), "neut": ("neutrophils", "%"), "o2sat": ("spo2", "%"), "pco2": ("paco2", "mmHg"),
    "ph": ("ph", "1"), "phos": ("phosphate", "mg/dL"), "plt": ("platelets", "K/uL"), "po2": ("pao2", "mmHg"),
    "ptt": ("ptt", "s"), "resp": ("respiratory_rate", "/min"), "sbp": ("sbp", "mmHg"), "temp": ("temperature", "degC"),
    "tnt": ("troponin_t", "ng/mL"), "urine": ("urine_output", "mL"), "wbc": ("wbc", "K/uL"),
}  # fmt: skip
STATIC = {"age": "age_years", "sex": "male", "height": "height_cm", "weight": "weight_kg"}
BIN_HOURS = 1.0
_EARLY_HOURS = 6.0  # hourly labels are 1 from 6 h before the hour of the onset to 6 h after it
_WHOLE_RUN = 13  # labelled hours of an onset well inside the record
_MINUTE = 1 / 60


def read(path: Path, needed: list[str]) -> pl.LazyFrame:
    """Return a table whose `time`, if it has one, is `hours` (a number); ids are integers or text."""
    try:
        scan = pl.scan_parquet(path)
        schema = scan.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).splitlines()[0]}") from fault
    if lacking := [name for name in needed if name not in schema]:
        raise InputError(f"{path} lacks the column(s) {', '.join(lacking)}; it has {', '.join(schema)}")
    scan = scan.with_columns(pl.col("stay_id").cast(pl.Int64 if schema["stay_id"].is_integer() else pl.String))
    if "time" not in schema:
        return scan
    if isinstance(schema["time"], pl.Duration):
        hours = pl.col("time").dt.total_microseconds() / 3_600_000_000  # exact for whole hours
        return scan.with_columns(hours.alias("hours")).drop("time")
    if schema["time"].is_numeric():
        return scan.with_columns(pl.col("time").cast(pl.Float64).alias("hours")).drop("time")
    raise InputError(f"{path}: time is {schema['time']}; it must be a duration, or a number of hours")


def refuse(path: Path, fault: str, rows: pl.DataFrame) -> None:
    """Raise InputError when there are such rows."""
    if rows.height:
        raise InputError(f"{path} has {fault} in {rows.height} row(s); first: stay {rows['stay_id'].sort()[0]}")


def static(name: str, kind: pl.DataType) -> pl.Expr:
    """Return a column of sta.parquet as a number; sex is 1 for Male and 0 for Female, null for any other word."""
    words = {"male": 1.0, "m": 1.0, "female": 0.0, "f": 0.0}
    if name == "sex" and kind == pl.String:
        number = pl.col(name).str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Float64)
    else:
        number = pl.col(name).cast(pl.Float64, strict=False).fill_nan(None)
    return number.alias(STATIC[name])


def long(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (observations, rejects) of wide rows; an empty cell is no measurement."""
    parts, refused = [], [schemas.empty(schemas.Rejects)]
    stamp = (pl.col("hours") + BIN_HOURS).alias("hours")
    for name in (n for n in rows.columns if n not in ("stay_id", "hours")):
        variable, unit = MEASURED.get(name, (name, None))
        factor, offset = vocabulary()[variable].conversion(unit) if unit else (1.0, 0.0)
        value = factor * pl.col(name).cast(pl.Float64, strict=False) + offset
        own = rows.filter(pl.col(name).is_not_null()).select(
            pl.col("stay_id").cast(pl.String), stamp, pl.lit(variable).alias("variable"), value.alias("value")
        )
        if unit:
            parts.append(own)
        else:
            refused.append(own.with_columns(pl.lit("unknown_variable").alias("rule")))
    return pl.concat(parts), pl.concat(refused)


def onsets(path: Path, positives: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, onset_hours, end_hours, cut: onset = end of the first labelled hour + 6 h.

    `cut`: labelled from the first row and for fewer than 13 h, so that the onset may have been earlier.
    """
    runs = positives.group_by("stay_id").agg(
        pl.col("hours").min().alias("first"), pl.col("hours").max().alias("last"), pl.len()
    )
    torn = runs.filter((pl.col("last") - pl.col("first")) / BIN_HOURS + 1 != pl.col("len"))
    refuse(path, "labelled hours that do not follow one another", torn)
    onset = pl.col("first") + BIN_HOURS + _EARLY_HOURS
    end = pl.max_horizontal(onset, pl.col("last") + BIN_HOURS)
    cut = (pl.col("first") == 0) & (pl.col("len") < _WHOLE_RUN)
    return runs.select("stay_id", onset.alias("onset_hours"), end.alias("end_hours"), cut.alias("cut"))


def deaths(positives: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return a death one minute after the record of each stay that is labelled 1."""
    dead = stays.join(positives, left_on="key", right_on="stay_id", how="semi", maintain_order="left")
    onset = pl.col("length_hours") + _MINUTE
    return dead.select("stay_id", onset.alias("onset_hours"), onset.alias("end_hours"), pl.lit(False).alias("cut"))
