"""A run -> how good it is: predictions, scores with intervals, curves, beside the baselines on the same rows.

  clinical-lstm evaluate run=NAME
  clinical-lstm evaluate run=last evaluation.replicates=200 baseline=[elapsed_time]

Writes predictions.parquet, scores.parquet and curves.parquet into the run. Intervals are from a bootstrap of patients.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
from omegaconf import DictConfig

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run, digest, write_table
from clinical_lstm.batch import Ragged
from clinical_lstm.data.task import Task, within
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import evaluate, paired_difference
from clinical_lstm.inference import Predictor, predictions_table, ready_threads
from clinical_lstm.training.baseline import baseline, thresholds_of
from pipelines import places, stage
from pipelines.tracking import Tracker

KEYS = ["run", "cohort", "baseline", "evaluation", "seed", "tracking"]
SHOWN = ["auroc", "auprc", "utility_cinc2019", "utility_pre_onset", "calibration_slope"]


def main(config: DictConfig) -> Run:
    """Judge a run on the split that `evaluation.split` names."""
    ready_threads(config.runtime.threads)
    run = places.existing_run(config)
    manifest = run.verify()
    cohort = cohort_behind(config, manifest)
    baselines, evaluation = places.plain(config.baseline), places.plain(config.evaluation)
    key = digest([(run.marker("train") or {}).get("outputs"), baselines, evaluation, config.seed])
    if run.is_done("evaluate", key):
        print(f"evaluate: {run.path} is up to date")
        _summarise(run, evaluation["split"])
        return run
    task = Task.of(manifest["task"])
    tables = {"model": (predict_judged(run, cohort), thresholds_of(run.path))}
    write_table(run.path / "predictions.parquet", tables["model"][0])
    training = manifest["training"]
    for name, spec in baselines.items():
        print(f"evaluate: baseline {name}")
        made = baseline(
            cohort, spec, training["weighting"], training["calibration"], training["threshold"], config.seed
        )
        tables[name] = (made.table("predictions.parquet"), thresholds_of(made.path))
    _score(run, tables, task, evaluation, config.seed)
    run.mark("evaluate", key, ["predictions.parquet", "scores.parquet", "curves.parquet"], split=evaluation["split"])
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish()
    _summarise(run, evaluation["split"])
    print(f"evaluate: wrote {run.path}; next: clinical-lstm explain run={run.name}")
    return run


def cohort_behind(config: DictConfig, manifest: dict) -> Cohort:
    """Return the cohort a run was trained on; raises InputError when it has been made anew from other data since."""
    cohort = places.named_cohort(config, config.cohort or manifest["cohort"])
    cohort.verify()
    outputs = (cohort.marker("prepare") or {}).get("outputs")
    if digest(outputs) != manifest["cohort_outputs"]:
        raise InputError(
            f"{cohort.path} is not what run {manifest['name']} was trained on, or was prepared anew; train again"
        )
    return cohort


def predict_judged(run: Run, cohort: Cohort) -> pl.DataFrame:
    """Return the predictions for all stays outside the train split."""
    stays, labels = cohort.table("stays.parquet"), cohort.table("labels")
    tensors = Ragged.load(cohort.path / "tensors")
    judged = (stays["split"] != "train").to_numpy()
    risks = Predictor.load(run).risks(tensors, np.flatnonzero(judged), cohort.array("asked.npy"))
    rows = np.repeat(judged, tensors.lengths) & cohort.array("asked.npy")
    of_judged = labels["stay_id"].is_in(stays.filter(judged)["stay_id"].to_list())
    table = predictions_table(labels.filter(of_judged), stays, risks[rows])
    return schemas.check(schemas.Predictions, table, "predictions")


def _score(run: Run, tables: dict, task: Task, evaluation: dict, seed: int) -> None:
    """Write the scores and curves of the model and the baselines, and the paired differences between them."""
    utility = task.after_onset_hours is not None  # the task counts rows as the official score does
    common = {"replicates": evaluation["replicates"], "seed": seed, "split": evaluation["split"], "utility": utility}
    scores, curves = [], []
    for name, (table, thresholds) in tables.items():
        print(f"evaluate: scoring {name} ({evaluation['replicates']} bootstrap replicates)")
        found, lines = evaluate(table, name, thresholds, **common)
        scores.append(found)
        curves.append(lines)
    model, cut = tables.pop("model")
    for name, (table, thresholds) in tables.items():
        scores.append(paired_difference(model, table, ("model", name), (cut, thresholds), **common))
    write_table(run.path / "scores.parquet", pl.concat(scores))
    write_table(run.path / "curves.parquet", pl.concat(curves))


def _summarise(run: Run, split: str) -> None:
    """Print the numbers that matter, with intervals: one table per target, one line per predictor."""
    scores = run.table("scores.parquet").filter(pl.col("subset") == "all")
    for (complication, horizon), own in scores.group_by("complication", "horizon_hours", maintain_order=True):
        counts = own.row(0, named=True)
        prevalence = counts["n_positives"] / max(counts["n_rows"], 1)
        print(f"\n{complication} {within(horizon)}, {split} split: {counts['n_stays']:,} stays, "
              f"{counts['n_rows']:,} rows, prevalence {prevalence:.2%}; 95 % intervals by patient")  # fmt: skip
        metrics = [metric for metric in SHOWN if metric in own["metric"].to_list()]
        print(f"{'':28}" + "".join(f"{metric:26}" for metric in metrics))
        for name in own["predictor"].unique(maintain_order=True):
            found = {row["metric"]: row for row in own.filter(pl.col("predictor") == name).iter_rows(named=True)}
            print(f"{name:28}" + "".join(f"{_cell(found.get(metric)):26}" for metric in metrics))
    print()


def _cell(row: dict | None) -> str:
    if row is None:
        return ""
    bounds = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
    return "undefined" if row["value"] is None else f"{row['value']:.3f}{bounds}"


if __name__ == "__main__":
    sys.exit(stage.launch("evaluate", sys.argv[1:]))
