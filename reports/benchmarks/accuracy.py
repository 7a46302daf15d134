"""The result table of a run, as Markdown: `python reports/benchmarks/accuracy.py artifacts/runs/RUN [SUBSET]`."""

from __future__ import annotations

import sys

import polars as pl
from machine import describe

from clinical_lstm.artifacts import Run

METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "utility_cinc2019": "utility",
    "utility_pre_onset": "utility before onset",
    "calibration_slope": "calibration slope",
    "brier": "Brier",
}


def main(folder: str, subset: str = "all") -> None:
    """Print every predictor, and the model's paired differences, with 95 % intervals."""
    run = Run(folder)
    manifest, marker = run.verify(), run.require("evaluate", "clinical-lstm evaluate")
    scores = run.table("scores.parquet").filter(pl.col("subset") == subset)
    first = scores.row(0, named=True)
    print(
        f"{run.name}: {manifest['parameters']:,} parameters, seed {manifest['seed']}, {marker['split']}, {subset}: "
        f"{first['n_stays']:,} stays, {first['n_rows']:,} rows, {first['n_positives']:,} positive "
        f"({first['n_positives'] / first['n_rows']:.2%}); {describe()}\n"
    )
    print(f"| predictor | {' | '.join(METRICS.values())} |\n|---|{'---|' * len(METRICS)}")
    for name in scores["predictor"].unique(maintain_order=True):
        own = {row["metric"]: row for row in scores.filter(pl.col("predictor") == name).iter_rows(named=True)}
        cells = [_cell(own.get(metric)) for metric in METRICS]
        label = manifest["model"]["name"] if name == "model" else name.replace("model", manifest["model"]["name"])
        print(f"| {label} | {' | '.join(cells)} |")


def _cell(row: dict | None) -> str:
    if row is None or row["value"] is None:
        return ""
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


if __name__ == "__main__":
    main(*sys.argv[1:])
