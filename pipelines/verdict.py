"""What the terminal shows of an evaluation: the numbers that matter with intervals, then what they say in words."""

from __future__ import annotations

import textwrap
from typing import Any

import polars as pl

from clinical_lstm.artifacts import Directory
from clinical_lstm.data.task import within

SHOWN = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "utility_cinc2019": "utility",
    "utility_pre_onset": "utility pre-onset",
    "event_recall": "events found",
    "false_alarms_per_patient_day": "false alarms/day",
}
WIDTH, CELL = 132, 22
TITLES = {
    "ranking": "Beside the others",
    "calibration": "Calibration",
    "alarms": "Alarms",
    "subgroups": "Subgroups",
    "limits": "What limits it",
}


def show(place: Directory, split: str) -> None:
    """Print a table per target with a line per predictor, then the sentences of its summary."""
    scores = place.table("scores.parquet").filter(pl.col("subset") == "all")
    said = {(one["complication"], one["horizon_hours"]): one for one in place.json("summary.json")}
    for (complication, horizon), own in scores.group_by("complication", "horizon_hours", maintain_order=True):
        _table(own, f"{complication} {within(float(str(horizon)))}, {split} split")
        for name, title in TITLES.items():
            for sentence in said[complication, horizon][name]:
                print(textwrap.fill(f"{title + ':':19}{sentence}", WIDTH, subsequent_indent=" " * 19))
    if split == "val":
        print(
            "Thresholds and alarm policies were chosen on this very split: what hangs on them looks better than it is."
        )
    print()


def _table(own: pl.DataFrame, what: str) -> None:
    counts = own.row(0, named=True)
    prevalence = counts["n_positives"] / max(counts["n_rows"], 1)
    print(
        f"\n{what}: {counts['n_stays']:,} stays, {counts['n_rows']:,} rows, prevalence {prevalence:.2%}; "
        "95 % intervals by patient"
    )
    metrics = [metric for metric in SHOWN if metric in own["metric"].to_list()]
    print(f"{'':22}" + "".join(f"{SHOWN[metric]:{CELL}}" for metric in metrics))
    for name in own["predictor"].unique(maintain_order=True):
        if " - " not in name:
            found = {row["metric"]: row for row in own.filter(pl.col("predictor") == name).iter_rows(named=True)}
            print(f"{name[:21]:22}" + "".join(f"{_cell(found.get(metric)):{CELL}}" for metric in metrics))


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["value"] is None:
        return "undefined"
    bounds = "" if row["low"] is None else f" ({_short(row['low'])} to {_short(row['high'])})"
    return f"{_short(row['value'])}{bounds}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
