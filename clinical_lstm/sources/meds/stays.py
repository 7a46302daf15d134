"""From events to stays: when a stay begins and ends, how long its patient was followed, and whether the patient died.

`events` is subject, time, code (number), value's number, and what the code is (`start`, `end`, ...), sorted by subject
and time as the data set is.
"""

from __future__ import annotations

import polars as pl

from clinical_lstm import schemas

_MICROSECONDS = 3_600_000_000  # an hour
_YEAR_HOURS = 365.2425 * 24


def find_stays(events: pl.DataFrame, spans: pl.DataFrame, whole: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (stays, rejects) of whole subjects; stays: `schemas.Stays` without statics, and `subject`.

    ```
        hospital admission   start        end     hospital discharge
             |-----------------|===========|--------------|
             hours_before_icu  0         length       follow_up
    ```

    A stay ends at the first end after its start; without one at the hospital discharge, else at the subject's last
    event; always at the next start. It is followed until the hospital discharge, else the last event. Starts at the
    same instant are one. A stay without a span is rejected (`no_span`).

    Args:
        events: see above. spans: subject, first, last (time of the first and last event that is no birth).
        whole: the whole record of a subject is one stay.

    """
    if whole:
        begun = spans.select("subject", pl.col("first").alias("admission"))
    else:
        begun = _of(events, "start").select("subject", pl.col("time").alias("admission")).unique(maintain_order=True)
    begun = begun.drop_nulls().with_columns(
        (pl.int_range(pl.len()).over("subject") + 1).alias("n"),
        pl.col("admission").shift(-1).over("subject").alias("next"),
    )
    for name in ["end", "discharge"]:
        role = events.clear() if whole else _of(events, name)
        begun = _asof(begun, role, name, "forward", False)
    begun = _asof(begun, _of(events, "hospital"), "hospital", "backward", True)
    births = _of(events, "birth").group_by("subject", maintain_order=True).agg(pl.col("time").min().alias("birth"))
    begun = begun.join(births, on="subject", how="left", maintain_order="left")
    begun = begun.join(spans.select("subject", "last"), on="subject", how="left", maintain_order="left")
    return _measured(begun, whole)


def deaths(events: pl.DataFrame, stays: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (`schemas.Episodes`, rejects): the death of a subject, in every stay that began before it.

    A death before the admission is rejected (`before_admission`): many data sets know its day alone, as midnight.
    """
    died = _of(events, "death").group_by("subject", maintain_order=True).agg(pl.col("time").min().alias("died"))
    found = stays.join(died, on="subject", how="inner", maintain_order="left").select(
        "stay_id",
        pl.lit("death").alias("complication"),
        hours_between("admission", "died").alias("onset_hours"),
        hours_between("admission", "died").alias("end_hours"),
    )
    early = found.filter(pl.col("onset_hours") < 0)
    rejects = early.select(
        "stay_id",
        pl.col("onset_hours").alias("hours"),
        pl.lit("death").alias("variable"),
        pl.lit(None, pl.Float64).alias("value"),
        pl.lit("before_admission").alias("rule"),
    )
    return found.filter(pl.col("onset_hours") >= 0), rejects


def hours_between(start: str, end: str) -> pl.Expr:
    """Return the hours from one instant to another.

    >>> from datetime import datetime
    >>> frame = pl.DataFrame({"a": [datetime(2020, 1, 1)], "b": [datetime(2020, 1, 1, 1, 30)]})
    >>> frame.select(hours_between("a", "b")).item()
    1.5
    """
    return (pl.col(end) - pl.col(start)).dt.total_microseconds() / _MICROSECONDS


def _measured(begun: pl.DataFrame, whole: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    until = pl.min_horizontal(pl.coalesce("end", "discharge", "last"), "next")
    hours_before = pl.lit(None, pl.Float64) if whole else hours_between("hospital", "admission")
    stays = begun.with_columns(until.alias("until"), pl.coalesce("discharge", "last").alias("followed")).select(
        "subject",
        pl.format("{}-{}", "subject", "n").alias("stay_id"),
        pl.col("subject").cast(pl.String).alias("patient_id"),
        pl.lit("all").alias("site"),
        pl.lit(0.0).alias("start_hours"),
        hours_between("admission", "until").alias("length_hours"),
        pl.max_horizontal(hours_between("admission", "followed"), hours_between("admission", "until")).alias(
            "follow_up_hours"
        ),
        "admission",
        (hours_between("birth", "admission") / _YEAR_HOURS).alias("age_years"),
        hours_before.alias("hours_before_icu"),
    )
    spans = (pl.col("length_hours") > 0).fill_null(False)
    said = {"hours": 0.0, "variable": None, "value": None, "rule": "no_span"}
    kinds = schemas.empty(schemas.Rejects).schema
    rejects = stays.filter(~spans).select(
        "stay_id", *(pl.lit(value, kinds[name]).alias(name) for name, value in said.items())
    )
    return stays.filter(spans), rejects


def _of(events: pl.DataFrame, role: str) -> pl.DataFrame:
    return events.filter(pl.col(role) & pl.col("time").is_not_null())


def _asof(begun: pl.DataFrame, role: pl.DataFrame, name: str, strategy: str, exact: bool) -> pl.DataFrame:
    """Add the time of the first event of a role after each admission (or the last before it) as a column."""
    return begun.join_asof(
        role.select("subject", pl.col("time").alias(name)),
        left_on="admission",
        right_on=name,
        by="subject",
        strategy=strategy,  # type: ignore[arg-type]
        allow_exact_matches=exact,
        coalesce=False,
        check_sortedness=False,
    )
