"""From the measurements of one shard to observations: units, words, specimens, sums, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import CONVERSIONS
from clinical_lstm.sources.mimic_iv.codes import MEASURED
from clinical_lstm.sources.mimic_iv.events import SPECIMEN_TYPE
from clinical_lstm.sources.mimic_iv.steps import FIXED, whole
from clinical_lstm.variables import vocabulary

AT = ["stay_id", "hours", "variable"]
_UNKNOWN = "?"
_VARIABLES = pl.Enum(list(vocabulary()))
_READINGS = pl.Enum(MEASURED)
_RULES = pl.Enum(["no_value", "not_a_number", "unknown_unit", "other_specimen", "incomplete"])
_SETTLED = [*AT, "value", "rule", "rank", "row"]
_KEPT = [*_SETTLED, "reading", "itemid", "unit", "used", "factor", "offset"]


def judged(
    events: pl.DataFrame, codes: pl.DataFrame, words: pl.DataFrame, units: dict[str, str | None]
) -> pl.DataFrame:
    """Return the events with variable, reading, rank, value (canonical unit), factor, offset and `rule` (null: good).

    Rules, the first that applies: `no_value`, `not_a_number`, `unknown_unit`, `other_specimen` (an arterial value from
    a specimen that is not said to be arterial). A refused row keeps its number as it was. Rows of items that are read
    by words count only where such a word stands.
    """
    kinds = events.filter(pl.col("itemid") == SPECIMEN_TYPE).unique("specimen_id", keep="last", maintain_order=True)
    kinds = kinds.select("specimen_id", pl.col("text").alias("kind"))
    own = codes.filter(pl.col("reading").is_in(MEASURED))
    kept = own.select("itemid", "rank", "variable", "reading", "specimen", pl.col("unit").alias("own_unit"))
    kept = kept.cast({"variable": _VARIABLES, "reading": _READINGS})  # four bytes instead of sixteen per row
    rows = _worded(events, words).join(kept, on="itemid", how="inner", maintain_order="left")
    rows = rows.join(kinds, on="specimen_id", how="left", maintain_order="left")
    stated = pl.col("unit").str.strip_chars().str.to_lowercase()
    named = stated.replace_strict(units, default=_UNKNOWN, return_dtype=pl.String)
    rows = rows.with_columns(pl.coalesce(pl.when(stated.is_not_null()).then(named), "own_unit").alias("used"))
    rows = rows.join(_conversions(), on=["variable", "used"], how="left", maintain_order="left")
    value = pl.col("value")
    number = value * pl.col("factor") + pl.col("offset")
    # The charted percentage is now and then a fraction: 0.2 to 1 % of oxygen cannot be breathed.
    fraction = (pl.col("variable") == "fio2") & (pl.col("used") == "%") & value.is_between(0.2, 1.0)
    rule = _rule()
    converted = pl.when(rule.is_not_null() | fraction).then(value).otherwise(number)
    return rows.with_columns(rule.cast(_RULES).alias("rule"), converted.alias("value")).select(_KEPT)


def settled(rows: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Return stay_id, hours, variable, value, rule: single values, sums of parts, and sums of what adds up.

    A sum that lacks a part is refused as `incomplete`. Rows of one stay, time and variable stand in the order of rank,
    the first listed item last: the one that the cleaning keeps.
    """
    good = pl.col("rule").is_null()
    single = rows.filter(~good | (pl.col("reading") == "value")).select(_SETTLED)
    several = rows.filter(good & (pl.col("reading") != "value"))
    sums = [_added(several, codes), _summed(several)]
    ordered = pl.concat([single, *(table.select(_SETTLED) for table in sums)])
    ordered = ordered.sort(*AT, "rank", "row", descending=[False, False, False, True, False])
    return ordered.select(*AT, "value", "rule")


def first_plausible(rows: pl.DataFrame, variable: str, static: str, within_hours: float) -> pl.DataFrame:
    """Return stay_id and `static`: the first plausible value of `variable` that was charted `within_hours`.

    Later ones are not used: to know them at admission would be to know that the stay lasted.
    """
    bounds = vocabulary()[static]
    good = rows.filter(
        pl.col("rule").is_null(),
        pl.col("variable") == variable,
        pl.col("value").is_between(bounds.low, bounds.high),
        pl.col("hours") <= within_hours,
    )
    first = good.sort("stay_id", "hours", "rank", "row").unique("stay_id", keep="first", maintain_order=True)
    return first.select("stay_id", pl.col("value").alias(static))


def conversions(rows: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Return `CONVERSIONS`: what was read in another unit than the canonical one."""
    other = rows.filter(pl.col("rule").is_null(), (pl.col("factor") != 1) | (pl.col("offset") != 0))
    counted = other.group_by("itemid", "used", "variable", "factor", "offset").len("rows").rename({"used": "unit"})
    counted = counted.join(codes.select("itemid", "label"), on="itemid", how="left")
    return counted.select(pl.col(name).cast(kind) for name, kind in CONVERSIONS.items()).sort(list(CONVERSIONS))


def check_units(rows: pl.DataFrame, root: Path) -> None:
    """Raise InputError when 1 % or more of the rows of a variable have an unknown unit; fewer are refused singly."""
    unknown = pl.col("rule") == "unknown_unit"
    counts = (
        rows.group_by("variable")
        .agg(pl.len().alias("rows"), unknown.sum().alias("bad"), pl.col("unit").filter(unknown).min())
        .filter(pl.col("bad") > 0, 100 * pl.col("bad") >= pl.col("rows"))
        .sort("variable")
    )
    if counts.height:
        told = "; ".join(
            f"{unit!r} of {name} ({bad} of {total} rows; known: {', '.join(_known(name))})"
            for name, total, bad, unit in counts.rows()
        )
        raise InputError(f"{root} has unknown units: {told}; add their spelling to a map of your own (source.units=)")


def _known(variable: str) -> list[str]:
    return [vocabulary()[variable].unit, *vocabulary()[variable].other_units]


def _conversions() -> pl.DataFrame:
    rows = [(v.name, unit, *v.conversion(unit)) for v in vocabulary().values() for unit in _known(v.name)]
    schema: dict[str, Any] = {"variable": _VARIABLES, "used": pl.String, "factor": pl.Float64, "offset": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _worded(events: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """Return the events; the value of those read by words is what their word or whole number stands for, if any."""
    by_word = pl.col("itemid").is_in(words["itemid"].unique().to_list())
    digits = pl.col("value").cast(pl.Int64, strict=False).cast(pl.String)
    rows = events.filter(by_word).with_columns(digits.alias("digits"))
    for key in ("text", "digits"):
        named = words.rename({"word": key, "meaning": f"{key} meaning"})
        rows = rows.join(named, on=["itemid", key], how="left", maintain_order="left")
    meaning = pl.coalesce("text meaning", "digits meaning")
    rows = rows.with_columns(meaning.alias("value"), pl.lit(None, pl.String).alias("unit"))
    return pl.concat([events.filter(~by_word), rows.filter(pl.col("value").is_not_null()).select(events.columns)])


def _rule() -> pl.Expr:
    value, named = pl.col("value"), pl.col("specimen") != ""
    arterial = pl.col("kind").str.starts_with(pl.col("specimen")).fill_null(False)
    return (
        pl.when(~pl.col("written"))
        .then(pl.lit("no_value"))
        .when(value.is_null())
        .then(pl.lit("not_a_number"))
        .when(pl.col("factor").is_null())
        .then(pl.lit("unknown_unit"))
        .when(named & ~arterial)
        .then(pl.lit("other_specimen"))
    )


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    sign = pl.when(pl.col("reading") == "minus").then(-1).otherwise(1)
    volumes = rows.filter(pl.col("reading").is_in(["plus", "minus"]))
    sums = volumes.group_by(AT).agg((sign * whole(pl.col("value"))).sum().alias("whole"), pl.col("rank", "row").min())
    return sums.with_columns((pl.col("whole") / FIXED).alias("value"), pl.lit(None, _RULES).alias("rule"))


def _added(rows: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    parts = codes.filter(pl.col("reading") == "part").group_by("variable").len("parts")
    parts = parts.cast({"variable": _VARIABLES})
    charted = rows.filter(pl.col("reading") == "part").sort("row").unique([*AT, "itemid"], keep="last")
    sums = charted.group_by(AT).agg(
        whole(pl.col("value")).sum().alias("whole"), pl.len().alias("charted"), pl.col("rank", "row").min()
    )
    sums = sums.join(parts, on="variable", how="left")
    lacking = pl.when(pl.col("charted") < pl.col("parts")).then(pl.lit("incomplete"))
    return sums.with_columns((pl.col("whole") / FIXED).alias("value"), lacking.cast(_RULES).alias("rule"))
