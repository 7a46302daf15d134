"""Parts of the rows on which a predictor is judged by itself: before onset, sites, ages, sexes, units, time in stay.

A dimension is `site`, `sex`, `age`, `unit`, `hours` (since admission, in bands) or any static variable: one of 0/1
splits in two, any other at the thirds of its stays. A stay of which it is not known is in no level of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError, closest
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics.bands import AGES, banded
from clinical_lstm.variables import static_names, vocabulary

HOURS = [6.0, 12.0, 24.0, 48.0, 96.0]
UNITS = [name for name in static_names() if name.startswith("icu_")]
KNOWN = ["site", "sex", "age", "unit", "hours"]


class Part(NamedTuple):
    """Some rows (a mask): the dimension and the level that they share, or "" and a name of their own."""

    dimension: str
    level: str
    mask: np.ndarray

    @property
    def name(self) -> str:
        """The name of the subset in tables."""
        return f"{self.dimension}={self.level}" if self.dimension else self.level


def parts(rows: Rows, stays: pl.DataFrame, dimensions: Sequence[str]) -> Iterator[Part]:
    """Yield all rows, those before onset, and those of every level of every dimension, in a fixed order.

    `stays`: stay_id and the static variables; a level without rows is left out.
    """
    yield Part("", "all", np.ones(len(rows.label), bool))
    yield Part("", "pre_onset", ~rows.after_onset)
    known = _known(rows, stays)
    for dimension in dimensions:
        yield from (part for part in _levels(dimension, rows, known) if part.mask.any())


def require_dimensions(dimensions: Sequence[str]) -> None:
    """Raise InputError on a dimension that does not exist, or that stands twice."""
    for name in dimensions:
        if name not in [*KNOWN, *static_names()]:
            raise InputError(f"evaluation.subgroups: there is no {name!r}: {closest(name, [*KNOWN, *static_names()])}")
    if len(set(dimensions)) < len(dimensions):
        raise InputError(f"evaluation.subgroups: a name stands twice in {', '.join(dimensions)}")


def _levels(dimension: str, rows: Rows, known: Mapping[str, np.ndarray]) -> Iterator[Part]:
    if dimension == "site":
        yield from (Part("site", str(name), rows.site == name) for name in sorted(set(rows.site)))
        return
    if dimension == "unit":
        yield from (Part("unit", name.removeprefix("icu_"), known[name] == 1) for name in UNITS if name in known)
        return
    band, names = _banded(dimension, rows, known)
    yield from (Part(dimension, name, band == code) for code, name in enumerate(names))


def _banded(dimension: str, rows: Rows, known: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    if dimension == "hours":
        band, names = banded(np.nextafter(rows.hours, 0), HOURS, " h")  # (12, 24]: the row at 24 h ends the first day
        return band, [f"0-{HOURS[0]:g} h", *names[1:-1], f"over {HOURS[-1]:g} h"]
    variable = {"sex": "male", "age": "age_years"}.get(dimension, dimension)
    values = known.get(variable, np.full(len(rows.label), np.nan))
    if np.isnan(values).all():
        return np.full(len(values), -1), []
    if dimension == "age":
        return banded(values, AGES)
    if vocabulary()[variable].unit == "0/1":
        names = ["female", "male"] if dimension == "sex" else ["no", "yes"]
        return np.where(np.isnan(values), -1, values).astype(int), names
    first = np.flatnonzero(np.diff(rows.stay, prepend=-1))
    thirds = np.unique(np.nanquantile(values[first], [1 / 3, 2 / 3], method="lower"))
    return banded(values, thirds.tolist(), f" {vocabulary()[variable].unit}")


def _known(rows: Rows, stays: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return the static variables of every row, NaN where not known."""
    asked = pl.DataFrame({"stay_id": rows.stay_id})
    joined = asked.join(stays, on="stay_id", how="left", maintain_order="left")
    names = [name for name in static_names() if name in joined.columns]
    return {name: joined[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names}
