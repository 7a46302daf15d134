"""What looks wrong with the values of a variable, and what a label may mean: hints for a person, nothing is changed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.data.inspection.tallies import quantile
from clinical_lstm.variables import Variable, vocabulary

_FEWEST_ROWS = 5  # fewer values tell nothing
_SHARE = 0.01  # of implausible values that is worth a word
_RESCUED = 0.8  # of the implausible values that another unit must make plausible
_FAR = 2.0  # a median beyond the reference range by this factor is far from it
_NEAR = 1.5
_LIKE, _BEGINS = 0.75, 0.95  # likeness (difflib ratio) that is worth a word; that of beginnings and initials


class Suspicion(NamedTuple):
    """How bad it looks (0 not, 1 odd values, 2 maybe another unit, 3 another unit) and why, in words."""

    severity: int
    words: str


class _Reading(NamedTuple):
    """Another way to read the values: canonical = factor * value + offset."""

    words: str
    factor: float
    offset: float

    def of(self, value: float) -> float:
        return self.factor * value + self.offset


def suspicion(of: Variable, tally: pl.DataFrame, conversions: pl.DataFrame) -> Suspicion:
    """Return what looks wrong with the values of a variable.

    - Another unit (3, or 2 when less than half of the rows are concerned: mixed units): 1 % of the values or more are
      implausible, and of them 80 % would be plausible if read in another unit of the vocabulary.
    - Maybe another unit (2): the median lies beyond the reference range by a factor of 2 or more, and read in another
      unit it would lie within it (by a factor of 1.5). Ranges that begin at 0 cannot tell.
    - Odd values (1): 1 % of the values or more are implausible, whatever the unit.

    Args:
        tally: value, rows; sorted by value. conversions: `CONVERSIONS` of this variable; a reading may undo one.

    """
    value, rows = tally["value"].to_numpy(), tally["rows"].to_numpy()
    median, total = quantile(tally, 0.5), int(rows.sum())
    if total < _FEWEST_ROWS or median is None:
        return Suspicion(0, "")
    outside = (value < of.low) | (value > of.high)
    share = float(rows[outside].sum() / total)
    readings = list(_readings(of, conversions))
    if share >= _SHARE:
        helpful = [r for r in readings if _plausible(of, value[outside], rows[outside], r) >= _RESCUED]
        if not helpful:
            often = value[outside][int(np.argmax(rows[outside]))]
            mostly = rows[outside].max() > 0.5 * rows[outside].sum()
            return Suspicion(1, f"{share:.1%} implausible" + (f", mostly {often:g}" if mostly else ""))
        if share <= 0.5:
            return Suspicion(2, f"{share:.1%} {helpful[0].words}: mixed units?")
        best = min(helpful, key=lambda reading: _beyond(of, reading.of(median)))
        return Suspicion(3, f"{share:.1%} {best.words}: the median would be {best.of(median):.3g}")
    for reading in readings:
        if _beyond(of, median) > _FAR and _beyond(of, reading.of(median)) < _NEAR:
            usual = f"{of.normal_low:g} to {of.normal_high:g}"
            return Suspicion(2, f"far from the reference range {usual}; the values {reading.words}")
    return Suspicion(0, "")


def alike(label: str | None, shown: int = 3) -> list[str]:
    """Return the names of the vocabulary that a label may mean: same letters, beginnings, initials, likeness.

    >>> alike("HR"), alike("Temp (C)")[0], alike("Haemoglobin")
    (['heart_rate'], 'temperature', ['hemoglobin', 'methemoglobin'])
    """
    text = re.sub(r"\(.*?\)|\[.*?\]", "", label or "").strip().lower()
    plain = re.sub(r"[^a-z0-9]", "", text)
    found = []
    for place, of in enumerate(vocabulary().values() if len(plain) > 1 else []):
        words = re.findall(r"[a-z0-9]+", of.name)
        spelt, said = "".join(words), re.sub(r"[^a-z0-9]", "", of.label.lower())
        begins = len(plain) > 2 and (spelt.startswith(plain) or said.startswith(plain) or plain.startswith(spelt))
        initials = len(words) > 1 and plain == "".join(word[0] for word in words)
        likeness = max(difflib.SequenceMatcher(None, plain, other).ratio() for other in (spelt, said))
        rank = likeness if likeness == 1.0 else max(likeness, _BEGINS * (begins or initials))
        if rank >= _LIKE:
            found.append((-rank, place, of.name))
    exact = [name for rank, _, name in found if rank == -1.0]
    return exact or [name for _, _, name in sorted(found)[:shown]]


def _readings(of: Variable, conversions: pl.DataFrame) -> Iterator[_Reading]:
    for unit, (factor, offset) in of.other_units.items():
        if factor != 1.0:
            yield _Reading(f"look like {unit}", factor, offset)
    for unit, factor, offset in conversions.select("unit", "factor", "offset").rows():
        if factor != 1.0:
            yield _Reading(f"look as if never in {unit}", 1 / factor, -offset / factor)


def _plausible(of: Variable, value: np.ndarray, rows: np.ndarray, reading: _Reading) -> float:
    """Return the share of the rows that a reading makes plausible."""
    read = reading.factor * value + reading.offset
    return float(rows[(read >= of.low) & (read <= of.high)].sum() / rows.sum())


def _beyond(of: Variable, value: float) -> float:
    """Return the factor by which a value lies beyond the reference range, 1 within it or where it cannot be said."""
    low, high = of.normal_low, of.normal_high
    if low is None or high is None or low <= 0:
        return 1.0
    return float("inf") if value <= 0 else max(low / value, value / high, 1.0)
