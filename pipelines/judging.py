"""What the stages judge: predictions of runs, baselines and their blends, and how each is operated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from omegaconf import DictConfig

from clinical_lstm import plugins, schemas
from clinical_lstm.artifacts import Cohort, Directory, Run, digest, write_table
from clinical_lstm.batch import Ragged
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError, closest
from clinical_lstm.evaluation import Judged, Protocol
from clinical_lstm.evaluation.operation import AlarmBudget, operations
from clinical_lstm.inference import Predictor, predictions_table
from clinical_lstm.training.baseline import baseline, thresholds_of
from clinical_lstm.training.blend import blend
from pipelines import places


def seeds_of(config: DictConfig) -> list[int]:
    """Return the seeds that `seeds` names; raises InputError where there is none, or one stands twice."""
    seeds = [int(seed) for seed in config.seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds={seeds}: name at least one seed, each once")
    return seeds


def split_of(config: DictConfig) -> str:
    """Return the split whose rows count; raises InputError on one that no predictor predicts."""
    name = str(config.evaluation.split)
    if name not in schemas.SPLITS[1:]:
        raise InputError(f"evaluation.split={name}: {closest(name, schemas.SPLITS[1:])}")
    return name


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


def chosen(config: DictConfig) -> list[str]:
    """Return the baselines to be judged; raises InputError on settings of one that does not exist.

    An experiment may set, and a teacher borrow from, a baseline that `baseline=[...]` leaves out: it has no name then.
    """
    known = plugins.names("baselines")
    for key, settings in config.baseline.items():
        if "name" not in settings and key not in known:
            raise InputError(f"there is no baseline {key!r}: {closest(str(key), known)}")
    return [str(key) for key, settings in config.baseline.items() if "name" in settings]


def baselines_of(config: DictConfig, cohort: Cohort, training: dict[str, Any], stage: str) -> dict[str, Directory]:
    """Return the directories of the baselines, trained as the run was, unless they are there; `stage` says so."""
    made = {}
    for name in chosen(config):
        print(f"{stage}: baseline {name}", flush=True)
        made[name] = baseline_of(config, cohort, training, name)
    return made


def baseline_of(config: DictConfig, cohort: Cohort, training: Mapping[str, Any], name: str) -> Directory:
    """Return the directory of one baseline, trained as the run was, unless it is there."""
    settings = (training["weighting"], training["calibration"], training["threshold"])
    return baseline(cohort, places.plain(config.baseline[name]), *settings, config.seed)


def require_blend(config: DictConfig) -> None:
    """Raise InputError where `blend` names what is no baseline of this configuration, or one twice."""
    names, known = [str(name) for name in config.blend], chosen(config)
    for name in names:
        if name not in known:
            raise InputError(f"blend: {name!r} is no baseline of this run: {closest(name, known)}; see baseline=[...]")
    if len(set(names)) < len(names):
        raise InputError(f"blend=[{', '.join(names)}]: name each baseline once")


def blend_of(
    config: DictConfig, cohort: Cohort, run: Run, baselines: Mapping[str, Directory], training: Mapping[str, Any]
) -> dict[str, Directory]:
    """Return the blend of a run with the baselines that `blend` lists, in its folder `blend`; none where empty."""
    require_blend(config)
    if not config.blend:
        return {}
    predictions_of(run, cohort)
    members = {"model": run, **{str(name): baselines[str(name)] for name in config.blend}}
    return {"blend": blend(members, run.path / "blend", training["calibration"], training["threshold"])}


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
