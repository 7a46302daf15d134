"""The rows of the official tables, lazily, each placed in its stay: measurements, events and intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from clinical_lstm.sources.mimic_iv.codes import Lexicon
from clinical_lstm.sources.mimic_iv.files import CHART, Files
from clinical_lstm.sources.table.reading import hours_between

SPECIMEN_TYPE = 52033  # the lab item that says of a specimen: ART., VEN., MIX., CENTRAL VENOUS.
_PLACE = {"shard": pl.Int64(), "stay_id": pl.Int64()}
_VALUE = {"itemid": pl.Int64(), "row": pl.UInt32(), "value": pl.Float64(), "written": pl.Boolean(), "unit": pl.String()}
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    # One row is a measurement; `written`: something stood there, be it a number or not; `text`: of items that are read
    # by their words, and of specimen types.
    "events": _PLACE | {"hours": pl.Float64()} | _VALUE | {"text": pl.String(), "specimen_id": pl.Int64()},
    # One row is something that ran from `start` to `end` (hours).
    "intervals": _PLACE | {"start": pl.Float64(), "end": pl.Float64()} | _VALUE | {"weight": pl.Float64()},
    # One row is an event; `dated`: its hour is known.
    "points": _PLACE | {"hours": pl.Float64(), "variable": pl.String(), "dated": pl.Boolean()},
}


def tables(
    files: Files, clock: pl.DataFrame, codes: pl.DataFrame, drugs: Lexicon, cultures: Lexicon
) -> Iterator[tuple[str, str, pl.LazyFrame]]:
    """Yield (file, kind, rows) of every table that is there; kind: events, intervals or points."""
    yield CHART, "events", charted(files, clock, codes)
    yield "hosp/labevents", "events", tested(files, clock, codes)
    if files.has("icu/outputevents"):
        yield "icu/outputevents", "events", put_out(files, clock, codes)
    for name in ("icu/inputevents", "icu/procedureevents"):
        if files.has(name):
            yield name, "intervals", ran(files, clock, codes, name)
    if files.has("hosp/prescriptions"):
        yield "hosp/prescriptions", "points", prescribed(files, clock, drugs)
    if files.has("hosp/microbiologyevents"):
        yield "hosp/microbiologyevents", "points", cultured(files, clock, cultures)


def charted(files: Files, clock: pl.DataFrame, codes: pl.DataFrame) -> pl.LazyFrame:
    """Return the chart events of the mapped items: rows of `events`."""
    own = codes.filter(pl.col("table") == "chartevents")
    rows = files.frame(CHART, own["itemid"].to_list())
    if stream := files.is_stream():
        parts = pl.col("code").str.split("//")
        rows = rows.with_columns(
            parts.list.get(1).cast(pl.Int64).alias("itemid"),
            parts.list.get(2, null_on_oob=True).alias("valueuom"),
            _number("value").alias("valuenum"),
            pl.col("time").alias("charttime"),
        )
    early = own.filter(pl.col("variable").is_in(["height_cm", "weight"]))["itemid"].to_list()
    worded = own.filter(pl.col("words") != "")["itemid"].to_list()
    text = pl.when(pl.col("itemid").is_in(worded)).then(pl.col("value").str.strip_chars().str.to_lowercase())
    rows = rows.with_columns(text.alias("text"), pl.lit(None, pl.Int64).alias("specimen_id"))
    return _events(_placed(rows, clock, "subject_id" if stream else "stay_id", "charttime", early), pl.col("valuenum"))


def tested(files: Files, clock: pl.DataFrame, codes: pl.DataFrame) -> pl.LazyFrame:
    """Return the mapped labs and the types of their specimens: rows of `events`, stamped when drawn."""
    own = codes.filter(pl.col("table") == "labevents")["itemid"].to_list()
    rows = files.frame("hosp/labevents", [*own, SPECIMEN_TYPE])
    text = pl.when(pl.col("itemid") == SPECIMEN_TYPE).then("value")
    return _events(_placed(rows.with_columns(text.alias("text")), clock, "subject_id", "charttime"), pl.col("valuenum"))


def put_out(files: Files, clock: pl.DataFrame, codes: pl.DataFrame) -> pl.LazyFrame:
    """Return the mapped outputs: rows of `events`."""
    rows = files.frame("icu/outputevents", codes.filter(pl.col("table") == "outputevents")["itemid"].to_list())
    rows = rows.with_columns(pl.lit(None, pl.String).alias("text"), pl.lit(None, pl.Int64).alias("specimen_id"))
    return _events(_placed(rows, clock, "stay_id", "charttime"), _number("value"))


def ran(files: Files, clock: pl.DataFrame, codes: pl.DataFrame, name: str) -> pl.LazyFrame:
    """Return what was given or done from one time to another: rows of `intervals` that touch their stay."""
    table = name.removeprefix("icu/")
    rows = files.frame(name, codes.filter(pl.col("table") == table)["itemid"].to_list())
    if table == "procedureevents":
        rows = rows.with_columns(
            pl.lit(None, pl.String).alias("rate"),
            pl.lit(None, pl.String).alias("rateuom"),
            pl.lit(None, pl.Float64).alias("patientweight"),
        )
    rows = rows.with_columns(pl.coalesce("endtime", "starttime").alias("endtime"))
    spans = rows.join(clock.lazy(), on="stay_id", how="inner")
    spans = spans.filter(pl.col("starttime") <= pl.col("end"), pl.col("endtime") > pl.col("intime"))
    return spans.with_columns(
        hours_between(pl.col("intime"), pl.col("starttime")).alias("start"),
        hours_between(pl.col("intime"), pl.col("endtime")).alias("end"),
        _number("rate").alias("value"),
        pl.col("rate").is_not_null().alias("written"),
        pl.col("rateuom").alias("unit"),
        pl.col("patientweight").alias("weight"),
    ).select(*SCHEMAS["intervals"])


def prescribed(files: Files, clock: pl.DataFrame, drugs: Lexicon) -> pl.LazyFrame:
    """Return rows of `points`: each start of an antibiotic that acts in the whole body."""
    systemic = pl.col("route").str.strip_chars().str.to_uppercase().is_in(drugs.routes)
    rows = files.frame("hosp/prescriptions").filter(systemic, _worded("drug", drugs))
    placed = _placed(rows, clock, "subject_id", "starttime")
    return _points(placed, "antibiotic", pl.lit(True))


def cultured(files: Files, clock: pl.DataFrame, cultures: Lexicon) -> pl.LazyFrame:
    """Return rows of `points`: each culture, where only the day is known at noon of it."""
    rows = files.frame("hosp/microbiologyevents").filter(_worded("test_name", cultures))
    noon = pl.col("chartdate") + pl.duration(hours=12)
    rows = rows.with_columns(pl.coalesce("charttime", noon).alias("taken"), pl.col("charttime").alias("known"))
    placed = _placed(rows, clock, "subject_id", "taken")
    return _points(placed, "culture", pl.col("known").is_not_null())


def part(rows: pl.LazyFrame, folder: Path) -> None:
    """Write the rows to one folder per shard, in one pass and in bounded memory."""
    rows.sink_parquet(pl.PartitionBy(folder, key="shard", include_key=False), mkdir=True)


def parted(folders: list[Path], shard: int, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return the rows of one shard from the folders of several tables, in the order of the tables and their rows."""
    found = [pl.DataFrame(schema=schema).drop("shard")]
    for folder in folders:
        files = sorted((folder / f"shard={shard}").glob("*.parquet"))
        rows = pl.concat([found[0], *(pl.read_parquet(file, hive_partitioning=False) for file in files)])
        found.append(rows.sort("row" if "row" in schema else rows.columns))
    return pl.concat(found)


def _placed(
    rows: pl.LazyFrame, clock: pl.DataFrame, key: str, time: str, early: list[int] | None = None
) -> pl.LazyFrame:
    """Return the rows that lie in a stay, with its stay_id, shard and their `hours`; the others belong to no stay.

    Charts are kept by the minute and intime by the second: what stands in the minute of intime is of hour 0. The items
    `early` (of the body, known at admission) count from a day before.
    """
    spans = clock.lazy()
    columns = ["stay_id", "shard", "intime", "start", "end"]
    own = pl.lit(True)
    if key == "subject_id":
        columns, own = [key, "until", *columns], (pl.col(time) < pl.col("until")).fill_null(True)
    start = pl.col("start")
    if early is not None:
        start = pl.when(pl.col("itemid").is_in(early)).then(start - pl.duration(hours=24)).otherwise(start)
    joined = rows.join(spans.select(columns), on=key, how="inner")
    within = joined.filter((pl.col(time) >= start) & (pl.col(time) <= pl.col("end")) & own)
    hours, before = hours_between(pl.col("intime"), pl.col(time)), pl.col(time) < pl.col("start")
    return within.with_columns(pl.when(before).then(hours).otherwise(hours.clip(0.0)).alias("hours"))


def _events(rows: pl.LazyFrame, value: pl.Expr) -> pl.LazyFrame:
    written = pl.col("value").is_not_null() | value.is_not_null()
    columns = {"value": value, "written": written, "unit": pl.col("valueuom")}
    return rows.select(columns.get(name, pl.col(name)).alias(name) for name in SCHEMAS["events"])


def _points(placed: pl.LazyFrame, variable: str, dated: pl.Expr) -> pl.LazyFrame:
    return placed.with_columns(pl.lit(variable).alias("variable"), dated.alias("dated")).select(*SCHEMAS["points"])


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64, strict=False).fill_nan(None)


def _worded(column: str, words: Lexicon) -> pl.Expr:
    """Return whether a text contains a wanted word and no unwanted one."""
    text = pl.col(column).str.to_lowercase()
    return text.str.contains_any(words.wanted) & ~text.str.contains_any(words.unwanted)
