"""The clinical vocabulary: one row of `variables.csv` per variable, its unit, ranges and unit conversions.

Ranges `low..high` say what is physiologically possible (a value outside is refused, never clipped); `normal_*` is the
adult reference range that reports print. Sources: LOINC for the codes, the SI conversion factors of the AMA Manual of
Style (11th ed., doi 10.1093/jama/9780190246556.001.0001).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from clinical_lstm.errors import InputError, closest


@dataclass(frozen=True)
class Variable:
    """One clinical variable in its canonical unit; `None` where a range has no bound."""

    name: str
    label: str
    kind: str
    system: str
    unit: str
    low: float
    high: float
    normal_low: float | None
    normal_high: float | None
    skewed: bool
    other_units: dict[str, tuple[float, float]]
    loinc: str

    def conversion(self, unit: str) -> tuple[float, float]:
        """Return (factor, offset) with canonical = factor * value + offset; raises InputError on an unknown unit.

        >>> vocabulary()["creatinine"].conversion("umol/L")
        (0.0113122, 0.0)
        """
        if unit == self.unit:
            return 1.0, 0.0
        if unit not in self.other_units:
            known = [self.unit, *self.other_units]
            raise InputError(f"unit {unit!r} of {self.name} is unknown: {closest(unit, known)}")
        return self.other_units[unit]


def _number(text: str) -> float | None:
    return float(text) if text else None


def _units(text: str) -> dict[str, tuple[float, float]]:
    parts = [unit.split(":") for unit in text.split(";") if unit]
    return {unit: (float(numbers[0]), float(numbers[1]) if len(numbers) > 1 else 0.0) for unit, *numbers in parts}


@cache
def vocabulary() -> dict[str, Variable]:
    """Return every variable by name, in the order of `variables.csv`.

    >>> vocabulary()["lactate"].unit, vocabulary()["lactate"].normal_high
    ('mmol/L', 2.0)
    """
    with (Path(__file__).parent / "variables.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        row["name"]: Variable(
            name=row["name"],
            label=row["label"],
            kind=row["kind"],
            system=row["system"],
            unit=row["unit"],
            low=float(row["low"]),
            high=float(row["high"]),
            normal_low=_number(row["normal_low"]),
            normal_high=_number(row["normal_high"]),
            skewed=row["skewed"] == "1",
            other_units=_units(row["other_units"]),
            loinc=row["loinc"],
        )
        for row in rows
    }


def dynamic_names() -> list[str]:
    """Return the names of the measured variables (vitals, labs, treatments), in vocabulary order."""
    return [v.name for v in vocabulary().values() if v.kind != "static"]


def static_names() -> list[str]:
    """Return the names of the static variables, in vocabulary order."""
    return [v.name for v in vocabulary().values() if v.kind == "static"]


def ranges() -> pl.DataFrame:
    """Return the plausible ranges as a table: variable, low, high (canonical units)."""
    rows = [(v.name, v.low, v.high) for v in vocabulary().values()]
    return pl.DataFrame(rows, schema={"variable": pl.String, "low": pl.Float64, "high": pl.Float64}, orient="row")
