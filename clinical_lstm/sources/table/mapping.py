"""How a hospital names its columns, variables and units, checked against the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from clinical_lstm.errors import InputError, closest
from clinical_lstm.variables import vocabulary

COLUMNS = [
    "stay_id", "patient_id", "site", "admission", "discharge", "start_hours", "length_hours",
    "time", "hours", "variable", "value", "unit",
    "complication", "onset_time", "onset_hours", "end_time", "end_hours",
]  # fmt: skip
_TABLES = ["columns", "variables", "units"]
_WORDS = ["time_format", "time_zone", "separator", "wide"]
_KEYS = [*_TABLES, *_WORDS, "files"]


class Target(NamedTuple):
    """What a hospital's label means: a vocabulary name, the unit of rows that state none, numbers of its words."""

    name: str
    unit: str | None = None
    values: dict[str, float] = {}


class Naming(NamedTuple):
    """The names of one hospital; whatever is not listed goes by our own name. `files`: those of single files."""

    columns: dict[str, str]
    variables: dict[str, Target]
    units: dict[str, str]
    time_format: str | None
    time_zone: str | None
    separator: str
    wide: bool
    files: dict[str, Naming]

    def target(self, label: str | None) -> Target | None:
        """Return what a label means, None when it is unknown."""
        own = Target(label) if label in vocabulary() else None
        return self.variables.get(label or "", own)

    def of(self, file: str) -> Naming:
        """Return the names of one file: those of the first of `files` that matches it, else these."""
        return next((own for pattern, own in self.files.items() if fnmatch(file, pattern)), self)

    def refuse_idle(self, files: Iterable[str]) -> None:
        """Raise InputError when a pattern of `files` matches none of the files that are read."""
        names = list(files)
        for pattern in self.files:
            if not any(fnmatch(name, pattern) for name in names):
                raise InputError(f"mapping: files has {pattern!r}, which no file matches: {closest(pattern, names)}")


def naming(given: Mapping[str, Any] | str | None, root: Path) -> Naming:
    """Return the checked mapping, from its keys or from a YAML file (below `root`, or any path).

    Raises InputError on an unknown key, column, vocabulary name, unit or time zone, naming the closest that exists, and
    on a label that stands twice.

    >>> naming({"variables": {"Crea": {"name": "creatinine", "unit": "umol/L"}}}, Path()).variables["Crea"].unit
    'umol/L'
    """
    where = f"mapping {given}" if isinstance(given, str) else "mapping"
    parts = _file(given, root) if isinstance(given, str) else given or {}
    if not isinstance(parts, Mapping):
        raise InputError(f"{where} must hold the keys {', '.join(_KEYS)}; it holds {type(parts).__name__}")
    files = _section(parts, "files", where)
    general = _naming({key: value for key, value in parts.items() if key != "files"}, where)
    special = {}
    for pattern, own in files.items():
        if not isinstance(own, Mapping) or "files" in own:
            raise InputError(f"{where}: files needs, per name or pattern, some of {', '.join(_TABLES + _WORDS)}")
        merged = {key: {**_section(parts, key, where), **_section(own, key, where)} for key in _TABLES}
        special[pattern] = _naming({**parts, **own, **merged, "files": None}, f"{where}: files: {pattern}")
    return general._replace(files=special)


def _naming(parts: Mapping[str, Any], where: str) -> Naming:
    for key in parts:
        if key not in _KEYS:
            raise InputError(f"{where} has an unknown key {key!r}: {closest(str(key), _KEYS)}")
    columns = {key: str(name) for key, name in _section(parts, "columns", where).items()}
    for key in columns:
        if key not in COLUMNS:
            raise InputError(f"{where}: columns has an unknown key {key!r}: {closest(key, COLUMNS)}")
    variables = {label: _target(label, entry, where) for label, entry in _section(parts, "variables", where).items()}
    units = {old: str(new) for old, new in _section(parts, "units", where).items()}
    words = {key: _word(parts.get(key)) for key in _WORDS}
    zone, wide = words["time_zone"], words["wide"] or "false"
    if zone is not None and zone not in available_timezones():
        raise InputError(f"{where}: there is no time_zone {zone!r}; {_near(zone)}, as in the IANA data base")
    if wide.lower() not in ("true", "false"):
        raise InputError(f"{where}: wide is {wide!r}; it must be true (one column per variable) or false")
    separator, form = words["separator"] or ",", words["time_format"]
    return Naming(columns, variables, units, form, zone, separator, wide.lower() == "true", {})


def _section(parts: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return a table of the mapping by the text of its keys; `no` and `on` are words, not truth values."""
    table = parts.get(key) or {}
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: {key} must be a table of names, not {table!r}")
    if truths := [label for label in table if isinstance(label, bool | None)]:
        raise InputError(f"{where}: {key} has the key {truths[0]}; put quotes around it, e.g. 'NO'")
    return {str(label): entry for label, entry in table.items()}


def _word(value: Any) -> str | None:
    return None if value is None or str(value) in ("", "null", "~") else str(value)


def _near(zone: str) -> str:
    cities = {name.rsplit("/", 1)[-1].lower(): name for name in sorted(available_timezones())}
    found = cities.get(zone.rsplit("/", 1)[-1].lower())
    return f"did you mean {found!r}?" if found else "write it like Europe/Berlin"


def _target(label: str, entry: Any, where: str) -> Target:
    fields = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    if not isinstance(fields.get("name"), str) or set(fields) - {"name", "unit", "values"}:
        raise InputError(f"{where}: {label} needs a vocabulary name, or name, unit and values; it has {entry!r}")
    if fields["name"] not in vocabulary():
        hint = closest(fields["name"], list(vocabulary()))
        raise InputError(f"{where}: {label} is mapped to the unknown variable {fields['name']!r}: {hint}")
    unit = _word(fields.get("unit"))
    if unit is not None:
        try:
            vocabulary()[fields["name"]].conversion(unit)
        except InputError as fault:
            raise InputError(f"{where}: {label}: {fault}") from None
    try:
        values = {str(word): float(number) for word, number in (fields.get("values") or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise InputError(f"{where}: values of {label} must give a number per word, e.g. {{M: 1, F: 0}}") from None
    return Target(fields["name"], unit, values)


def _file(given: str, root: Path) -> Any:
    """Return the content of a YAML file; every scalar is text, so that NO, 007 and 1.10 stay what they are."""
    import yaml

    class Texts(yaml.BaseLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            if twice := [key for key in keys if keys.count(key) > 1]:
                raise InputError(f"mapping {given}: {twice[0]!r} stands twice; it can mean one thing only")
            return super().construct_mapping(node, deep)

    path = root / given if (root / given).is_file() else Path(given)
    if not path.is_file():
        raise InputError(f"there is no mapping file {given}, neither below {root} nor as a path of its own")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Texts) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise InputError(f"{path} is not YAML: {' '.join(str(fault).split())}") from None
