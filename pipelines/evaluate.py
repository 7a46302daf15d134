"""A run -> how good it is: scores with intervals, subgroups, alarms, beside the baselines on the same rows.

  clinical-lstm evaluate run=NAME
  clinical-lstm evaluate run=last evaluation.replicates=200 baseline=[elapsed_time,news2] alarm.budget=0.2
  clinical-lstm evaluate run=NAME blend=[gradient_boosting]     and the mean of their logits, as a row of its own
  clinical-lstm evaluate run=[A,B]                         several runs: paired differences on the same rows
  clinical-lstm evaluate cohort=NAME predictions=FILE      risks of another tool, beside the baselines

Writes predictions, scores, curves, gaps (Parquet), summary.json and alarms.json, the alarm policy that `predict` uses,
into the run; of several runs, or of a file, into artifacts/comparisons or `out`. FILE (.parquet, .csv) has stay_id,
hours, complication, horizon_hours and risk for the val and test rows of the cohort. Intervals: patients resampled.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from clinical_lstm.artifacts import Cohort, Directory, Run, digest, write_json, write_table
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Evaluated, Judged, evaluate
from clinical_lstm.evaluation.foreign import foreign_predictions
from clinical_lstm.evaluation.operation import operations, record
from clinical_lstm.evaluation.summary import summarise
from clinical_lstm.inference import ready_threads
from clinical_lstm.training.operating import thresholds_of_risks
from pipelines import judging, places, stage, verdict
from pipelines.tracking import Tracker

KEYS = [
    "run",
    "cohort",
    "predictions",
    "baseline",
    "blend",
    "evaluation",
    "alarm",
    "trainer",
    "seed",
    "out",
    "tracking",
]
TABLES = ["scores.parquet", "curves.parquet", "gaps.parquet", "summary.json"]


def main(config: DictConfig) -> Directory:
    """Judge a run, several runs side by side, or the risks of another tool."""
    ready_threads(config.runtime.threads)
    if config.predictions:
        return _another_tool(config)
    runs = places.existing_runs(config)
    return _side_by_side(config, runs) if len(runs) > 1 else _one_run(config, runs[0])


def _one_run(config: DictConfig, run: Run) -> Run:
    manifest = run.verify()
    cohort = judging.cohort_behind(config, manifest)
    judging.require_blend(config)
    settings = [places.plain(config[name]) for name in ("baseline", "evaluation", "alarm", "blend")]
    key = digest([(run.marker("train") or {}).get("outputs"), settings, config.seed])
    if run.is_done("evaluate", key):
        print(f"evaluate: {run.path} is up to date")
        verdict.show(run, config.evaluation.split)
        return run
    alarm = judging.budget(config)
    tables = {"model": judging.judged(run, cohort, alarm)}
    made = judging.baselines_of(config, cohort, manifest["training"], "evaluate")
    for name, place in {**judging.blend_of(config, cohort, run, made, manifest["training"]), **made}.items():
        tables[name] = judging.judged(place, cohort, alarm)
    _write(run, tables, cohort, judging.protocol(config, Task.of(manifest["task"])))
    write_json(run.path / "alarms.json", record(tables["model"].operation, alarm))
    run.mark("evaluate", key, ["predictions.parquet", "alarms.json", *TABLES], split=config.evaluation.split)
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish()
    verdict.show(run, config.evaluation.split)
    print(f"evaluate: wrote {run.path}; next: clinical-lstm explain run={run.name}")
    return run


def _side_by_side(config: DictConfig, runs: list[Run]) -> Directory:
    """Judge several runs on identical rows; the first is compared with each other one."""
    alarm = judging.budget(config)
    manifests = {run.name: run.verify() for run in runs}
    cohorts = {run.name: judging.cohort_behind(config, manifests[run.name]) for run in runs}
    tables = {run.name: judging.judged(run, cohorts[run.name], alarm) for run in runs}
    first = runs[0].name
    place = _place(config, f"{first}-beside-{digest([run.name for run in runs[1:]])[:6]}")
    _write(place, tables, cohorts[first], judging.protocol(config, Task.of(manifests[first]["task"])))
    verdict.show(place, config.evaluation.split)
    print(f"evaluate: wrote {place.path}")
    return place


def _another_tool(config: DictConfig) -> Directory:
    """Judge a file of risks for the stays of a cohort, beside the baselines; thresholds are chosen on its val rows."""
    if not config.cohort:
        raise InputError("predictions=FILE are risks for the stays of a cohort: say which, cohort=NAME")
    cohort = places.named_cohort(config, config.cohort)
    task, file = Task.of(cohort.verify()["task"]), Path(config.predictions)
    splits = ["val", config.evaluation.split]
    table = foreign_predictions(file, cohort.table("labels"), cohort.table("stays.parquet"), splits)
    alarm, training = judging.budget(config), places.plain(config.trainer)
    thresholds = thresholds_of_risks(table, training["threshold"])
    tables = {file.stem: Judged(table, operations(table, thresholds, alarm, str(file)))}
    for name, made in judging.baselines_of(config, cohort, training, "evaluate").items():
        tables[name] = judging.judged(made, cohort, alarm)
    place = _place(config, f"{cohort.name}-{file.stem}")
    _write(place, tables, cohort, judging.protocol(config, task))
    verdict.show(place, config.evaluation.split)
    print(f"evaluate: wrote {place.path}")
    return place


def _place(config: DictConfig, name: str) -> Directory:
    return Directory(config.out or Path(config.paths.artifacts) / "comparisons" / name)


def _write(place: Directory, tables: Mapping[str, Judged], cohort: Cohort, protocol: Any) -> None:
    """Judge the predictors and write what was found."""
    print(f"evaluate: scoring {', '.join(tables)} ({protocol.replicates} replicates)", flush=True)
    found: Evaluated = evaluate(tables, cohort.table("stays.parquet"), protocol)
    write_table(place.path / "scores.parquet", found.scores)
    write_table(place.path / "curves.parquet", found.curves)
    write_table(place.path / "gaps.parquet", found.gaps)
    first = next(iter(tables))
    listed = found.scores.select("complication", "horizon_hours").unique(maintain_order=True).rows()
    write_json(
        place.path / "summary.json",
        [
            {"complication": c, "horizon_hours": h, **summarise(found.scores, found.gaps, (c, h), first)._asdict()}
            for c, h in listed
        ],
    )


if __name__ == "__main__":
    sys.exit(stage.launch("evaluate", sys.argv[1:]))
