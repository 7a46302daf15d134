"""The trials of a search: how one is trained and judged, and what all of them leave on disk, in MLflow and in print."""

from __future__ import annotations

import csv
import io
import math
import shutil
import time
from collections import Counter
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from clinical_lstm.artifacts import Cohort, Directory, Run, atomic_file, digest, write_json
from clinical_lstm.errors import InputError
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.train import versions
from pipelines import places, train
from pipelines.study import STATES, Pruned, Study

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

TABLE, FACTS, BEST = "trials.csv", "sweep.json", "experiment/best.yaml"
MLFLOW = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def search(study: Study, base: DictConfig, cohort: Cohort, place: Directory) -> None:
    """Make the trials that are missing, a line each; keep the table and the best runs up to date."""
    space = study.space
    there = len(study.trials)
    print(f"sweep: {place.path}, {there} of {space.trials} trials are there; judged on val, test is not looked at")
    if study.ranking:
        _tidy(study, place)
    for number in range(there + 1, space.trials + 1):
        started = time.perf_counter()

        def score(trial: Trial, number: int = number, started: float = started) -> float:
            try:
                return _score(trial, number, space.metric, base, space.seeds, cohort, place)
            finally:
                trial.set_user_attr("seconds", round(time.perf_counter() - started, 2))

        try:
            trial = study.attempt(score)
        finally:
            _tidy(study, place)
        _write_table(study, place)
        print(_line(study, number, trial), flush=True)


def _score(
    trial: Trial, number: int, metric: str, base: DictConfig, seeds: list[int], cohort: Cohort, place: Directory
) -> float:
    """Return the mean score of one trial over its seeds, once its first seed has not been given up."""
    trial.set_user_attr("commit", train.commit())
    job = base.copy()
    for key, value in trial.params.items():
        OmegaConf.update(job, key, value, force_add=True)
    settings = TrainerSettings.of(places.plain(job.trainer))

    def watch(row: dict[str, float]) -> None:
        if not math.isfinite(row["val_loss"] + row[metric]):
            raise InputError(f"the training diverged: {metric} is {row[metric]} in epoch {int(row['epoch']) + 1}")
        if job.seed != seeds[0]:
            return
        trial.report(row[metric], int(row["epoch"]))
        last = len(seeds) == 1 and row["epoch"] + 1 == settings.epochs  # nothing is left to save
        if not last and trial.should_prune():
            raise Pruned

    scores, epochs = [], []
    for seed in seeds:
        job.seed = seed
        run = Run(place.path / "runs" / f"{_folder(number)}-s{seed}")
        with np.errstate(invalid="ignore"):  # `watch` says so where a training diverges
            train.trained(job, settings, cohort, run, say=lambda line: None, on_epoch=watch)
        best = run.json("manifest.json")["best_epoch"]
        scores.append(_history(run)[best - 1][metric])
        epochs.append(best)
    trial.set_user_attr("scores", scores)
    trial.set_user_attr("epochs", epochs)
    return sum(scores) / len(scores)


def write(study: Study, base: DictConfig, cohort: Cohort, place: Directory, key: str) -> list[str]:
    """Write trials.csv, sweep.json and best.yaml and return their names; raises InputError where no trial succeeded."""
    _write_table(study, place)
    space, trials = study.space, study.trials
    if not study.ranking:
        told = next((trial.user_attrs["message"] for trial in trials if "message" in trial.user_attrs), "all pruned")
        raise InputError(f"none of {len(trials)} trials succeeded, see {place.path / TABLE}; the first: {told}")
    number, best = study.ranking[0]
    _write_best(study, base, cohort, place)
    facts = {
        "name": space.name,
        "key": key,
        "cohort": cohort.name,
        "cohort_outputs": digest(cohort.require("prepare", "clinical-lstm prepare")["outputs"]),
        "objective": {"metric": space.metric, "direction": space.direction, "split": "val"},
        "seeds": space.seeds,
        "sampler": space.sampler,
        "pruner": space.pruner,
        "space": space.searched,
        "shared": {name: places.plain(base[name]) for name in ("model", "trainer")},
        "states": Counter(STATES[trial.state] for trial in trials),
        "best": {"trial": number, "score": best.value, **best.user_attrs, "values": best.params},
        "commits": sorted({str(trial.user_attrs.get("commit")) for trial in trials}),
        "versions": versions() | {"optuna": metadata.version("optuna")},
        "machine_seconds": round(sum(trial.user_attrs.get("seconds", 0.0) for trial in trials), 1),
    }
    write_json(place.path / FACTS, facts)
    return [TABLE, FACTS, BEST]


def tracked(study: Study, cohort: Cohort, files: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]], Any, Any]:
    """Return what MLflow is told: parameters, a child per trial, files and metrics."""
    space, children = study.space, []
    for number, trial in enumerate(study.trials, 1):
        state = STATES[trial.state]
        params = {**trial.params, "state": state, "message": trial.user_attrs.get("message", "")[:500]}
        metrics = {space.metric: trial.value if state == "complete" else None}
        children.append({"name": _folder(number), "params": params, "metrics": metrics, "status": MLFLOW[state]})
    rules = {"cohort": cohort.name, "sweep": space.name, "model": space.model, "metric": space.metric, "split": "val"}
    return rules, children, files, {f"best_{space.metric}": study.ranking[0][1].value, "trials": len(children)}


def show(study: Study, cohort: Cohort, place: Directory) -> None:
    """Print what came of the trials, and how to go on from the best."""
    number, best = study.ranking[0]
    states = Counter(STATES[trial.state] for trial in study.trials)
    counts = ", ".join(f"{states[state]} {state}" for state in STATES.values() if states[state])
    print(f"sweep: {counts}; best is trial {number}, {study.space.metric} {best.value:.4f} on val: {_values(best)}")
    print(
        f"sweep: wrote {place.path}; next: clinical-lstm train cohort={cohort.name} experiment={place.path / BEST}, "
        "then evaluate: the best of many looks better on val than it is"
    )


def _write_best(study: Study, base: DictConfig, cohort: Cohort, place: Directory) -> None:
    """Write the settings of the best trial as an experiment: all of model and trainer, so that nothing else decides."""
    number, best = study.ranking[0]
    job = base.copy()
    for key, value in best.params.items():
        OmegaConf.update(job, key, value, force_add=True)
    settings = {
        "defaults": [{"override /model": study.space.model}],
        "model": places.plain(job.model),
        "trainer": places.plain(job.trainer),
        "seed": study.space.seeds[0],
    }
    told = (
        f"Trial {number} of {len(study.trials)} of the search {place.name}: {study.space.metric} {best.value} on val."
    )
    use = f"clinical-lstm train cohort={cohort.name} experiment={place.path / BEST}"
    with atomic_file(place.path / BEST) as partial:
        partial.write_text(f"# @package _global_\n# {told}\n#   {use}\n{OmegaConf.to_yaml(OmegaConf.create(settings))}")


def _write_table(study: Study, place: Directory) -> None:
    """Write trials.csv: number, state, score, the score and epoch of every seed, the values; nothing of the clock."""
    seeds, names = study.space.seeds, sorted(study.space.searched)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    own = [f"{what}_seed_{seed}" for what in (study.space.metric, "epoch") for seed in seeds]
    writer.writerow(["trial", "state", study.space.metric, *own, "epochs_seen", *names, "message"])
    for number, trial in enumerate(study.trials, 1):
        nothing = [""] * len(seeds)
        state, told = STATES[trial.state], trial.user_attrs
        cells = [trial.value if state == "complete" else "", *told.get("scores", nothing), *told.get("epochs", nothing)]
        values = [trial.params.get(name, "") for name in names]
        writer.writerow([number, state, *cells, len(trial.intermediate_values), *values, told.get("message", "")])
    with atomic_file(place.path / TABLE) as partial:
        partial.write_text(stream.getvalue(), encoding="utf-8")


def _tidy(study: Study, place: Directory) -> None:
    """Delete all runs but those of the best trials, unfinished ones too."""
    kept = {_folder(number) for number, _ in study.ranking[: study.space.keep]}
    for path in (place.path / "runs").glob("trial-*"):
        if path.name.rpartition("-s")[0] not in kept:
            shutil.rmtree(path)


def _folder(number: int) -> str:
    return f"trial-{number:03d}"


def _history(run: Run) -> list[dict[str, float]]:
    with (run.path / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def _line(study: Study, number: int, trial: FrozenTrial) -> str:
    """Return what the terminal shows of a trial: number, values, score, best so far, time left."""
    space, state = study.space, STATES[trial.state]
    if state == "complete":
        said = f"{space.metric} {trial.value:.4f}"
    elif state == "pruned":
        step = max(trial.intermediate_values)
        said = f"pruned at epoch {step + 1} ({space.metric} {trial.intermediate_values[step]:.4f})"
    else:
        said = f"failed: {trial.user_attrs['message']}"
    best = f"  best {study.ranking[0][1].value:.4f} (trial {study.ranking[0][0]})" if study.ranking else ""
    spent = [one.user_attrs.get("seconds", 0.0) for one in study.trials]
    left = sum(spent) / len(spent) * (space.trials - number)
    rest = f"  {_duration(left)} left" if number < space.trials else ""
    return f"sweep: trial {number}/{space.trials}  {_values(trial)}  {said}{best}{rest}"


def _values(trial: FrozenTrial) -> str:
    """Return the values of a trial, each with the last part of its key."""
    return "  ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in sorted(trial.params.items()))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
