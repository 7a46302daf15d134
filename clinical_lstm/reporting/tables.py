"""The tables of performance: the model beside baselines and differences, subsets, headlines, shares of channels."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import Any

import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.figures import order

Target = tuple[str, float]
Score = dict[str, Any]
# metric: (name on the page, group, what it says); the page lists metrics in this order, unknown ones last.
METRICS = {
    "auroc": ("AUROC", "Ranking", "chance that a positive ranks above a negative; 0.5 is a coin"),
    "auprc": ("AUPRC", "Ranking", "mean precision over all sensitivities; the prevalence is a coin"),
    "prevalence": ("Prevalence", "Ranking", "share of positive predictions"),
    "calibration_slope": ("Calibration slope", "Calibration", "1 is right; below 1 the risks are too extreme"),
    "calibration_intercept": ("Calibration intercept", "Calibration", "0 is right, read together with the slope"),
    "calibration_in_the_large": (
        "Calibration in the large",
        "Calibration",
        "0 is right; below 0 the risks are too high",
    ),
    "ece_equal_mass": ("Calibration error", "Calibration", "mean |observed − predicted| over bins of equal size"),
    "ece_equal_width": ("Calibration error, equal width", "Calibration", "the same over bins of equal width"),
    "brier": ("Brier score", "Calibration", "mean squared error of the risk; lower is better"),
    "sensitivity": ("Sensitivity", "Alarms at the threshold", "share of positive predictions with an alarm"),
    "specificity": ("Specificity", "Alarms at the threshold", "share of negative predictions without an alarm"),
    "ppv": ("Positive predictive value", "Alarms at the threshold", "share of alarms that were right"),
    "npv": ("Negative predictive value", "Alarms at the threshold", "share of silences that were right"),
    "alarm_rate": ("Alarm rate", "Alarms at the threshold", "share of predictions with an alarm"),
    "utility_cinc2019": (
        "Utility (CinC 2019)",
        "Utility",
        "official score; 1 is the best possible, 0 is never alarming",
    ),
    "utility_pre_onset": ("Utility before onset", "Utility", "the same without predictions after onset"),
}
SUBSET_METRICS = ["auroc", "auprc", "prevalence", "calibration_slope", "utility_cinc2019", "utility_pre_onset"]
SUBSETS = {"all": "All predictions", "pre_onset": "Before onset only"}


@dataclass(frozen=True)
class Cell:
    """A score in a table: its value and, below it, its interval."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """A row of scores with its name and what it says; `group` is set on the first row of a group."""

    name: str
    hint: str
    group: str
    cells: list[Cell]


@dataclass(frozen=True)
class Grid:
    """A table of scores: one column per predictor (or metric), and its rows."""

    columns: list[str]
    rows: list[Row]


def metric_name(metric: str) -> str:
    """Return a metric as named on the page.

    >>> metric_name("auroc"), metric_name("lead_time_hours")
    ('AUROC', 'Lead time hours')
    """
    return METRICS[metric][0] if metric in METRICS else words.plain(metric)


def subset_name(subset: str) -> str:
    """Return a subset of predictions in words.

    >>> subset_name("pre_onset"), subset_name("site=A")
    ('Before onset only', 'Site A')
    """
    return SUBSETS.get(subset, words.plain(subset.replace("=", " ")))


def scores_of(scores: pl.DataFrame, target: Target, subset: str = "all") -> dict[tuple[str, str], Score]:
    """Return the scores of a target on a subset by (predictor, metric)."""
    chosen = scores.filter(
        pl.col("complication") == target[0], pl.col("horizon_hours") == target[1], pl.col("subset") == subset
    )
    return {(row["predictor"], row["metric"]): row for row in chosen.sort("predictor", "metric").to_dicts()}


def cell(score: Score | None, sign: bool = False) -> Cell:
    """Return a score as text; a dash where it is undefined."""
    if score is None or score["value"] is None:
        return Cell("–")
    low, high = score["low"], score["high"]
    if low is None or high is None:
        return Cell(words.decimals(score["value"], sign=sign))
    link = " to " if sign or low < 0 or high < 0 else "–"
    span = f"{words.decimals(low, sign=sign)}{link}{words.decimals(high, sign=sign)}"
    return Cell(words.decimals(score["value"], sign=sign), span)


def performance(scores: pl.DataFrame, target: Target, subset: str = "all") -> Grid:
    """Return the metrics (rows) of the model and the baselines (columns)."""
    found = scores_of(scores, target, subset)
    predictors = order([name for name, _ in found])
    metrics = _ordered({metric for name, metric in found if name in predictors})
    groups = [METRICS[metric][1] if metric in METRICS else "Other" for metric in metrics]
    rows = [
        Row(
            name=metric_name(metric),
            hint=METRICS[metric][2] if metric in METRICS else "",
            group=group if index == 0 or groups[index - 1] != group else "",
            cells=[cell(found.get((name, metric))) for name in predictors],
        )
        for index, (metric, group) in enumerate(zip(metrics, groups))
    ]
    return Grid([words.plain(name) for name in predictors], rows)


def differences(scores: pl.DataFrame, target: Target, subset: str = "all") -> Grid:
    """Return the paired differences: one row per baseline, one column per compared metric."""
    found = {key: score for key, score in scores_of(scores, target, subset).items() if " - " in key[0]}
    metrics = _ordered({metric for _, metric in found})
    rows = [
        Row(_difference(name), "", "", [cell(found.get((name, metric)), sign=True) for metric in metrics])
        for name in sorted({name for name, _ in found})
    ]
    return Grid([metric_name(metric) for metric in metrics], rows)


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
    """Return the main metrics (columns) of the model on each subset of predictions (rows)."""
    chosen = scores.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    names = sorted(chosen["subset"].unique().to_list(), key=lambda name: (name != "all", name != "pre_onset", name))
    tables = {name: scores_of(scores, target, name) for name in names}
    metrics = [m for m in SUBSET_METRICS if any(("model", m) in table for table in tables.values())]
    rows = []
    for name, table in tables.items():
        facts = next(iter(table.values()))
        hint = (
            f"{words.count(facts['n_stays'])} stays, {words.count(facts['n_rows'])} predictions, "
            f"{words.count(facts['n_positives'])} positive"
        )
        rows.append(Row(subset_name(name), hint, "", [cell(table.get(("model", metric))) for metric in metrics]))
    return Grid([metric_name(metric) for metric in metrics], rows)


def headlines(scores: pl.DataFrame, target: Target, most: int = 4) -> list[Row]:
    """Return the few numbers that answer "how good is it": one Row each with one Cell; `hint` puts it in proportion."""
    found = scores_of(scores, target)
    rows = []
    for metric in ["auroc", "auprc", "difference", "calibration_slope", "ppv", "sensitivity", "brier"]:
        if metric == "difference":
            other = _strongest(found)
            if other:
                score = found[f"model - {other}", "auroc"]
                hint = f"AUROC beside {words.plain(other).lower()}, the best baseline"
                rows.append(Row("Difference", hint, "", [cell(score, sign=True)]))
        elif found.get(("model", metric), {}).get("value") is not None:
            rows.append(Row(metric_name(metric), _proportion(metric, found), "", [cell(found["model", metric])]))
    return rows[:most]


def verdicts(scores: pl.DataFrame, target: Target) -> list[str]:
    """Return one sentence per paired difference of AUROC: is the model better, worse or not to be told apart."""
    sentences = []
    for (name, metric), score in scores_of(scores, target).items():
        if " - " not in name or metric != "auroc" or score["low"] is None or score["high"] is None:
            continue
        other = words.plain(name.split(" - ")[1]).lower()
        shown = cell(score, sign=True)
        if score["low"] <= 0 <= score["high"]:
            text = f"cannot be told apart from {other}"
        else:
            text = f"ranks {'better' if score['low'] > 0 else 'worse'} than {other}"
        sentences.append(f"By AUROC the model {text}: {shown.value} (95\N{NO-BREAK SPACE}% interval {shown.interval}).")
    return sentences


def channel_shares(importance: pl.DataFrame, target: Target) -> list[tuple[str, float]]:
    """Return the share of each channel in the summed mean |attribution| of a target, largest first."""
    chosen = importance.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    sums: dict[str, list[float]] = {}
    for channel, size in chosen.select(pl.col("channel").cast(pl.String), "mean_abs").iter_rows():
        sums.setdefault(channel, []).append(size)
    whole = fsum(size for sizes in sums.values() for size in sizes) or 1.0
    shares = [(words.CHANNELS[channel], fsum(sizes) / whole) for channel, sizes in sums.items()]
    return sorted(shares, key=lambda pair: (-round(pair[1], 9), pair[0]))


def parts(scores: pl.DataFrame, target: Target) -> list[str]:
    """Return the subsets that are a proper part of all predictions, the one before onset first."""
    chosen = scores.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    sizes = dict(chosen.select("subset", "n_rows").sort("subset", "n_rows").rows())
    proper = [subset for subset, rows in sizes.items() if rows < sizes.get("all", rows + 1)]
    return sorted(proper, key=lambda subset: (subset != "pre_onset", subset))


def _ordered(metrics: set[str]) -> list[str]:
    known = list(METRICS)
    return sorted(metrics, key=lambda metric: (known.index(metric) if metric in known else len(known), metric))


def _strongest(found: dict[tuple[str, str], Score]) -> str | None:
    """Return the baseline with the highest AUROC of those that the model is compared with."""
    compared = [name for name, metric in found if metric == "auroc" and (f"model - {name}", "auroc") in found]
    return max(sorted(compared), key=lambda name: found[name, "auroc"]["value"] or 0.0, default=None)


def _difference(name: str) -> str:
    left, right = name.split(" - ", 1)
    return words.plain(right) if left == "model" else f"{words.plain(left)} − {words.plain(right).lower()}"


def _proportion(metric: str, found: dict[tuple[str, str], Score]) -> str:
    if metric != "auprc":
        return METRICS[metric][2]
    score, chance = found["model", "auprc"], found.get(("model", "prevalence"), {}).get("value")
    return f"prevalence {words.decimals(chance)}: {score['value'] / chance:.1f} × chance" if chance else ""
