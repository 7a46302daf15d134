"""The tables of performance: the model beside baselines and differences, targets, headlines, shares of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.names import SUBSETS, inline, metric, metric_name, order, ordered, subset_name

Target = tuple[str, float]
Score = dict[str, Any]
SUBSET_METRICS = ["auroc", "auprc", "prevalence", "calibration_slope", "utility_cinc2019", "utility_pre_onset"]
OVERVIEW_METRICS = ["auroc", "auprc", "prevalence", "calibration_slope", "event_recall", "false_alarms_per_patient_day"]
HEADLINES = ["auroc", "difference", "auprc", "calibration_slope", "event_recall", "false_alarms_per_patient_day"]
HEADLINES += ["ppv", "sensitivity", "brier"]
COMPARED = "above 0 the model is better"
COMPARED_FALLING = "below 0 the model is better"


@dataclass(frozen=True)
class Cell:
    """A score in a table: its value and, below it, its interval."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """A row of scores with its name and what it says; `group` is set on the first row of a group, `note` ends a row."""

    name: str
    hint: str
    group: str
    cells: list[Cell]
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of scores: one column per predictor (or metric), and its rows."""

    columns: list[str]
    rows: list[Row]


def scores_of(scores: pl.DataFrame, target: Target, subset: str = "all") -> dict[tuple[str, str], Score]:
    """Return the scores of a target on a subset by (predictor, metric)."""
    chosen = scores.filter(
        pl.col("complication") == target[0], pl.col("horizon_hours") == target[1], pl.col("subset") == subset
    )
    return {(row["predictor"], row["metric"]): row for row in chosen.sort("predictor", "metric").to_dicts()}


def cell(score: Score | None, sign: bool = False) -> Cell:
    """Return a score as text, with the digits of its metric; a dash where it is undefined."""
    if score is None or score["value"] is None:
        return Cell("–")
    low, high, digits = score["low"], score["high"], metric(score.get("metric", "")).digits
    whole = digits == 0 and not sign
    value, *ends = (words.count(x) if whole else words.decimals(x, digits, sign) for x in (score["value"], low, high))
    if low is None or high is None:
        return Cell(value)
    return Cell(value, (" to " if sign or low < 0 or high < 0 else "–").join(ends))


def performance(
    scores: pl.DataFrame,
    target: Target,
    predictors: Sequence[str] | None = None,
    subset: str = "all",
    main: bool = False,
) -> Grid:
    """Return the metrics (rows), all or the main ones, of predictors (columns), by default all, the model first."""
    found = scores_of(scores, target, subset)
    predictors = order([name for name, _ in found]) if predictors is None else predictors
    shown = ordered({name for who, name in found if who in predictors and (metric(name).main or not main)})
    rows, group = [], ""
    for name in shown:
        about = metric(name)
        cells = [cell(found.get((who, name))) for who in predictors]
        rows.append(Row(about.name, about.hint, about.group if about.group != group else "", cells))
        group = about.group
    return Grid([words.plain(name) for name in predictors], rows)


def differences(scores: pl.DataFrame, target: Target, subset: str = "all") -> Grid:
    """Return the paired differences: one row per compared metric, one column per baseline."""
    found = {key: score for key, score in scores_of(scores, target, subset).items() if " - " in key[0]}
    pairs = sorted({name for name, _ in found})
    rows = []
    for name in ordered({name for _, name in found}):
        about = metric(name)
        hint = COMPARED_FALLING if about.falls else COMPARED
        rows.append(Row(about.name, hint, "", [cell(found.get((pair, name)), sign=True) for pair in pairs]))
    return Grid([_difference(name) for name in pairs], rows)


def overview(scores: pl.DataFrame, targets: list[Target]) -> Grid:
    """Return the main metrics (columns) of the model for each target (rows)."""
    found = {target: scores_of(scores, target) for target in targets}
    shown = [name for name in OVERVIEW_METRICS if any(("model", name) in table for table in found.values())]
    rows = []
    for target, table in found.items():
        cells = [cell(table.get(("model", name))) for name in shown]
        rows.append(Row(words.target(*target), _counts(next(iter(table.values()), None)), "", cells))
    return Grid([metric_name(name) for name in shown], rows)


def comparison(ranking: pl.DataFrame | None, target: Target) -> Grid:
    """Return the models and baselines of a comparison, best AUROC first: scores, paired difference, costs."""
    found = scores_of(ranking, target) if ranking is not None else {}
    areas = {name: score for (name, metric), score in found.items() if metric == "auroc"}
    ranked = sorted(areas, key=lambda name: (areas[name]["rank"] is None, areas[name]["rank"], name))
    rows = []
    for name in ranked:
        score = areas[name]
        apart = {"value": score["difference"], "low": score["difference_low"], "high": score["difference_high"]}
        latency = "–" if score["step_milliseconds"] is None else words.number(score["step_milliseconds"])
        costs = [Cell(words.count(score["parameters"])), Cell(latency)]
        reference = name == score["reference"]
        difference = Cell("reference") if reference else cell(apart, sign=True)
        scored = [cell(score), difference, cell(found.get((name, "auprc")))]
        rows.append(Row(words.plain(name), "", "", [*scored, *costs]))
    return Grid(["AUROC", "Difference", "AUPRC", "Weights", "ms per step"], rows)


def subsets(scores: pl.DataFrame, target: Target) -> Grid:
    """Return the main metrics (columns) of the model with and without the predictions after onset (rows)."""
    tables = {name: scores_of(scores, target, name) for name in SUBSETS}
    tables = {name: table for name, table in tables.items() if table}
    shown = [name for name in SUBSET_METRICS if any(("model", name) in table for table in tables.values())]
    rows = [
        Row(subset_name(name), _counts(next(iter(table.values()))), "", [cell(table.get(("model", m))) for m in shown])
        for name, table in tables.items()
    ]
    return Grid([metric_name(name) for name in shown], rows)


def headlines(scores: pl.DataFrame, target: Target, most: int = 6) -> list[Row]:
    """Return the few numbers that answer "how good is it": one Row each with one Cell; `hint` puts it in proportion."""
    found = scores_of(scores, target)
    rows = []
    for name in HEADLINES:
        if name == "difference":
            other = _strongest(found)
            if other:
                score = found[f"model - {other}", "auroc"]
                hint = f"AUROC beside {inline(other)}, the best baseline"
                rows.append(Row("Difference", hint, "", [cell(score, sign=True)]))
        elif found.get(("model", name), {}).get("value") is not None:
            rows.append(Row(metric_name(name), _proportion(name, found), "", [cell(found["model", name])]))
    return rows[:most]


def has_early(scores: pl.DataFrame, target: Target) -> bool:
    """Return whether the predictions before onset are a proper part of all predictions."""
    chosen = scores.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    sizes = dict(chosen.filter(pl.col("predictor") == "model").select("subset", "n_rows").sort(pl.all()).rows())
    return "pre_onset" in sizes and sizes["pre_onset"] < sizes.get("all", 0)


def _counts(facts: Score | None) -> str:
    if facts is None:
        return ""
    sizes = [("n_stays", "stays"), ("n_rows", "predictions"), ("n_positives", "positive")]
    return ", ".join(f"{words.count(facts[key])} {name}" for key, name in sizes)


def _strongest(found: dict[tuple[str, str], Score]) -> str | None:
    """Return the baseline with the highest AUROC of those that the model is compared with."""
    compared = [name for name, metric in found if metric == "auroc" and (f"model - {name}", "auroc") in found]
    return max(sorted(compared), key=lambda name: found[name, "auroc"]["value"] or 0.0, default=None)


def _difference(name: str) -> str:
    left, right = name.split(" - ", 1)
    return words.plain(right) if left == "model" else f"{words.plain(left)} − {words.plain(right).lower()}"


def _proportion(name: str, found: dict[tuple[str, str], Score]) -> str:
    if name != "auprc":
        return metric(name).hint
    score, chance = found["model", "auprc"], found.get(("model", "prevalence"), {}).get("value")
    return f"prevalence {words.decimals(chance)}: {score['value'] / chance:.1f} × chance" if chance else ""
