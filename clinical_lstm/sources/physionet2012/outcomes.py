"""Outcomes files: who died in hospital, and in which set a record stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.schemas import YEAR_HOURS

WINDOW_HOURS = 48.0
_MINUTE = 1 / 60
_COLUMNS = ["RecordID", "Survival", "In-hospital_death"]
_STAY, _SAPS, _SOFA = _KNOWN_OF_SOME = ["Length_of_stay", "SAPS-I", "SOFA"]


def letter(name: str) -> str | None:
    """Return the letter of the set that a path names; the innermost one counts.

    >>> letter("set-a/132539.txt"), letter("Outcomes-b.txt"), letter("new/1.txt")
    ('a', 'b', None)
    """
    found = re.findall(r"(?:set|outcomes)[-_]?([abc])(?![a-z])", name, re.IGNORECASE)
    return found[-1].lower() if found else None


def outcomes(name: str, content: bytes) -> pl.DataFrame:
    """Return RecordID, Survival, In-hospital_death, Length_of_stay, SAPS-I, SOFA, site (letter) and name.

    Times are days. The three that a file may lack are null where they are unknown (negative, or no number). Raises
    InputError on a missing column, a missing number or a label other than 0 and 1.
    """
    try:
        table = pl.read_csv(content, infer_schema=False)
    except pl.exceptions.PolarsError as fault:
        raise InputError(f"{name} is no comma-separated table: {str(fault).splitlines()[0]}") from None
    if missing := [column for column in _COLUMNS if column not in table.columns]:
        raise InputError(f"{name} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}")
    numbers = table.select(pl.col(_COLUMNS).str.strip_chars().cast(pl.Int64, strict=False))
    faulty = pl.any_horizontal(pl.all().is_null()) | ~pl.col("In-hospital_death").is_in([0, 1])
    if (bad := numbers.with_row_index("line", 2).filter(faulty)).height:
        what = "a number is missing or In-hospital_death is not 0 or 1"
        raise InputError(f"{name}: {what} in {bad.height} row(s); first: line {bad['line'][0]}")
    return numbers.with_columns(
        *_known(table), pl.lit(letter(name), pl.String).alias("site"), pl.lit(name).alias("name")
    )


def _known(table: pl.DataFrame) -> list[pl.Series]:
    """Return the columns that a file may lack, null where unknown."""
    absent = pl.Series([None] * table.height, dtype=pl.String)
    texts = {name: table[name] if name in table.columns else absent for name in _KNOWN_OF_SOME}
    found = {name: text.str.strip_chars().cast(pl.Int64, strict=False) for name, text in texts.items()}
    return [numbers.set(numbers < 0, None).alias(name) for name, numbers in found.items()]


def joined(tables: list[pl.DataFrame], stay_ids: Sequence[str]) -> pl.DataFrame:
    """Return the outcomes of all files; raises InputError when a record has two, or (given any file) none."""
    table = pl.concat(tables)
    if (twice := table.filter(pl.col("RecordID").is_duplicated())).height:
        first = twice.filter(pl.col("RecordID") == twice["RecordID"][0])
        where = f"{first['RecordID'][0]} in {' and '.join(first['name'])}; remove one"
        raise InputError(f"{twice['RecordID'].n_unique()} RecordID(s) have two outcomes; first: {where}")
    known = set(table["RecordID"])
    if without := [stay for stay in stay_ids if int(stay) not in known]:
        advice = "add their Outcomes file, or remove all Outcomes files to read the records as new data"
        raise InputError(f"{len(without)} record(s) have no outcome; first: {without[0]}; {advice}")
    return table


def deaths(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the episode `death` of each stay (stay_id, Survival, In-hospital_death) that ended so.

        onset = end = max(24 x Survival, 48 + 1/60) hours

    >>> deaths(pl.DataFrame({"stay_id": ["1"], "Survival": [3], "In-hospital_death": [1]})).row(0)
    ('1', 'death', 72.0, 72.0)
    """
    onset = _death_hours()
    return stays.filter(pl.col("In-hospital_death") == 1).select(
        "stay_id",
        pl.lit("death").alias("complication"),
        onset.alias("onset_hours"),
        onset.alias("end_hours"),
    )


def of_stay() -> list[pl.Expr]:
    """Return the outcomes of whole stays as columns of `schemas.Stays`; a Survival of -1 says that no death is known.

    >>> row = pl.DataFrame({"Length_of_stay": [5], "Survival": [-1], "SAPS-I": [6], "SOFA": [None]})
    >>> row.select(of_stay()).row(0)
    (120.0, 8766.0, 6.0, None)
    """
    lived = pl.when(pl.col("Survival") == -1).then(YEAR_HOURS).when(pl.col("Survival") >= 0)
    return [
        (24.0 * pl.col(_STAY)).alias("hospital_hours"),
        lived.then((24.0 * pl.col("Survival")).clip(upper_bound=YEAR_HOURS)).alias("survival_hours"),
        pl.col(_SAPS).cast(pl.Float64).alias("saps_points"),
        pl.col(_SOFA).cast(pl.Float64).alias("sofa_points"),
    ]


def follow_up() -> pl.Expr:
    """Return the hour until which it is known whether a stay has ended in death.

    follow_up = max(24 x Length_of_stay, 48 h, hour of death)
    """
    end = pl.max_horizontal(24.0 * pl.col(_STAY), pl.lit(WINDOW_HOURS))
    died = pl.col("In-hospital_death") == 1
    return pl.when(died).then(pl.max_horizontal(end, _death_hours())).otherwise(end)


def _death_hours() -> pl.Expr:
    return (24.0 * pl.col("Survival")).clip(WINDOW_HOURS + _MINUTE)
