"""What the codes of a data set mean: a CSV that a clinician reads and corrects, applied to the codes that occur.

Columns: code (globs with * and ?, several apart by " | "), variable (of `variables.csv`), unit, value, part, comment.

- A code's own unit (its last part, LAB//50912//mg/dL) counts where the variable knows it; else the row's `unit`.
- `value` is what an event stands for (INFUSION_END//... is 0); the event's own number is then not read.
- Rows with a `part` (eye, verbal, motor) are summed: the variable is known when all its parts stand at one time.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clinical_lstm.errors import InputError, closest
from clinical_lstm.variables import Variable, dynamic_names, vocabulary

SHIPPED = Path(__file__).with_name("codes.csv")
_COLUMNS = ["code", "variable", "unit", "value", "part", "comment"]
_BOOK = {
    "code": pl.String,
    "rows": pl.Int64,
    "numbers": pl.Int64,
    "variable": pl.String,
    "unit": pl.String,
    "factor": pl.Float64,
    "offset": pl.Float64,
    "constant": pl.Float64,
    "part": pl.String,
    "static": pl.Boolean,
    "reason": pl.String,
}


class Rule(NamedTuple):
    """A row of the code map: its globs, what they mean, and the line of the file where it stands."""

    line: int
    globs: list[str]
    variable: str
    unit: str | None
    value: float | None
    part: str | None

    @property
    def meaning(self) -> tuple[str, str | None, float | None, str | None]:
        """What two rows must agree on to match the same code."""
        return self.variable, self.unit, self.value, self.part


def read_rules(path: Path) -> list[Rule]:
    """Return the rows of a code map; raises InputError naming the line and the closest variable or unit that exists."""
    if not path.is_file():
        raise InputError(f"there is no code map {path}; copy and correct the shipped one, {SHIPPED.name}")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        names = list(reader.fieldnames or [])
        missing = [name for name in _COLUMNS[:2] if name not in names]
        unknown = [name for name in names if name not in _COLUMNS]
        if missing or unknown:
            said = f"lacks {', '.join(missing)}" if missing else f"has the unknown column(s) {', '.join(unknown)}"
            raise InputError(f"{path} {said}; its columns are {', '.join(_COLUMNS)}")
        return [_rule(row, f"{path}, line {reader.line_num}", reader.line_num) for row in reader]


def _rule(row: dict[str, str | None], where: str, line: int) -> Rule:
    cell = {name: (row.get(name) or "").strip() for name in _COLUMNS}
    globs = [glob.strip() for glob in cell["code"].split(" | ") if glob.strip()]
    if not globs:
        raise InputError(f"{where}: the code is empty; remove the row or name a code")
    if cell["variable"] not in vocabulary():
        hint = closest(cell["variable"], list(vocabulary()))
        raise InputError(f"{where}: {globs[0]} is mapped to the unknown variable {cell['variable']!r}: {hint}")
    if cell["unit"]:
        try:
            vocabulary()[cell["variable"]].conversion(cell["unit"])
        except InputError as fault:
            raise InputError(f"{where}: {fault}") from None
    try:
        value = float(cell["value"]) if cell["value"] else None
    except ValueError:
        raise InputError(f"{where}: the value {cell['value']!r} of {globs[0]} is no number") from None
    return Rule(line, globs, cell["variable"], cell["unit"] or None, value, cell["part"] or None)


def codebook(counts: pl.DataFrame, rules: list[Rule], path: Path) -> pl.DataFrame:
    """Return what every code of `counts` (code, rows, numbers) means, in its order.

    Columns: code, rows, numbers, variable, unit, factor, offset (canonical = factor * number + offset), constant,
    part, static, and `reason` why a code is not read: `unknown_code`, `unknown_unit`. Raises InputError when two rows
    give one code two meanings.

    >>> counts = pl.DataFrame({"code": ["LAB//50912//umol/L", "LAB//1"], "rows": [2, 5], "numbers": [2, 5]})
    >>> book = codebook(counts, [Rule(2, ["LAB//50912//*"], "creatinine", None, None, None)], SHIPPED)
    >>> book.select("variable", "unit", "factor", "reason").rows()
    [('creatinine', 'umol/L', 0.0113122, None), (None, None, None, 'unknown_code')]
    """
    codes = counts["code"]
    found: dict[int, list[Rule]] = {}
    for rule in rules:
        for index in matching(rule.globs, codes).arg_true().to_list():
            found.setdefault(index, []).append(rule)
    for index in sorted(found):
        for one, other in combinations(found[index], 2):
            if one.meaning != other.meaning:
                said = " and ".join(f"line {r.line} ({' | '.join(r.globs)[:60]} -> {r.variable})" for r in (one, other))
                raise InputError(
                    f"{path}: the code {codes[index]!r} matches two rows, {said}; make one of them narrower"
                )
    rows = [
        (*row, *_meaning(row[0], found[index][0] if index in found else None))
        for index, row in enumerate(counts.select("code", "rows", "numbers").rows())
    ]
    return pl.DataFrame(rows, schema=_BOOK, orient="row")


def matching(globs: list[str], codes: pl.Series) -> pl.Series:
    """Return which of the codes match any of the globs."""
    hit = pl.repeat(False, len(codes), eager=True)
    for glob in globs:
        hit = hit | matches(glob, codes)
    return hit


def matches(glob: str, codes: pl.Series) -> pl.Series:
    """Return which of the codes match a glob: * is any text, ? any character, all else itself.

    >>> matches("LAB//*//mg/?L", pl.Series(["LAB//1//mg/dL", "LAB//1//mg"])).to_list()
    [True, False]
    """
    if not re.search(r"[*?]", glob):
        return codes == glob
    if re.fullmatch(r"[^*?]*\*", glob):
        return codes.str.starts_with(glob[:-1])
    pattern = "".join({"*": ".*", "?": "."}.get(sign) or pl.escape_regex(sign) for sign in glob)
    return codes.str.contains(f"(?s)^{pattern}$")


def _meaning(code: str, rule: Rule | None) -> tuple[object, ...]:
    """Return variable, unit, factor, offset, constant, part, static, reason of a code."""
    if rule is None:
        return None, None, None, None, None, None, False, "unknown_code"
    variable = vocabulary()[rule.variable]
    unit = variable.unit if rule.value is not None else _own_unit(code, variable) or rule.unit
    if unit is None:
        return None, None, None, None, None, None, False, "unknown_unit"
    static = rule.variable not in dynamic_names()
    return rule.variable, unit, *variable.conversion(unit), rule.value, rule.part, static, None


def _own_unit(code: str, variable: Variable) -> str | None:
    """Return the unit that the last part of a code states, if the variable knows it; spaces and case do not count."""
    head, separator, last = code.rpartition("//")
    if not (head and separator):
        return None
    plain = {_plain(unit): unit for unit in [variable.unit, *variable.other_units]}
    return plain.get(_plain(last)) or plain.get(_plain(_spellings().get(_plain(last), "")))


def _plain(unit: str) -> str:
    return unit.replace(" ", "").lower()


@cache
def _spellings() -> dict[str, str]:
    """Return the unit of `variables.csv` that another spelling (without spaces, in lower case) stands for."""
    with Path(__file__).with_name("units.csv").open(encoding="utf-8", newline="") as lines:
        return {_plain(row["spelling"]): row["unit"] for row in csv.DictReader(lines)}
