"""A line per target of a run, as Markdown: `python reports/benchmarks/targets.py artifacts/runs/RUN [RIVAL]`.

Prints how the model and a baseline (gradient_boosting) rank, and what a ward would hear of the model; as evaluated.
"""

from __future__ import annotations

import sys

from machine import describe

from clinical_lstm.artifacts import Run

ALARMS = {
    "events": "events",
    "event_recall": "found",
    "alarm_precision": "alarms that are true",
    "lead_time_median": "median lead, h",
    "false_alarms_per_patient_day": "false alarms a patient-day",
    "concordance": "concordance",
}


def main(folder: str, rival: str = "gradient_boosting") -> None:
    """Print both tables."""
    run = Run(folder)
    scores = run.table("scores.parquet").filter(subset="all")
    values = {
        (row["complication"], row["horizon_hours"], row["predictor"], row["metric"]): row
        for row in scores.iter_rows(named=True)
    }
    targets = scores.select("complication", "horizon_hours").unique(maintain_order=True).rows()
    print(f"{run.name}, {describe()}\n")
    heads = [f"{name} {metric}" for metric in ("AUROC", "AUPRC") for name in ("model", "trees", "difference")]
    print(f"| complication | horizon, h | positive | {' | '.join(heads)} |\n|---|---|---|{'---|' * len(heads)}")
    for target in targets:
        row = values[(*target, "model", "auroc")]
        cells = [
            _cell(values.get((*target, who, metric)), sign)
            for metric in ("auroc", "auprc")
            for who, sign in (("model", ""), (rival, ""), (f"model - {rival}", "+"))
        ]
        share = row["n_positives"] / row["n_rows"]
        print(f"| {target[0]} | {target[1]:g} | {share:.1%} | {' | '.join(cells)} |")
    print(f"\n| complication | horizon, h | {' | '.join(ALARMS.values())} |\n|---|---|{'---|' * len(ALARMS)}")
    for target in targets:
        cells = [_cell(values.get((*target, "model", metric))) for metric in ALARMS]
        cells[0] = f"{values[(*target, 'model', 'events')]['value']:.0f}"
        print(f"| {target[0]} | {target[1]:g} | {' | '.join(cells)} |")


def _cell(row: dict | None, sign: str = "") -> str:
    if row is None or row["value"] is None:
        return ""
    digits = 3 if abs(row["value"]) < 1 else 1
    return f"{row['value']:{sign}.{digits}f} ({row['low']:{sign}.{digits}f} to {row['high']:{sign}.{digits}f})"


if __name__ == "__main__":
    main(*sys.argv[1:])
