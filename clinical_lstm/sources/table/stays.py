"""The stays of a hospital: who, from when to when, and what is known at admission."""

from __future__ import annotations

import hashlib

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources.table.codebook import codebook
from clinical_lstm.sources.table.mapping import Target
from clinical_lstm.sources.table.reading import HospitalTable, hours_between, tolerated
from clinical_lstm.variables import static_names


def read_stays(table: HospitalTable, timed: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (stays, rejects); stays: stay_id, patient_id, site, admission, start_hours, length_hours, statics.

    length_hours is null where the file does not say when the stay ends; admission where it does not say it, which is
    allowed unless `timed`: times of other files count from it. Columns that are neither ours nor mapped to a static
    variable are not read. Raises InputError on a missing column, a missing or repeated stay_id, a time that is none, a
    stay without a span, or 1 % of static values that are no number.
    """
    start = table.number("start_hours") if table.has("start_hours") else pl.lit(0.0)
    patient = table.text("patient_id") if table.has("patient_id") else pl.lit(None, pl.String)
    site = table.text("site") if table.has("site") else pl.lit(None, pl.String)
    known = timed or table.has("admission")
    statics = static_columns(table)
    columns = [
        table.text("stay_id"),
        pl.coalesce(patient, table.text("stay_id")).alias("patient_id"),
        site.fill_null("all").alias("site"),
        (table.instant("admission") if known else pl.lit(None, pl.Datetime("us"))).alias("admission"),
        start.fill_null(0.0).alias("start_hours"),
        _length(table, timed).alias("length_hours"),
        *(_is_no_time(table, key).alias(f"no {key}") for key in _clock_columns(table, timed)),
        *(table.number(label, target.values).alias(target.name) for label, target in statics.items()),
        *(table.filled(label).alias(f"text {target.name}") for label, target in statics.items()),
    ]
    with table.readable():
        rows = table.frame.select(columns).collect()
    _refuse(table, rows, timed)
    rejects = _no_numbers(table, rows, statics)
    return _canonical(table, rows, statics).select(pl.exclude("^(no|text) .*$")), rejects


def sharded(stays: pl.DataFrame, shard_stays: int) -> pl.DataFrame:
    """Return the stays with their `shard`: patients in the order of a hash of their id, never cut in two.

    >>> stays = pl.DataFrame({"stay_id": ["1", "2", "3"], "patient_id": ["a", "b", "a"]})
    >>> sharded(stays, 2).rows()
    [('1', 'a', 0), ('3', 'a', 0), ('2', 'b', 1)]
    """
    patients = stays.group_by("patient_id").len()
    keys = [hashlib.blake2b(patient.encode(), digest_size=8).hexdigest() for patient in patients["patient_id"]]
    ordered = patients.with_columns(pl.Series("key", keys)).sort("key", "patient_id")
    shard = ((pl.col("len").cum_sum() - pl.col("len")) // shard_stays).cast(pl.Int64).alias("shard")
    ordered = ordered.with_columns(shard).with_row_index("rank").select("patient_id", "shard", "rank")
    return stays.join(ordered, on="patient_id", how="left").sort("rank", "stay_id").drop("rank")


def static_columns(table: HospitalTable) -> dict[str, Target]:
    """Return what the columns of statics mean, by column; raises InputError when two columns mean the same."""
    found = {label: target for label in table.others() if (target := table.names.target(label))}
    statics = {label: target for label, target in found.items() if target.name in static_names()}
    for label, target in statics.items():
        same = [other for other, its in statics.items() if its.name == target.name]
        if len(same) > 1:
            raise InputError(
                f"{table.path}: the columns {', '.join(same)} all mean {target.name}; map one, beside {label}"
            )
    return statics


def _length(table: HospitalTable, timed: bool) -> pl.Expr:
    if table.has("length_hours"):
        return table.number("length_hours")
    if table.has("discharge") and (timed or table.has("admission")):
        return hours_between(table.instant("admission"), table.instant("discharge"))
    return pl.lit(None, pl.Float64)


def _clock_columns(table: HospitalTable, timed: bool) -> list[str]:
    ends = [] if table.has("length_hours") else ["discharge"]
    return [key for key in ["start_hours", "length_hours", *(["admission"] if timed else []), *ends] if table.has(key)]


def _is_no_time(table: HospitalTable, key: str) -> pl.Expr:
    read = table.number(key) if key.endswith("hours") else table.instant(key)
    return table.filled(key).is_not_null() & read.is_null()


def _refuse(table: HospitalTable, rows: pl.DataFrame, timed: bool) -> None:
    if not rows.height:
        raise InputError(f"{table.path} holds no stay")
    start, end = pl.col("start_hours"), pl.col("length_hours")
    zone = table.names.time_zone
    skipped = f" (or that the clocks of {zone} skip)" if zone else ""
    spans = end.is_null() | (end.is_finite() & (end > start))
    faults = {
        "no stay_id": pl.col("stay_id").is_null(),
        "a stay_id that stands twice": pl.col("stay_id").is_duplicated(),
        **{f"a {c[3:]} that is none{skipped}": pl.col(c) for c in rows.columns if c.startswith("no ")},
        "no admission, while observations have times": pl.col("admission").is_null() & timed,
        "a start_hours below 0": ~(start.is_finite() & (start >= 0)),
        "an end that is not after the start": ~spans,
    }
    for fault, condition in faults.items():
        if (bad := rows.filter(condition)).height:
            raise InputError(f"{table.path} has {fault} in {bad.height} row(s); first: stay {bad['stay_id'][0]!r}")


def _no_numbers(table: HospitalTable, rows: pl.DataFrame, statics: dict[str, Target]) -> pl.DataFrame:
    refused = [schemas.empty(schemas.Rejects)]
    for label, target in statics.items():
        bad = rows.filter(pl.col(target.name).is_null() & pl.col(f"text {target.name}").is_not_null())
        example = bad[f"text {target.name}"].min()
        tolerated(table.path, bad.height, rows.height, f"text where a number belongs in {label}", example)
        said = {"hours": None, "variable": target.name, "value": None, "rule": "not_a_number"}
        literal = [
            pl.lit(value, schemas.empty(schemas.Rejects).schema[name]).alias(name) for name, value in said.items()
        ]
        refused.append(bad.select("stay_id", *literal))
    return pl.concat(refused)


def _canonical(table: HospitalTable, rows: pl.DataFrame, statics: dict[str, Target]) -> pl.DataFrame:
    labels = pl.DataFrame({"label": list(statics), "unit": [None] * len(statics), "rows": [rows.height] * len(statics)})
    book = codebook(labels.cast({"label": pl.String, "unit": pl.String}), table.names, table.path)
    scaled = [
        pl.col(name) * factor + offset for name, factor, offset in book.select("variable", "factor", "offset").rows()
    ]
    return rows.with_columns(scaled)
