"""How long one more hour of a ward takes: measurements in, calibrated risks and alarms out, for every model.

    python reports/benchmarks/streaming.py [steps=500] [patients=512] [variables=37] [hidden=128]

One CPU thread. In every hour a fifth of the variables of every patient is observed, one call each; then one call closes
the step of all patients. Once for a single patient, once for many. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import sys

import numpy as np
from machine import describe
from work import STATICS, TARGET, models, options

from clinical_lstm.batch import Scaler
from clinical_lstm.calibration import Calibrator
from clinical_lstm.data.task import Task
from clinical_lstm.inference import Predictor
from clinical_lstm.metrics.alarms import Policy
from clinical_lstm.streaming import Ward
from clinical_lstm.streaming.latency import step_seconds
from clinical_lstm.variables import dynamic_names, static_names, vocabulary

DEFAULTS = {"steps": 500, "patients": 512, "variables": 37, "hidden": 128}
TASK = Task("benchmark", [name for name, _ in TARGET], [horizon for _, horizon in TARGET])


def main(*given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    scaler = made_up(option["variables"])
    crowd = option["patients"]
    print(f"{describe()}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
    heads = ["1 patient, ms: median (95 %)", f"{crowd} patients, ms: median (95 %)", "of which observe", "patients/s"]
    print(f"\n| model | {' | '.join(heads)} | KiB a patient |\n|{'---|' * (len(heads) + 2)}")
    for name, model in models(option["variables"], option["hidden"]):
        if not model.causal:
            continue  # it has no stream
        predictor = Predictor(model.eval(), scaler, TARGET, [Calibrator("platt")])
        ward = Ward(predictor, TASK, {TARGET[0]: Policy(0.5, silence_hours=6.0)})
        cells, parts = [], np.zeros(2)
        for patients in (1, crowd):
            seconds = step_seconds(ward, patients, option["steps"])
            middle, high = np.quantile(seconds.sum(axis=1), [0.5, 0.95])
            cells.append(f"{1e3 * middle:.2f} ({1e3 * high:.2f})")
            parts = np.median(seconds, axis=0)
        cells += [f"{1e3 * parts[0]:.2f}", f"{crowd / parts.sum():,.0f}", f"{ward.bytes_each / 1024:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def made_up(variables: int) -> Scaler:
    """Return a scaler of the first variables of the vocabulary, every second one on a log scale."""
    names, statics = dynamic_names()[:variables], static_names()[:STATICS]
    middle = np.array([(vocabulary()[name].low + vocabulary()[name].high) / 2 for name in [*names, *statics]])
    log = (np.arange(len(middle)) % 2 == 1) & (middle > 0)
    location = np.where(log, np.log1p(np.maximum(middle, 0)), middle)
    return Scaler(names, statics, log, location, np.maximum(np.abs(location), 1.0) / 20)


if __name__ == "__main__":
    main(*sys.argv[1:])
