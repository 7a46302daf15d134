"""How long one more hour of a patient's stream takes: raw observations in, risks out, for every model.

    python reports/benchmarks/streaming.py [steps=500] [patients=512] [variables=37] [hidden=128]

One CPU thread. A step scales what was observed (a fifth of the variables), carries the rest forward and calls
`model.step`. Once for a single patient, once for many patients in one step. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import sys

import numpy as np
from machine import describe
from work import STATICS, models, options

from clinical_lstm.batch import Scaler
from clinical_lstm.evaluation.latency import step_seconds

DEFAULTS = {"steps": 500, "patients": 512, "variables": 37, "hidden": 128}


def main(*given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    scaler = made_up(option["variables"])
    crowd = option["patients"]
    print(f"{describe()}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
    heads = [f"{count} patient{'s' * (count > 1)}, ms: median (95 %)" for count in (1, crowd)]
    print(f"\n| model | {' | '.join(heads)} | patients/s |\n|---|---|---|---|")
    for name, model in models(option["variables"], option["hidden"]):
        if not model.causal:
            continue  # it has no stream
        cells, middle = [], 0.0
        for patients in (1, crowd):
            seconds = step_seconds(model, scaler, patients, option["steps"])
            middle, high = np.quantile(seconds, [0.5, 0.95])
            cells.append(f"{1e3 * middle:.2f} ({1e3 * high:.2f})")
        print(f"| {name} | {' | '.join(cells)} | {crowd / middle:,.0f} |", flush=True)


def made_up(variables: int) -> Scaler:
    """Return the scaler of made-up variables, every second one on a log scale."""
    names, statics = [f"v{n}" for n in range(variables)], [f"s{n}" for n in range(STATICS)]
    count = variables + STATICS
    return Scaler(names, statics, np.arange(count) % 2 == 1, np.full(count, 2.0), np.full(count, 0.3))


if __name__ == "__main__":
    main(*sys.argv[1:])
