"""PhysioNet/CinC Challenge 2012: the first 48 hours of an ICU stay, stamped to the minute; death in hospital."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive
from clinical_lstm.sources.base import Extract, Source, stays_table
from clinical_lstm.sources.physionet2012.outcomes import (
    WINDOW_HOURS,
    deaths,
    follow_up,
    joined,
    letter,
    of_stay,
    outcomes,
)
from clinical_lstm.sources.physionet2012.records import Record, divide, parse, record
from clinical_lstm.variables import dynamic_names, static_names

_MEASURED = {
    "ALP": "alkaline_phosphatase", "ALT": "alt", "AST": "ast", "Albumin": "albumin", "BUN": "bun",
    "Bilirubin": "bilirubin_total", "Cholesterol": "cholesterol", "Creatinine": "creatinine", "DiasABP": "dbp",
    "FiO2": "fio2", "GCS": "gcs", "Glucose": "glucose", "HCO3": "bicarbonate", "HCT": "hematocrit", "HR": "heart_rate",
    "K": "potassium", "Lactate": "lactate", "MAP": "map", "MechVent": "mechanical_ventilation", "Mg": "magnesium",
    "NIDiasABP": "dbp_noninvasive", "NIMAP": "map_noninvasive", "NISysABP": "sbp_noninvasive", "Na": "sodium",
    "PaCO2": "paco2", "PaO2": "pao2", "Platelets": "platelets", "RespRate": "respiratory_rate", "SaO2": "sao2",
    "SysABP": "sbp", "Temp": "temperature", "TroponinI": "troponin_i", "TroponinT": "troponin_t",
    "Urine": "urine_output", "WBC": "wbc", "Weight": "weight", "pH": "ph",
}  # fmt: skip
_ICU = {"icu_coronary": 1, "icu_cardiac_surgery": 2, "icu_medical": 3, "icu_surgical": 4}
_STATIC = ["age_years", "male", "height_cm", "weight_kg", *_ICU]
_UNKNOWN = -1.0


class PhysioNet2012(Source):
    """Read `.txt` records (Time HH:MM since ICU admission, Parameter, Value), one per stay, and `Outcomes-*.txt`.

    Files named by digits are records, `Outcomes*.txt` the labels; other .txt files are left alone. Without any
    outcomes file there are no episodes (new data). Every stay spans the record window, 48 h; it is its own patient;
    `site` is the set letter, from the path (set-a) or from the outcomes file, else "all".

    `death`: In-hospital_death = 1, at max(24 x Survival, 48 + 1/60) h; known until max(24 x Length_of_stay, 48) h. Only
    the DAYS are published, so the hour is good to a day and never inside the window: best for one prediction at 48 h.
    Length_of_stay, Survival, SAPS-I and SOFA become outcomes of the stay (`schemas.StayCore`), which are no inputs.

    Descriptors of -1 are unknown (null). Refused here: a row without a parameter name (`empty_variable`), without a
    value (`no_value`), of an unlisted parameter (`unknown_variable`), of value -1 (`sentinel`). Converted, because
    only one reading is possible: pH of 650 to 800 (x 100), height of 1.3 to 2.3 (metres), height above 254 whose
    2.54th part is a whole number of centimetres (inches converted twice). Other impossible values, e.g. 13 cm or
    -17.8 degC, are left to the plausible ranges. Mg is in mg/dL (median 2.0), whatever the official page says.

    Source: Silva et al., Comput Cardiol 39:245-248 (2012), PMID 24678516.
    """

    title = "PhysioNet/CinC Challenge 2012 (in-hospital mortality, ICU, first 48 h)"
    citation = "Silva et al., Predicting In-Hospital Mortality of ICU Patients, Comput Cardiol 39:245-248 (2012)"
    licence = "ODC-BY 1.0, physionet.org/content/challenge-2012"

    def __init__(self, root: str, shard_stays: int = 4096) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.root, self.shard_stays = root, shard_stays

    @property
    def variables(self) -> list[str]:
        """The 37 time series (weight among them)."""
        return [name for name in dynamic_names() if name in _MEASURED.values()]

    @property
    def statics(self) -> list[str]:
        """Age, sex, height, weight at admission and kind of ICU."""
        return [name for name in static_names() if name in _STATIC]

    def fingerprint(self) -> str:
        """Names, sizes and times of the files."""
        return archive.fingerprint(self.root, ".txt")

    def files(self) -> list[Path]:
        """The archives and loose text files."""
        return archive.inputs(self.root, ".txt")

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` records, in the order of their numbers, however they are packed."""
        records, labels = _collect(self.root)
        for start in range(0, len(records), self.shard_stays):
            yield _extract(records[start : start + self.shard_stays], labels)


def _collect(root: str) -> tuple[list[Record], pl.DataFrame | None]:
    """Return the records sorted by number, and the outcomes: a set is small enough (30 MB) to be held whole."""
    records, tables = [], []
    for name, content in archive.records(root, ".txt"):
        base = name.rsplit("/", 1)[-1].removesuffix(".txt")
        if base.isdecimal():
            records.append(record(name, content))
        elif base.lower().startswith("outcomes"):
            tables.append(outcomes(name, content))
    if not records:
        raise InputError(f"{root} holds no record (a file like 132539.txt); see physionet.org/content/challenge-2012")
    records.sort(key=lambda r: (int(r.stay_id), r.name))
    if twice := [f"{a.name} and {b.name}" for a, b in pairwise(records) if int(a.stay_id) == int(b.stay_id)]:
        raise InputError(f"{len(twice)} record(s) stand twice; first: {twice[0]}; remove one of them")
    return records, joined(tables, [r.stay_id for r in records]) if tables else None


def _extract(records: list[Record], labels: pl.DataFrame | None) -> Extract:
    descriptors, rows = divide(parse(records), records)
    stays = descriptors.with_columns(pl.Series("site", [letter(r.name) for r in records], pl.String))
    episodes = schemas.empty(schemas.Episodes)
    if labels is not None:
        number = pl.col("RecordID").cast(pl.Int64)
        stays = stays.join(labels, left_on=number, right_on="RecordID", how="left", maintain_order="left")
        stays = stays.with_columns(pl.coalesce("site", "site_right").alias("site"))
        stays = stays.with_columns(follow_up().alias("follow_up_hours"), *of_stay())
        episodes = deaths(stays)
    rows = rows.join(stays.select("record", "stay_id"), on="record", how="left", maintain_order="left")
    observations, rejects = _measured(rows)
    return Extract(_stays(stays), observations, episodes, rejects, labels is not None)


def _stays(rows: pl.DataFrame) -> pl.DataFrame:
    known = {name: pl.when(pl.col(name) != _UNKNOWN).then(name) for name in ("Age", "Gender", "Height", "Weight")}
    kind = pl.when(pl.col("ICUType") != _UNKNOWN).then("ICUType")
    return stays_table(
        rows.with_columns(
            pl.col("stay_id").alias("patient_id"),
            pl.col("site").fill_null("all"),
            pl.lit(0.0).alias("start_hours"),
            pl.lit(WINDOW_HOURS).alias("length_hours"),
            known["Age"].alias("age_years"),
            known["Gender"].alias("male"),
            _height(known["Height"]).alias("height_cm"),
            known["Weight"].alias("weight_kg"),
            *((kind == code).cast(pl.Float64).alias(name) for name, code in _ICU.items()),
        )
    )


def _height(recorded: pl.Expr) -> pl.Expr:
    once = recorded / 2.54
    converted_twice = (recorded > 254) & ((once - once.round()).abs() < 0.03)
    metres = recorded.is_between(1.3, 2.3)
    return pl.when(metres).then(recorded * 100).when(converted_twice).then(once.round()).otherwise(recorded)


def _measured(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (observations, rejects): canonical names; `rule` says why a row is refused."""
    rule = (
        pl.when(pl.col("parameter").is_null())
        .then(pl.lit("empty_variable"))
        .when(~pl.col("parameter").is_in(list(_MEASURED)))
        .then(pl.lit("unknown_variable"))
        .when(pl.col("value").is_null())
        .then(pl.lit("no_value"))
        .when(pl.col("value") == _UNKNOWN)
        .then(pl.lit("sentinel"))
    )
    scaled = pl.when((pl.col("parameter") == "pH") & pl.col("value").is_between(650, 800)).then(pl.col("value") / 100)
    judged = rows.select(
        "stay_id",
        "hours",
        pl.col("parameter").replace(_MEASURED).alias("variable"),
        scaled.otherwise(pl.col("value")).alias("value"),
        rule.alias("rule"),
    )
    refused = pl.col("rule").is_not_null()
    return judged.filter(~refused).drop("rule"), judged.filter(refused)
