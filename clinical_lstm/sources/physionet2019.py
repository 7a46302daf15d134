"""PhysioNet/CinC Challenge 2019: hourly ICU records of two hospital systems, labelled for sepsis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.sources import archive
from clinical_lstm.sources.base import Extract, Source, stays_table
from clinical_lstm.variables import dynamic_names, static_names

_MEASURED = {
    "HR": "heart_rate", "O2Sat": "spo2", "Temp": "temperature", "SBP": "sbp", "MAP": "map", "DBP": "dbp",
    "Resp": "respiratory_rate", "EtCO2": "etco2", "BaseExcess": "base_excess", "HCO3": "bicarbonate", "FiO2": "fio2",
    "pH": "ph", "PaCO2": "paco2", "SaO2": "sao2", "AST": "ast", "BUN": "bun", "Alkalinephos": "alkaline_phosphatase",
    "Calcium": "calcium", "Chloride": "chloride", "Creatinine": "creatinine", "Bilirubin_direct": "bilirubin_direct",
    "Glucose": "glucose", "Lactate": "lactate", "Magnesium": "magnesium", "Phosphate": "phosphate",
    "Potassium": "potassium", "Bilirubin_total": "bilirubin_total", "TroponinI": "troponin_i", "Hct": "hematocrit",
    "Hgb": "hemoglobin", "PTT": "ptt", "WBC": "wbc", "Fibrinogen": "fibrinogen", "Platelets": "platelets",
}  # fmt: skip
_STATIC = {"Age": "age_years", "Gender": "male", "Unit1": "icu_medical", "Unit2": "icu_surgical"}
_COLUMNS = [*_MEASURED, "Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS"]
_LABEL = "SepsisLabel"
_SET = re.compile(r"(?<![A-Z])(?:TRAINING)?SET[_-]?([AB])(?![A-Z])", re.IGNORECASE)  # not the b of `onset_before`
_NUMBER = re.compile(r"(NaN|nan|[-+]?(inf|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?))?")
_EARLY_HOURS = 6.0  # SepsisLabel is 1 from 6 h before the onset


class PhysioNet2019(Source):
    """Read `.psv` records: each hourly row becomes observations stamped ICULOS hours after ICU admission.

    The row of ICULOS = t describes the hour that ends at t, so nothing of it is known before t. A record may begin
    after admission (ICULOS > 1): `start_hours` = first ICULOS - 1. The onset of `sepsis_label` is the first labelled
    row + 6 h, as the official scorer has it. `SepsisLabel` may be absent (new data). Sets A and B become `site`, by
    folder or archive name, else by record number (p1xxxxx is B). HospAdmTime (h, negative) becomes `hours_before_icu`.

    Source: Reyna et al., Crit Care Med 48(2):210-217 (2020), doi 10.1097/CCM.0000000000004145.
    """

    title = "PhysioNet/CinC Challenge 2019 (sepsis, ICU, hourly)"
    citation = "Reyna et al., Crit Care Med 48(2):210-217 (2020), doi 10.1097/CCM.0000000000004145"
    licence = "CC BY 4.0, doi 10.13026/v64v-d857"

    def __init__(self, root: str, shard_stays: int = 4096) -> None:
        if shard_stays < 1:
            raise InputError(f"shard_stays is {shard_stays}: give the stays per extract, 1 or more")
        self.root, self.shard_stays = root, shard_stays

    @property
    def variables(self) -> list[str]:
        """The 34 vitals and labs."""
        return [name for name in dynamic_names() if name in _MEASURED.values()]

    @property
    def statics(self) -> list[str]:
        """Age, sex, unit and hours in hospital before the ICU."""
        return [name for name in static_names() if name in {*_STATIC.values(), "hours_before_icu"}]

    def fingerprint(self) -> str:
        """Names, sizes and times of the files."""
        return archive.fingerprint(self.root, ".psv")

    def files(self) -> list[Path]:
        """The records, or the archives that hold them."""
        return archive.inputs(self.root, ".psv")

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract per `shard_stays` records."""
        known: dict[str, str] = {}
        for chunk in archive.chunks(self.root, ".psv", self.shard_stays):
            for name, _ in chunk:
                stay = _stay_id(name)
                if stay in known:
                    raise InputError(f"record {stay} stands twice: {known[stay]} and {name}; remove one of them")
                known[stay] = name
            yield _extract(_parse(chunk))


def _stay_id(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".psv")


def _site(name: str) -> str:
    found = _SET.findall(name)
    return found[-1].upper() if found else ("B" if _stay_id(name).lstrip("p").zfill(6) >= "100000" else "A")


def _parse(chunk: list[tuple[str, bytes]]) -> pl.DataFrame:
    """Return all rows of the records with stay_id and site: records are joined in memory and parsed in one call."""
    header = _header(*chunk[0])
    names, sites, bodies, counts = [], [], [header.encode()], []
    for name, content in chunk:
        if (own := _header(name, content)) != header and set(own.split("|")) != set(header.split("|")):
            raise InputError(f"{name} has other columns than {chunk[0][0]}: {_difference(own, header)}")
        if own != header:
            raise InputError(f"{name} has the columns of {chunk[0][0]} in another order; write all records alike")
        body = content[len(header.encode()) :].strip(b"\r\n")
        width, rows = header.count("|"), body.count(b"\n") + 1 if body else 0
        if not rows:
            raise InputError(f"{name} has a header and no row; remove it or fetch it again")
        if body.count(b"|") != width * rows:
            raise InputError(
                f"{name} has rows with other than {width + 1} fields: the record is truncated or malformed"
            )
        names.append(_stay_id(name))
        sites.append(_site(name))
        bodies.append(body)
        counts.append(rows)
    columns = header.split("|")
    try:
        table = pl.read_csv(
            b"\n".join(bodies), separator="|", null_values=["NaN", "nan", ""], schema=dict.fromkeys(columns, pl.Float64)
        )
    except pl.exceptions.ComputeError:
        raise InputError(_malformed(chunk)) from None
    keys = pl.DataFrame({"stay_id": names, "site": sites}).select(pl.all().repeat_by(pl.Series(counts)).explode())
    return pl.concat([keys, table], how="horizontal")


def _header(name: str, content: bytes) -> str:
    """Return the header line; raises InputError when a column is missing or unknown."""
    header = content.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "replace")
    given = header.split("|")
    if set(given) - {_LABEL} != set(_COLUMNS) or len(set(given)) != len(given):
        raise InputError(
            f"{name}: {_difference(header, '|'.join([*_COLUMNS, _LABEL]))}; see physionet.org/content/challenge-2019"
        )
    return header


def _difference(given: str, expected: str) -> str:
    have, want = given.split("|"), expected.split("|")
    missing = [c for c in want if c not in have]
    extra = [c for c in have if c not in want] + sorted({c for c in have if have.count(c) > 1})
    return f"missing column(s): {', '.join(missing) or 'none'}; unexpected: {', '.join(extra) or 'none'}"


def _malformed(chunk: list[tuple[str, bytes]]) -> str:
    """Say where a row has too many or too few fields, or text stands in the place of a number."""
    bad = []
    for name, content in chunk:
        header, *rows = content.decode("utf-8", "replace").splitlines()
        for line, row in enumerate(rows, start=2):
            if (count := row.count("|") - header.count("|")) != 0:
                bad.append(f"{name}, line {line}: {abs(count)} field(s) too {'many' if count > 0 else 'few'}")
            bad += [f"{name}, line {line}: {f!r}" for f in row.split("|") if not _NUMBER.fullmatch(f)]
    return f"text where a number belongs, {len(bad)} time(s); first: {bad[0] if bad else chunk[0][0]}"


def _extract(rows: pl.DataFrame) -> Extract:
    rows = rows.with_columns(
        pl.col("ICULOS").alias("hours"),
        (-pl.col("HospAdmTime")).clip(0, None).alias("hours_before_icu"),
        *(pl.col(old).alias(new) for old, new in _STATIC.items()),
    )
    _check_clock(rows)
    per_stay = rows.group_by("stay_id", maintain_order=True).agg(
        pl.col("site").first(),
        (pl.col("hours").min() - 1).alias("start_hours"),
        pl.col("hours").max().alias("length_hours"),
        *(pl.col(name).drop_nulls().first() for name in [*_STATIC.values(), "hours_before_icu"]),
    )
    stays = stays_table(per_stay.with_columns(pl.col("stay_id").alias("patient_id")))
    observations = (
        rows.select("stay_id", "hours", *(pl.col(old).alias(new) for old, new in _MEASURED.items()))
        .unpivot(index=["stay_id", "hours"], variable_name="variable", value_name="value")
        .drop_nulls("value")
    )
    return Extract(stays, observations, _onsets(rows), schemas.empty(schemas.Rejects), _LABEL in rows.columns)


def _check_clock(rows: pl.DataFrame) -> None:
    """Refuse records whose ICULOS is missing, negative, repeated or unsorted."""
    step = pl.col("hours").diff().over("stay_id")
    faults = {
        "no ICULOS": pl.col("hours").is_null() | ~pl.col("hours").is_finite(),
        "ICULOS below 1": pl.col("hours") < 1,
        "duplicate rows (the same ICULOS twice)": step == 0,
        "unsorted rows (ICULOS falls)": step < 0,
    }
    for fault, condition in faults.items():
        bad = rows.filter(condition.fill_null(False))
        if bad.height:
            raise InputError(
                f"{fault} in {bad.height} row(s); first: record {bad['stay_id'][0]}, ICULOS {bad['hours'][0]}"
            )
    if _LABEL in rows.columns:
        bad = rows.filter(~pl.col(_LABEL).is_in([0.0, 1.0]).fill_null(False))
        if bad.height:
            raise InputError(f"{_LABEL} is not 0 or 1 in {bad.height} row(s); first: record {bad['stay_id'][0]}")


def _onsets(rows: pl.DataFrame) -> pl.DataFrame:
    if _LABEL not in rows.columns:
        return schemas.empty(schemas.Episodes)
    first = (
        rows.filter(pl.col(_LABEL) == 1)
        .group_by("stay_id", maintain_order=True)
        .agg((pl.col("hours").min() + _EARLY_HOURS).alias("onset_hours"), pl.col("hours").max().alias("last"))
    )
    return first.select(
        "stay_id",
        pl.lit("sepsis_label").alias("complication"),
        "onset_hours",
        pl.max_horizontal("last", "onset_hours").alias("end_hours"),
    )
