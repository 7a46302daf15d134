"""How long it takes to score alarms: one policy, the curve over all thresholds, a budget, and their bootstrap.

    python reports/benchmarks/alarms.py [stays=10000] [silence=6] [thresholds=200] [replicates=1000]

Hourly rows of random stays (median about 35 h, one in fifty up to 300 h), 8 % of them with an event. The floor is one
pass over the rows per threshold: comparing and counting. One CPU thread. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import describe
from work import options

from clinical_lstm.metrics.alarms import AlarmCurve, AlarmMeasures, Course, Policy, raised, tune

DEFAULTS = {"stays": 10_000, "silence": 6, "thresholds": 200, "replicates": 1000}
RUNS, HORIZON = 3, 6.0


def main(*given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    rows = made_up(option["stays"])
    course, silence, policy = Course(**rows), float(option["silence"]), Policy(0.3, float(option["silence"]))
    tried = np.quantile(rows["risk"], np.linspace(0, 1, option["thresholds"]))
    random = np.random.default_rng(1)
    counts = random.poisson(1.0, (course.patients, option["replicates"])).astype(np.float64)
    measures, curve = AlarmMeasures(course, policy), AlarmCurve(course, silence)
    every, seen = option["thresholds"], f"{option['replicates']:,} replicates"
    work: dict[str, Callable[[], Any]] = {
        f"floor: compare and count, {every} thresholds": lambda: [np.count_nonzero(rows["risk"] >= t) for t in tried],
        "alarms of one policy": lambda: raised(rows["stay"], rows["hours"], rows["risk"], policy),
        "rows checked, events and time counted": lambda: Course(**rows),
        "one policy scored": lambda: AlarmMeasures(course, policy),
        f"one policy, {seen}": lambda: measures(counts),
        f"curve, {every} quantiles of the risk": lambda: AlarmCurve(course, silence, thresholds=tried),
        f"curve, {len(curve.thresholds)} thresholds of its own": lambda: AlarmCurve(course, silence),
        f"area of the curve, {seen}": lambda: curve.area(counts),
        "policy for 1 false alarm per patient-day": lambda: tune(course, 1.0, silence),
    }
    print(f"{describe()}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
    print(f"{len(rows['stay']):,} rows, {len(course.event_onset):,} events; one thread; median of {RUNS} runs\n")
    print("| work | s |\n|---|---|")
    for label, call in work.items():
        print(f"| {label} | {seconds(call):.3f} |", flush=True)


def made_up(stays: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the columns of a `Course`: random walks of the risk that rise before an event, which ends the stay."""
    random = np.random.default_rng(seed)
    lengths = np.where(random.random(stays) < 0.02, random.integers(100, 301, stays), random.integers(8, 64, stays))
    stay = np.repeat(np.arange(stays), lengths)
    hours = np.arange(len(stay)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1.0
    onset = np.repeat(np.where(random.random(stays) < 0.08, lengths + 0.5, np.nan), lengths)
    label = (onset - hours <= HORIZON).astype(int)  # a comparison with NaN is false: no event, no positive row
    own = np.repeat(random.normal(size=stays), lengths)
    logit = own + random.normal(size=len(stay)) + 1.5 * label - 3
    return {"stay": stay, "hours": hours, "risk": 1 / (1 + np.exp(-logit)), "label": label, "onset": onset}


def seconds(call: Callable[[], Any]) -> float:
    """Return the median time of a call, after one to warm up."""
    call()
    taken = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
