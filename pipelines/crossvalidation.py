"""What a cross-validation leaves behind: its table, its JSON, its folds in MLflow, and what the terminal shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort, Directory, atomic_file, read_json, sha256, write_json, write_table
from clinical_lstm.data.task import within
from clinical_lstm.evaluation.pooling import Samples, summarise
from clinical_lstm.training.baseline import thresholds_of

FILES = ["crossvalidation.parquet", "crossvalidation.csv", "crossvalidation.json"]
UTILITY = {"utility_cinc2019": "utility", "utility_pre_onset": "utility pre-onset"}
DECISIONS = {"min_se_ppv": "min(Se, +P)", "youden_index": "Youden index"}
AREAS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier"}
SECONDS = {"train_seconds", "fit_seconds"}  # of timing.json
LABEL, VALUE, MEAN, CHANGE = 24, 24, 17, 31


class Fold(NamedTuple):
    """A cohort and its predictors: directories with predictions.parquet and thresholds.json."""

    cohort: Cohort
    predictors: Mapping[str, Directory]

    def hashes(self) -> dict[str, list[str]]:
        """Return the hashes of everything that is judged."""
        files = ("predictions.parquet", "thresholds.json")
        return {name: [sha256(place.path / file) for file in files] for name, place in self.predictors.items()}

    def seconds(self) -> dict[str, float]:
        """Return what each predictor took to make, where that was measured."""
        timings = {name: place.path / "timing.json" for name, place in self.predictors.items()}
        said = {name: read_json(file) for name, file in timings.items() if file.is_file()}
        return {name: sum(value for key, value in one.items() if key in SECONDS) for name, one in said.items()}


def write(
    place: Directory,
    folds: Mapping[str, Fold],
    samples: Mapping[str, Samples],
    references: Sequence[str],
    facts: Mapping[str, Any],
) -> None:
    """Write the table of `schemas.Pooled` (Parquet, CSV), and with what it was made of as JSON."""
    table = summarise(samples, references)
    write_table(place.path / FILES[0], table)
    with atomic_file(place.path / FILES[1]) as partial:
        table.write_csv(partial)
    made = [
        {
            "fold": name,
            "cohort": fold.cohort.name,
            "predictors": {
                one: {
                    "directory": made.name,
                    "thresholds": sorted([*t, v] for t, v in thresholds_of(made.path).items()),
                }
                for one, made in fold.predictors.items()
            },
        }
        for name, fold in folds.items()
    ]
    tested = [fold.cohort.table("stays.parquet").filter(split=facts["split"])["stay_id"] for fold in folds.values()]
    distinct = pl.concat(tested).n_unique()
    said = {**facts, "references": list(references), "folds": made, "distinct_stays": distinct}
    write_json(place.path / FILES[2], said | {"table": table.to_dicts()})


def tracked(place: Directory) -> tuple[dict[str, Any], list[dict[str, Any]], list[str], dict[str, float]]:
    """Return what MLflow is told: parameters, a child per fold, files, and the metrics of all folds."""
    facts, table = place.json(FILES[2]), place.table(FILES[0]).filter(pl.col("value").is_not_null())
    several = table.select("complication", "horizon_hours").n_unique() > 1

    def metrics(subset: str) -> dict[str, float]:
        found = {}
        for row in table.filter(subset=subset).iter_rows(named=True):
            target = f"{row['complication']}_{row['horizon_hours']:g}h/" if several else ""
            found[f"{facts['split']}/{target}{row['predictor'].replace(' ', '_')}/{row['metric']}"] = row["value"]
        return found

    children = [
        {"name": f"{place.name} {one['fold']}", "params": {"cohort": one["cohort"]}, "metrics": metrics(one["fold"])}
        for one in facts["folds"]
    ]
    means = {f"mean_of_folds/{name}": value for name, value in metrics("mean_of_folds").items()}
    params = {"folds": [one["fold"] for one in facts["folds"]]} | {n: facts[n] for n in ("seeds", "blend", "split")}
    return params, children, FILES, metrics("all") | means


def show(place: Directory, folds: Mapping[str, Fold]) -> None:
    """Print all tables of every target and what the folds cost; write that as timing.json, which no hash covers."""
    facts, table = place.json(FILES[2]), place.table(FILES[0])
    for (complication, horizon), own in table.group_by("complication", "horizon_hours", maintain_order=True):
        row = own.filter(subset="all").row(0, named=True)
        what = f"{complication} {within(float(str(horizon)))}: {len(folds)} folds, {facts['split']} split"
        print(f"\n{what}, {_counts(row)}")
        if facts["distinct_stays"] < row["n_stays"]:
            print(f"Folds share stays: there are {facts['distinct_stays']:,}; a patient is drawn once for all folds.")
        _target(own, facts["references"])
    print(
        "\npooled: all folds together, each with its own thresholds. (a to b): 95 %, patients resampled, the same for "
        "both of a\ndifference (of pooled values). k/K: better in k of K folds. sd: over the folds, no standard error."
    )
    _costs(place, folds)
    if facts["split"] == "val":
        print("Thresholds and alarm policies were chosen on val: what hangs on them looks better than it is.")


def _target(own: pl.DataFrame, references: Sequence[str]) -> None:
    """Print one target: a table per metric with a line per predictor, then a table per site."""
    known, names = own["metric"].to_list(), own["predictor"].unique(maintain_order=True).to_list()
    shown = (UTILITY if "utility_cinc2019" in known else DECISIONS) | AREAS
    predictors = [name for name in names if " - " not in name]
    references = [one for one in references if any(name.endswith(f" - {one}") for name in names)]
    values = {(row["predictor"], row["subset"], row["metric"]): row for row in own.iter_rows(named=True)}
    for metric, title in shown.items():
        above = "".join(f"{'above ' + reference:{CHANGE}}" for reference in references)
        print(f"\n{title:{LABEL}}{'pooled':{VALUE}}{'mean +- sd':{MEAN}}{above}".rstrip())
        for name in predictors:
            mean = values[name, "mean_of_folds", metric]
            line = f"{_value(values[name, 'all', metric]):{VALUE}}{_mean(mean):{MEAN}}"
            for reference in references:
                line += f"{_change(values.get((f'{name} - {reference}', 'all', metric))):{CHANGE}}"
            print(f"  {name[: LABEL - 3]:{LABEL - 2}}{line}".rstrip())
    for site in (name for name in own["subset"].unique(maintain_order=True) if name.startswith("site=")):
        print(f"\n{site}: {_counts(own.filter(subset=site).row(0, named=True))}")
        own_shown = [metric for metric in shown if metric != "brier"]  # it is in the table; the line would be too long
        print(f"{'':{LABEL}}" + "".join(f"{shown[metric]:{VALUE}}" for metric in own_shown).rstrip())
        for name in predictors:
            cells = "".join(f"{_value(values[name, site, metric]):{VALUE}}" for metric in own_shown)
            print(f"  {name[: LABEL - 3]:{LABEL - 2}}{cells}".rstrip())


def _costs(place: Directory, folds: Mapping[str, Fold]) -> None:
    """Write and print the seconds that the predictors took."""
    seconds = {name: fold.seconds() for name, fold in folds.items()}
    write_json(place.path / "timing.json", seconds)
    print(f"\n{'seconds per fold':{LABEL}}{'mean':>9}   range")
    for name in next(iter(folds.values())).predictors:
        each = [own[name] for own in seconds.values() if name in own]
        if each:
            print(f"  {name[: LABEL - 3]:{LABEL - 2}}{np.mean(each):9.1f}   {min(each):.1f} to {max(each):.1f}")


def _counts(row: Mapping[str, Any]) -> str:
    return f"{row['n_stays']:,} stays, {row['n_rows']:,} rows, prevalence {row['prevalence']:.2%}"


def _value(row: Mapping[str, Any]) -> str:
    """Return a value with its interval."""
    return _number(row, "value") + ("" if row["low"] is None else f" ({_number(row, 'low')} to {_number(row, 'high')})")


def _mean(row: Mapping[str, Any]) -> str:
    """Return a mean of folds with their standard deviation."""
    return _number(row, "value") + ("" if row["fold_sd"] is None else f" +- {_number(row, 'fold_sd')}")


def _change(row: Mapping[str, Any] | None) -> str:
    """Return a difference with its interval and the folds in which it is a gain."""
    if row is None:
        return ""
    bounds = "" if row["low"] is None else f" ({_number(row, 'low', '+')} to {_number(row, 'high', '+')})"
    return f"{_number(row, 'value', '+')}{bounds} {row['better']}/{row['folds']}"


def _number(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    if row[name] is None:
        return "undefined"
    digits = 4 if row["metric"] == "brier" else 3  # of rare events it is small
    return f"{row[name]:{sign}.{digits}f}".replace("0.", ".", 1)
