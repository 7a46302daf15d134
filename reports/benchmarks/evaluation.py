"""How long it takes to judge a run: every metric, subgroup and replicate, beside its baselines.

    python reports/benchmarks/evaluation.py artifacts/runs/RUN artifacts/cohorts/COHORT [replicates=1000]

Judges the predictions of the run and of all baselines that the cohort holds, as `clinical-lstm evaluate` does, on all
cores. The floor of a replicate is one pass over the rows: to weigh each by its patient and to add up. Prints Markdown.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import sys
import time
from pathlib import Path

import numpy as np
from machine import describe
from work import options

from clinical_lstm.artifacts import Cohort, Directory, Run
from clinical_lstm.evaluation import Judged, Protocol, evaluate
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.operation import AlarmBudget, operations
from clinical_lstm.evaluation.rows import rows_of, scored, targets
from clinical_lstm.metrics.bootstrap import draws
from clinical_lstm.training.baseline import thresholds_of

SUBGROUPS = ["site", "sex", "age", "unit", "hours"]


def main(run: str, cohort: str, *given: str) -> None:
    """Measure and print."""
    replicates = options(given, {"replicates": 1000})["replicates"]
    stays = Cohort(cohort).table("stays.parquet")
    made = sorted(path.parent.parent for path in Path(cohort).glob("baselines/*/done/baseline.json"))
    begin = time.perf_counter()
    judged = {"model": _judged(Run(run))} | {path.name: _judged(Directory(path)) for path in made}
    read = time.perf_counter()
    utility = True
    found = evaluate(judged, stays, Protocol(replicates=replicates, utility=utility, subgroups=SUBGROUPS))
    end = time.perf_counter()
    print(f"{describe()}; {len(judged)} predictors, {replicates:,} replicates, {found.scores.height:,} scores")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB\n")
    print("| work | s |\n|---|---|")
    print(f"| read predictions, tune thresholds of alarms on val | {read - begin:.1f} |")
    print(f"| score everything | {end - read:.1f} |")
    _replicates(judged["model"], replicates)


def _judged(place: Directory) -> Judged:
    table = place.table("predictions.parquet")
    return Judged(table, operations(table, thresholds_of(place.path), AlarmBudget(), place.name))


def _replicates(model: Judged, replicates: int) -> None:
    """Print what a replicate of all metrics on all rows costs on one thread, beside its floor."""
    table = scored(model.table, "test", "the run")
    target = targets(table)[0]
    rows = rows_of(table, target)
    measures = Measures(rows, model.operation[target], with_utility=True)
    blocks = [block.astype(np.float64) for block in draws(rows.patients, replicates, seed=0)]
    begin = time.perf_counter()
    for block in blocks:
        measures(block)
    middle = time.perf_counter()
    for block in blocks:
        for column in block.T:
            (column[rows.patient] * rows.risk).sum()
    end = time.perf_counter()
    each, floor = (1e3 * span / replicates for span in (middle - begin, end - middle))
    print(f"\n{len(rows.risk):,} rows, {rows.patients:,} patients, one thread: {len(measures()):,} metrics cost")
    print(f"{each:.2f} ms a replicate; the floor {floor:.2f} ms, ratio {each / floor:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
