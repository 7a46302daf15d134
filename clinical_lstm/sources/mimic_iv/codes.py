"""The code maps: what an item, lab, drug, test, unit or ward of MIMIC-IV means, checked against the vocabulary.

Every map is a CSV file that a clinician can read and correct; the shipped ones lie beside this module.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clinical_lstm.errors import InputError, closest
from clinical_lstm.variables import static_names, vocabulary

# How the rows of an item are read, by table:
#   value    the number (or, with `words`, what a word or number stands for)
#   part     one of several parts that must all be charted at one time; their sum is the value (Glasgow coma scale)
#   plus     what was charted at one time adds up; `minus` is taken off it
#   rate     a step function: the sum of the rates that run
#   running  a step function: 1 while any runs, else 0
#   given    an event: 1 at the start
READINGS = {
    "chartevents": ["value", "part", "plus", "minus"],
    "labevents": ["value"],
    "outputevents": ["value", "plus", "minus"],
    "inputevents": ["rate", "running", "given"],
    "procedureevents": ["running", "given"],
}
MEASURED = ["value", "part", "plus", "minus"]
_TOGETHER = [{"value"}, {"part"}, {"plus", "minus"}, {"rate"}, {"running"}, {"given"}]
CHARTED_STATICS = ["height_cm"]
_ITEMS = ["itemid", "label", "table", "variable", "reading", "unit", "words", "comment"]
_LABS = ["itemid", "label", "variable", "unit", "specimen", "comment"]


class Lexicon(NamedTuple):
    """Words that a text must contain (`wanted`), must not contain (`unwanted`), and routes that it must equal."""

    wanted: list[str]
    unwanted: list[str]
    routes: list[str]


def item_codes(items: str | None, labs: str | None) -> pl.DataFrame:
    """Return one row per itemid: rank, itemid, label, table, variable, reading, unit, words, specimen.

    `rank` is the line: of two items of one variable that are charted at one time, the first listed one counts. Raises
    InputError on an unknown variable, unit, table or reading, on an itemid that stands twice, and on a variable whose
    items are read in ways that do not go together.
    """
    rows = [
        *(row | {"specimen": ""} for row in _read("items", items, _ITEMS)),
        *(row | {"table": "labevents", "reading": "value", "words": ""} for row in _read("labs", labs, _LABS)),
    ]
    seen: dict[str, Mapping[str, str]] = {}
    for row in rows:
        _check(row)
        if (first := seen.setdefault(row["itemid"], row)) is not row:
            also = f"{first['variable']} ({first['where']}) and {row['variable']} ({row['where']})"
            raise InputError(f"the itemid {row['itemid']} is mapped to {also}; remove one of the two rows")
    _check_readings(rows)
    names = ["itemid", "label", "table", "variable", "reading", "unit", "words", "specimen"]
    table = pl.DataFrame({name: [row[name] for row in rows] for name in names}, schema=dict.fromkeys(names, pl.String))
    return table.with_columns(pl.col("itemid").cast(pl.Int64)).with_row_index("rank")


def words_of(codes: pl.DataFrame) -> pl.DataFrame:
    """Return itemid, word (lower case), meaning: what the words (or whole numbers) of an item stand for.

    >>> codes = pl.DataFrame({"itemid": [226732], "label": ["O2 Delivery Device(s)"], "words": ["None=0"]})
    >>> words_of(codes).rows()
    [(226732, 'none', 0.0)]
    """
    found = []
    for itemid, label, words in codes.filter(pl.col("words") != "").select("itemid", "label", "words").rows():
        for pair in words.split(";"):
            word, _, number = pair.rpartition("=")
            try:
                found.append((itemid, word.strip().lower(), float(number)))
            except ValueError:
                advice = "write word=number pairs, e.g. none=0;yes=1"
                raise InputError(f"items: the words of {itemid} ({label}) have {pair!r}; {advice}") from None
    return pl.DataFrame(found, schema={"itemid": pl.Int64, "word": pl.String, "meaning": pl.Float64}, orient="row")


def unit_names(given: str | None) -> dict[str, str | None]:
    """Return the unit that a spelling (lower case) of MIMIC-IV means; None: a word for "no unit is stated"."""
    known = {unit for variable in vocabulary().values() for unit in (variable.unit, *variable.other_units)}
    names: dict[str, str | None] = {unit.lower(): unit for unit in sorted(known)}
    for row in _read("units", given, ["spelling", "unit", "comment"]):
        if row["unit"] and row["unit"] not in known:
            raise InputError(f"{row['where']}: unit {row['unit']!r} is unknown: {closest(row['unit'], sorted(known))}")
        names[row["spelling"].lower()] = row["unit"] or None
    return names


def lexicon(name: str, given: str | None, wanted: str) -> Lexicon:
    """Return the words of `drugs` or `cultures`, in lower case (routes in capitals)."""
    rows = _read(name, given, ["kind", "word", "comment"])
    kinds = [wanted, "except", "route"]
    for row in rows:
        if row["kind"] not in kinds or not row["word"]:
            raise InputError(f"{row['where']}: needs a word and a kind ({', '.join(kinds)}); it has {row['kind']!r}")
    found = {kind: [row["word"] for row in rows if row["kind"] == kind] for kind in kinds}
    return Lexicon(
        [word.lower() for word in found[wanted]],
        [word.lower() for word in found["except"]],
        [word.upper() for word in found["route"]],
    )


def ward_kinds(given: str | None) -> dict[str, list[str]]:
    """Return the kinds of ICU (static variables `icu_*`) of every ward; an empty list: none of these kinds."""
    known = [name for name in static_names() if name.startswith("icu_")]
    wards = {}
    for row in _read("careunits", given, ["careunit", "icu", "comment"]):
        kinds = [kind.strip() for kind in row["icu"].split(";") if kind.strip()]
        for kind in kinds:
            if kind not in known:
                raise InputError(f"{row['where']}: {kind!r} is no kind of ICU: {closest(kind, known)}")
        wards[row["careunit"]] = kinds
    return wards


def paths(given: Mapping[str, str | None]) -> list[Path]:
    """Return the files of the maps, own or shipped."""
    return [_path(name, file) for name, file in given.items()]


def _path(name: str, given: str | None) -> Path:
    path = Path(given) if given else Path(__file__).parent / f"{name}.csv"
    if not path.is_file():
        raise InputError(f"there is no file {path} for source.{name}; null takes the shipped map")
    return path


def _read(name: str, given: str | None, columns: list[str]) -> list[dict[str, str]]:
    """Return the rows of a map as stripped texts, each with the `where` of its line."""
    path = _path(name, given)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            missing = [c for c in columns if c not in (reader.fieldnames or []) and c != "comment"]
            if missing:
                raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it needs {', '.join(columns)}")
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{path} is no comma-separated table in UTF-8: {fault}") from None
    short = path.name if given is None else str(path)
    for line, row in rows:
        if None in row or None in row.values():
            raise InputError(
                f"{short}, line {line}: not {len(reader.fieldnames or [])} fields; quote a text with commas"
            )
    return [{c: row.get(c, "").strip() for c in columns} | {"where": f"{short}, line {line}"} for line, row in rows]


def _check(row: Mapping[str, str]) -> None:
    """Raise InputError where a row of `items` or `labs` does not make sense."""
    where, name, table = row["where"], row["variable"], row["table"]
    if not row["itemid"].isdecimal():
        raise InputError(f"{where}: the itemid {row['itemid']!r} is no number")
    if table not in READINGS:
        raise InputError(f"{where}: there is no table {table!r}: {closest(table, list(READINGS))}")
    if row["reading"] not in READINGS[table]:
        hint = closest(row["reading"], READINGS[table])
        raise InputError(f"{where}: {table} is not read as {row['reading']!r}: {hint}")
    if name not in vocabulary():
        raise InputError(f"{where}: variable {name!r} is unknown: {closest(name, list(vocabulary()))}")
    if vocabulary()[name].kind == "static" and (name not in CHARTED_STATICS or row["reading"] != "value"):
        raise InputError(f"{where}: {name} is not measured; of the static variables only height_cm is charted")
    if row["reading"] in MEASURED:
        try:
            vocabulary()[name].conversion(row["unit"])
        except InputError as fault:
            raise InputError(f"{where}: {fault}") from None


def _check_readings(rows: list[dict[str, str]]) -> None:
    """Raise InputError where the items of one variable are read in ways that do not go together."""
    for name in {row["variable"]: None for row in rows}:
        ways = {row["reading"]: row["where"] for row in rows if row["variable"] == name}
        if not any(set(ways) <= together for together in _TOGETHER):
            told = " and ".join(f"{reading} ({where})" for reading, where in ways.items())
            raise InputError(f"the items of {name} are read as {told}, which do not go together")
