"""How a hospital names its columns, variables and units, checked against the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from clinical_lstm.errors import InputError, closest
from clinical_lstm.variables import vocabulary

COLUMNS = [
    "stay_id", "patient_id", "site", "admission", "discharge", "start_hours", "length_hours",
    "time", "hours", "variable", "value", "unit",
    "complication", "onset_time", "onset_hours", "end_time", "end_hours",
]  # fmt: skip
_KEYS = ["columns", "variables", "units", "time_format", "separator"]


class Target(NamedTuple):
    """What a hospital's label means: a vocabulary name, the unit of rows that state none, numbers of its words."""

    name: str
    unit: str | None = None
    values: dict[str, float] = {}


class Naming(NamedTuple):
    """The names of one hospital; whatever is not listed goes by our own name."""

    columns: dict[str, str]
    variables: dict[str, Target]
    units: dict[str, str]
    time_format: str | None
    separator: str

    def target(self, label: str | None) -> Target | None:
        """Return what a label means, None when it is unknown."""
        own = Target(label) if label in vocabulary() else None
        return self.variables.get(label or "", own)


def naming(given: Mapping[str, Any] | str | None, root: Path) -> Naming:
    """Return the checked mapping, from its keys or from a YAML file (below `root`, or any path).

    Raises InputError on an unknown key, column, vocabulary name or unit, naming the closest that exists.

    >>> naming({"variables": {"Crea": {"name": "creatinine", "unit": "umol/L"}}}, Path()).variables["Crea"].unit
    'umol/L'
    """
    where = f"mapping {given}" if isinstance(given, str) else "mapping"
    parts = _file(given, root) if isinstance(given, str) else given or {}
    if not isinstance(parts, Mapping):
        raise InputError(f"{where} must hold the keys {', '.join(_KEYS)}; it holds {type(parts).__name__}")
    for key in parts:
        if key not in _KEYS:
            raise InputError(f"{where} has an unknown key {key!r}: {closest(str(key), _KEYS)}")
    columns = dict(parts.get("columns") or {})
    for key in columns:
        if key not in COLUMNS:
            raise InputError(f"{where}: columns has an unknown key {key!r}: {closest(str(key), COLUMNS)}")
    variables = {str(label): _target(label, entry, where) for label, entry in (parts.get("variables") or {}).items()}
    units = {str(old): str(new) for old, new in (parts.get("units") or {}).items()}
    return Naming(columns, variables, units, parts.get("time_format"), parts.get("separator") or ",")


def codebook(labels: pl.DataFrame, names: Naming, file: Path | str) -> pl.DataFrame:
    """Return label, unit, variable (null: unknown), factor, offset for each row of `labels` (label, unit, rows).

    canonical value = factor * value + offset. A row without a unit has the mapping's, else the canonical one. Raises
    InputError with every unknown unit and its number of rows.

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
        stated = unit if unit is not None else target.unit
        stated = names.units.get(stated, stated) if stated is not None else variable.unit
        if stated != variable.unit and stated not in variable.other_units:
            known = ", ".join([variable.unit, *variable.other_units])
            unknown.append(f"{stated!r} of {label} ({rows} rows; known: {known})")
        else:
            book.append((label, unit, target.name, *variable.conversion(stated)))
    if unknown:
        advice = "rename them under `units` of the mapping"
        raise InputError(f"{file} has {len(unknown)} unknown unit(s): {'; '.join(unknown)}; {advice}")
    schema = {"label": pl.String, "unit": pl.String, "variable": pl.String, "factor": pl.Float64, "offset": pl.Float64}
    return pl.DataFrame(book, schema=schema, orient="row")


def _target(label: object, entry: Any, where: str) -> Target:
    fields = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    if not isinstance(fields.get("name"), str) or set(fields) - {"name", "unit", "values"}:
        raise InputError(f"{where}: {label} needs a vocabulary name, or name, unit and values; it has {entry!r}")
    if fields["name"] not in vocabulary():
        hint = closest(fields["name"], list(vocabulary()))
        raise InputError(f"{where}: {label} is mapped to the unknown variable {fields['name']!r}: {hint}")
    if fields.get("unit") is not None:
        vocabulary()[fields["name"]].conversion(fields["unit"])
    try:
        values = {str(word): float(number) for word, number in (fields.get("values") or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise InputError(f"{where}: values of {label} must give a number per word, e.g. {{M: 1, F: 0}}") from None
    return Target(fields["name"], fields.get("unit"), values)


def _file(given: str, root: Path) -> Any:
    import yaml

    path = root / given if (root / given).is_file() else Path(given)
    if not path.is_file():
        raise InputError(f"there is no mapping file {given}, neither below {root} nor as a path of its own")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise InputError(f"{path} is not YAML: {' '.join(str(fault).split())}") from None
