"""How a stage refuses a table that breaks its contract."""

from __future__ import annotations

from typing import Any, cast

import polars as pl
from dataframely.exc import SchemaError, ValidationError

from clinical_lstm.errors import InputError

OPTIONAL = {"optional": True}  # a nullable column that a table may lack: `check` adds it


def check(schema: Any, table: pl.DataFrame, what: str, advice: str = "") -> pl.DataFrame:
    """Return `table` with exactly the columns of `schema`, or raise InputError with the broken rules and row counts.

    Optional columns that it lacks are added, null.
    """
    optional = {name: column for name, column in schema.columns().items() if column.metadata == OPTIONAL}
    absent = [pl.lit(None, column.dtype).alias(name) for name, column in optional.items() if name not in table.columns]
    table = table.with_columns(absent)
    missing = [name for name in schema.column_names() if name not in table.columns]
    hint = f"; {advice}" if advice else ""
    if missing:
        raise InputError(f"{what} lacks the column(s) {', '.join(missing)}{hint}")
    try:
        return cast("pl.DataFrame", schema.validate(table, cast=False))
    except ValidationError:
        _, failure = schema.filter(table, cast=False)
        broken = ", ".join(f"{rule} ({count} rows)" for rule, count in sorted(failure.counts().items()))
        first = failure.invalid().head(1).to_dicts()
        raise InputError(f"{what} breaks its contract {schema.__name__}: {broken}; first: {first}{hint}") from None
    except SchemaError as fault:
        reason = str(fault).split("\n", 1)[0]
        raise InputError(f"{what} breaks its contract {schema.__name__}: {reason}{hint}") from None


def empty(schema: Any) -> pl.DataFrame:
    """Return the table of `schema` without rows."""
    return cast("pl.DataFrame", schema.create_empty())
