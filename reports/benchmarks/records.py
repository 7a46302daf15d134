"""The tables of a cross-validation, as Markdown: `python reports/benchmarks/records.py CROSSVALIDATION_FOLDER`."""

from __future__ import annotations

import sys

import numpy as np
from machine import describe

from clinical_lstm.artifacts import Directory

METRICS = {
    "utility_cinc2019": "utility",
    "utility_pre_onset": "utility before onset",
    "min_se_ppv": "min(Se, +P)",
    "auroc": "AUROC",
    "auprc": "AUPRC",
}


def main(folder: str) -> None:
    """Print every target: pooled, mean of folds, differences from the reference, sites."""
    place = Directory(folder)
    facts, table = place.json("crossvalidation.json"), place.table("crossvalidation.parquet")
    print(
        f"{place.name}: seeds {facts['seeds']}, {facts['split']}, trained at commit {facts['git_commit']}; {describe()}"
    )
    for (complication, horizon), own in table.group_by("complication", "horizon_hours", maintain_order=True):
        first = own.filter(subset="all").row(0, named=True)
        print(
            f"\n{complication} within {horizon:g} h: {first['n_stays']:,} stays, {first['n_rows']:,} rows, "
            f"{first['prevalence']:.2%} positive, {first['folds']} folds"
        )
        shown = {key: title for key, title in METRICS.items() if key in own["metric"].to_list()}
        if "utility_cinc2019" in shown:
            shown.pop("min_se_ppv", None)
        values = {(row["predictor"], row["subset"], row["metric"]): row for row in own.iter_rows(named=True)}
        names = own["predictor"].unique(maintain_order=True).to_list()
        alone, apart = ([name for name in names if (" - " in name) == is_pair] for is_pair in (False, True))
        sites = [one for one in own["subset"].unique(maintain_order=True) if one.startswith("site=")]
        parts = [("all", "all test stays together", alone, _interval)]
        parts += [("mean_of_folds", "mean of the folds ± sd", alone, _spread)]
        parts += [("all", "difference (better in folds)", apart, _change)]
        parts += [(site, site, alone, _interval) for site in sites]
        for subset, title, predictors, cell in parts:
            print(f"\n| {title} | {' | '.join(shown.values())} |\n|---|{'---|' * len(shown)}")
            for name in predictors:
                cells = [cell(values[name, subset, metric]) for metric in shown]
                print(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    seconds = place.json("timing.json")
    print("\nSeconds per fold, mean: " + ", ".join(f"{k} {np.mean(v):.0f}" for k, v in _turned(seconds).items()))


def _turned(seconds: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    return {name: [fold[name] for fold in seconds.values()] for name in next(iter(seconds.values()))}


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.3f}".replace("0.", ".", 1)


def _interval(row: dict) -> str:
    return f"{_number(row['value'])} ({_number(row['low'])} to {_number(row['high'])})"


def _spread(row: dict) -> str:
    return f"{_number(row['value'])} ± {_number(row['fold_sd'])}"


def _change(row: dict) -> str:
    bounds = f"{_number(row['low'], '+')} to {_number(row['high'], '+')}"
    return f"{_number(row['value'], '+')} ({bounds}), {row['better']}/{row['folds']}"


if __name__ == "__main__":
    main(sys.argv[1])
