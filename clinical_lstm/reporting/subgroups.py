"""The model in parts of the patients and hours: a table per dimension, and the gaps between them in words."""

from __future__ import annotations

import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.card.known import FEWEST, apart
from clinical_lstm.reporting.names import metric_name
from clinical_lstm.reporting.tables import Grid, Row, Score, Target, cell

SHOWN = ["auroc", "calibration_in_the_large", "event_recall", "false_alarms_per_patient_day"]
DIMENSIONS = {"hours": "Hours since admission", "age": "Age in years", "unit": "Care unit"}
TOO_FEW = "too few patients with one of the outcomes"


def levels(scores: pl.DataFrame, target: Target) -> dict[str, dict[str, dict[str, Score]]]:
    """Return the scores of the model by dimension, level and metric; dimensions and levels as they were judged."""
    own = scores.filter(
        pl.col("complication") == target[0], pl.col("horizon_hours") == target[1], pl.col("predictor") == "model"
    )
    found: dict[str, dict[str, dict[str, Score]]] = {}
    for row in own.filter(pl.col("subset").str.contains("=")).to_dicts():
        dimension, level = row["subset"].split("=", 1)
        found.setdefault(dimension, {}).setdefault(level, {})[row["metric"]] = row
    return found


def judged(table: dict[str, Score]) -> bool:
    """Return whether a level has values to show: some are defined, and its counts need not be hidden."""
    facts = next(iter(table.values()))
    few = min(facts["n_stays"], facts["n_positives"]) < FEWEST
    return not few and any(table.get(name, {}).get("value") is not None for name in SHOWN)


def dimension_name(dimension: str) -> str:
    """Return a dimension in words.

    >>> dimension_name("hours"), dimension_name("sex"), dimension_name("weight_kg")
    ('Hours since admission', 'Sex', 'Weight at admission')
    """
    return DIMENSIONS.get(dimension) or words.plain(words.label(dimension))


def grid(scores: pl.DataFrame, target: Target) -> Grid:
    """Return the main metrics (columns) of each level (rows) with its size, grouped by dimension.

    Counts below five are hidden, with the next one where it would tell them; a level that was not judged says why.
    """
    every = levels(scores, target)
    shown = [name for name in SHOWN if any(name in table for tables in every.values() for table in tables.values())]
    rows = []
    for dimension, tables in every.items():
        group, sizes = dimension_name(dimension), _sizes(tables)
        for level, table in tables.items():
            cells = [cell(table.get(name)) for name in shown] if judged(table) else []
            rows.append(Row(words.clean(level), sizes[level], group, cells, "" if cells else TOO_FEW))
            group = ""
    return Grid([metric_name(name) for name in shown], rows)


def compared(gaps: pl.DataFrame, target: Target) -> str:
    """Return how many gaps were looked at and how many hold, in one paragraph; empty where there are none."""
    known = _known(gaps, target)
    if known.is_empty():
        return ""
    largest = known.select("dimension", "reference").unique(maintain_order=True).rows()
    beside = words.listed([_inside(*pair) for pair in largest])
    levels_compared = known.select("dimension", "level").n_unique()
    counted = (
        f"{known.height} gaps were looked at: {known['metric'].n_unique()} measures of up to "
        f"{levels_compared} subgroups, each beside the largest of its dimension ({beside}). "
    )
    held = _held(known).height
    if not held:
        return counted + "None of them holds when the number of comparisons is taken into account."
    chance, hold = round(0.05 * known.height), "holds" if held == 1 else "hold"
    return (
        f"{counted}By chance alone about {chance} would stand out with intervals of their own; {held} {hold} with "
        "intervals that are right for all of these gaps at once."
    )


def held(gaps: pl.DataFrame, target: Target) -> list[str]:
    """Return a line for each measure on the gaps whose simultaneous interval leaves out 0, as they were judged."""
    lines: dict[str, list[str]] = {}
    for row in _held(_known(gaps, target)).to_dicts():
        gap = {name: row[key] for name, key in [("low", "simultaneous_low"), ("high", "simultaneous_high")]}
        text = cell(gap | {"value": row["value"], "metric": row["metric"]}, sign=True)
        found = f"{_inside(row['dimension'], row['level'])} {text.value} ({text.interval})"
        lines.setdefault(metric_name(row["metric"]), []).append(found)
    return [f"{name}: {'; '.join(found)}." for name, found in lines.items()]


def _inside(dimension: str, level: str) -> str:
    """Return a subgroup as it stands inside a sentence."""
    return f"{words.plain(dimension).lower()} {words.clean(level)}"


def _known(gaps: pl.DataFrame, target: Target) -> pl.DataFrame:
    return gaps.filter(
        pl.col("complication") == target[0],
        pl.col("horizon_hours") == target[1],
        pl.col("predictor") == "model",
        pl.col("simultaneous_low").is_not_null(),
    )


def _held(known: pl.DataFrame) -> pl.DataFrame:
    return known.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))


def _sizes(tables: dict[str, dict[str, Score]]) -> dict[str, str]:
    """Return stays, events (of levels that were judged) and positive predictions of each level of a dimension."""
    facts = {level: next(iter(table.values())) for level, table in tables.items()}
    stays, positives = (apart({level: one[key] for level, one in facts.items()}) for key in ("n_stays", "n_positives"))
    values = {level: table.get("events", {}).get("value") for level, table in tables.items()}
    events = apart({level: round(value) for level, value in values.items() if value is not None})
    told = {level: f"{events[level]} events, " if level in events else "" for level in tables}
    return {level: f"{stays[level]} stays, {told[level]}{positives[level]} positive predictions" for level in tables}
