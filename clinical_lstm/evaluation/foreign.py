"""Risks that another tool made for the stays of a cohort, joined to its labels: judged like our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.inference import predictions_table

CLIP = 1e-6  # risks of exactly 0 or 1 have no logit
KEY = {"stay_id": pl.String, "hours": pl.Float64, "complication": pl.String, "horizon_hours": pl.Float64}
WANTED = {**KEY, "risk": pl.Float64}
SAME_HOURS = 1e-6  # 4 ms: times that went through text
TICK = (pl.col("hours") / SAME_HOURS).round().cast(pl.Int64, strict=False).alias("tick")  # null: hours are no number
ROW = ["stay_id", "tick", "complication", "horizon_hours"]


def foreign_predictions(path: Path, labels: pl.DataFrame, stays: pl.DataFrame, splits: Sequence[str]) -> pl.DataFrame:
    """Return `schemas.Predictions` of the stays in `splits` with the risks of a file.

    The file (.parquet, .csv) has stay_id, hours, complication, horizon_hours and risk; where the cohort has one target,
    the two columns that name it may be absent. Rows of other stays or times are ignored; risks are clipped into
    [1e-6, 1 - 1e-6].

    Args:
        labels: `schemas.Labels`. stays: `schemas.SplitStays`. splits: those whose rows must all have a risk.

    Raises InputError on a file that cannot be read, a missing column, a row that stands twice, a risk that is no
    number in [0, 1], and rows at risk without a risk.
    """
    risks = _checked(path, _read(path, labels))
    own = stays.filter(pl.col("split").is_in(list(splits)))
    asked = labels.join(own.select("stay_id"), on="stay_id", how="semi", maintain_order="left")
    joined = asked.with_columns(TICK).join(risks.select(*ROW, "risk"), on=ROW, how="left", maintain_order="left")
    absent = joined.filter("at_risk", pl.col("risk").is_null())
    if absent.height:
        first = absent.select(list(KEY)).row(0)
        raise InputError(
            f"{path} has no risk for {absent.height} of {joined.filter('at_risk').height} rows at risk of the splits "
            f"{' and '.join(splits)}, the first is {first}; predict every row of the cohort's labels"
        )
    known = joined.filter(pl.col("risk").is_not_null())
    return predictions_table(known.drop("risk", "tick"), stays, known["risk"].clip(CLIP, 1 - CLIP).to_numpy())


def _read(path: Path, labels: pl.DataFrame) -> pl.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file of predictions {path}")
    try:
        table = pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise InputError(f"{path} cannot be read as {path.suffix or 'Parquet'}: {str(fault).splitlines()[0]}") from None
    targets = labels.select("complication", "horizon_hours").unique()
    if targets.height == 1:
        given = [pl.lit(targets[name][0]).alias(name) for name in targets.columns if name not in table.columns]
        table = table.with_columns(given)
    missing = [name for name in WANTED if name not in table.columns]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table


def _checked(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Return `WANTED` and `tick` of every row, all of them good."""
    try:
        typed = table.select(pl.col(name).cast(dtype, strict=False) for name, dtype in WANTED.items())
    except pl.exceptions.PolarsError:
        found = ", ".join(f"{name} {table[name].dtype}" for name in WANTED)
        raise InputError(f"{path} has columns that hold no single numbers or names: {found}") from None
    typed = typed.with_columns(TICK)
    wrong = typed.filter(~(pl.col("risk") >= 0).fill_null(False) | ~(pl.col("risk") <= 1) | pl.col("tick").is_null())
    if wrong.height:
        raise InputError(
            f"{path} has {wrong.height} row(s) whose risk is no number in [0, 1] or whose hours are no number, the "
            f"first is {wrong.select(list(WANTED)).row(0)}"
        )
    twice = typed.filter(pl.struct(ROW).is_duplicated())
    if twice.height:
        first = twice.select(list(WANTED)).row(0)
        raise InputError(f"{path} has {twice.height} rows that stand twice, the first is {first}")
    return typed
