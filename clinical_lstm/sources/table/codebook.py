"""What each label and unit of a hospital's file means in our variables and canonical units."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import CONVERSIONS
from clinical_lstm.sources.table.mapping import Naming
from clinical_lstm.variables import vocabulary

_BOOK = {
    "label": pl.String(),
    "unit": pl.String(),
    "variable": pl.String(),
    "factor": pl.Float64(),
    "offset": pl.Float64(),
}


def codebook(labels: pl.DataFrame, names: Naming, file: Path | str) -> pl.DataFrame:
    """Return label, unit, variable (null: unknown), factor, offset for each row of `labels` (label, unit, rows).

    canonical value = factor * value + offset. A row without a unit has the mapping's, else the canonical one. Raises
    InputError with every unknown unit and its number of rows.

    >>> from clinical_lstm.sources.table.mapping import naming
    >>> labels = pl.DataFrame({"label": ["lactate"], "unit": ["mg/dL"], "rows": [3]})
    >>> codebook(labels, naming(None, Path()), "observations.csv").row(0)
    ('lactate', 'mg/dL', 'lactate', 0.111012, 0.0)
    """
    book: list[tuple[str | None, str | None, str | None, float | None, float | None]] = []
    unknown = []
    for label, unit, rows in labels.select("label", "unit", "rows").rows():
        target = names.target(label)
        if target is None:
            book.append((label, unit, None, None, None))
            continue
        variable = vocabulary()[target.name]
        stated = _stated(names, label, unit)
        stated = variable.unit if stated is None else names.units.get(stated, stated)
        if stated != variable.unit and stated not in variable.other_units:
            known = ", ".join([variable.unit, *variable.other_units])
            unknown.append(f"{stated!r} of {label} ({rows} rows; known: {known})")
        else:
            book.append((label, unit, target.name, *variable.conversion(stated)))
    if unknown:
        advice = "rename them under `units` of the mapping"
        raise InputError(f"{file} has {len(unknown)} unknown unit(s): {'; '.join(unknown)}; {advice}")
    return pl.DataFrame(book, schema=_BOOK, orient="row")


def converted(book: pl.DataFrame, names: Naming) -> pl.DataFrame:
    """Return `CONVERSIONS` of a code book with `rows`: what stands in another unit than the canonical one.

    >>> from clinical_lstm.sources.table.mapping import naming
    >>> names = naming({"variables": {"T": {"name": "temperature", "unit": "degF"}}}, Path())
    >>> labels = pl.DataFrame({"label": ["T"], "unit": [None], "rows": [7]})
    >>> book = codebook(labels, names, "t.csv").with_columns(labels["rows"])
    >>> converted(book, names).select("label", "unit", "variable", "rows").row(0)
    ('T', 'degF', 'temperature', 7)
    """
    found = []
    for label, unit, variable, factor, offset, rows in book.drop_nulls("variable").select(*_BOOK, "rows").rows():
        stated = _stated(names, label, unit)
        if rows and stated is not None and stated != vocabulary()[variable].unit:
            found.append((label, stated, variable, factor, offset, rows))
    return pl.DataFrame(found, schema=CONVERSIONS, orient="row")


def _stated(names: Naming, label: str, unit: str | None) -> str | None:
    """Return the unit of a row as the data writes it, else as the mapping does."""
    target = names.target(label)
    return unit if unit is not None or target is None else target.unit
