"""What `evaluate`, `compare` and `transport` judge: predictions of runs and baselines, and how each is operated."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from omegaconf import DictConfig

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Directory, Run, digest, write_table
from clinical_lstm.batch import Ragged
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import Judged, Protocol
from clinical_lstm.evaluation.operation import AlarmBudget, operations
from clinical_lstm.inference import Predictor, predictions_table
from clinical_lstm.training.baseline import baseline, thresholds_of
from pipelines import places


def cohort_behind(config: DictConfig, manifest: dict[str, Any]) -> Cohort:
    """Return the cohort a run was trained on; raises InputError when it has been made anew from other data since."""
    cohort = places.named_cohort(config, config.cohort or manifest["cohort"])
    cohort.verify()
    outputs = (cohort.marker("prepare") or {}).get("outputs")
    if digest(outputs) != manifest["cohort_outputs"]:
        raise InputError(
            f"{cohort.path} is not what run {manifest['name']} was trained on, or was prepared anew; train again"
        )
    return cohort


def predictions_of(run: Run, cohort: Cohort) -> pl.DataFrame:
    """Return the predictions for all stays outside the train split, made unless they are there."""
    key = digest((run.marker("train") or {}).get("outputs"))
    if not run.is_done("predictions", key):
        write_table(run.path / "predictions.parquet", _predicted(run, cohort))
        run.mark("predictions", key, ["predictions.parquet"])
    return run.table("predictions.parquet")


def baselines_of(config: DictConfig, cohort: Cohort, training: dict[str, Any], stage: str) -> dict[str, Directory]:
    """Return the directories of the baselines, trained as the run was, unless they are there; `stage` says so."""
    made = {}
    for name, spec in places.plain(config.baseline).items():
        print(f"{stage}: baseline {name}", flush=True)
        settings = (training["weighting"], training["calibration"], training["threshold"])
        made[name] = baseline(cohort, spec, *settings, config.seed)
    return made


def judged(place: Directory, cohort: Cohort, alarm: AlarmBudget) -> Judged:
    """Return a run or a baseline as it is judged: its predictions, its thresholds, its alarms tuned on val."""
    table = predictions_of(place, cohort) if isinstance(place, Run) else place.table("predictions.parquet")
    return Judged(table, operations(table, thresholds_of(place.path), alarm, f"the predictions of {place.name}"))


def budget(config: DictConfig) -> AlarmBudget:
    """Return what `alarm` says."""
    return AlarmBudget(**places.plain(config.alarm))


def protocol(config: DictConfig, task: Task) -> Protocol:
    """Return how to judge: the official utility where the task counts rows as that score does."""
    given = places.plain(config.evaluation)
    return Protocol(**given, seed=config.seed, utility=task.after_onset_hours is not None)


def _predicted(run: Run, cohort: Cohort) -> pl.DataFrame:
    stays, labels = cohort.table("stays.parquet"), cohort.table("labels")
    tensors = Ragged.load(cohort.path / "tensors")
    chosen = (stays["split"] != "train").to_numpy()
    risks = Predictor.load(run).risks(tensors, np.flatnonzero(chosen), cohort.array("asked.npy"))
    rows = np.repeat(chosen, tensors.lengths) & cohort.array("asked.npy")
    own = labels["stay_id"].is_in(stays.filter(chosen)["stay_id"].to_list())
    table = predictions_table(labels.filter(own), stays, risks[rows])
    return schemas.check(schemas.Predictions, table, "predictions")
