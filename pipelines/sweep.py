"""A search for better settings: Optuna over a declared space, judged on val, resumed by the same command.

  clinical-lstm sweep cohort=NAME sweep=lstm_small sweep.trials=30
  clinical-lstm sweep cohort=NAME sweep=lstm_small sweep.trials=60            goes on where it stopped
  clinical-lstm sweep experiment=sepsis_2019 sweep=residual_lstm sweep.space.model.hidden=null model.hidden=64
  clinical-lstm sweep cohort=NAME sweep=FOLDER/sweep/MINE.yaml                a space of your own, as in conf/sweep
  clinical-lstm train cohort=NAME experiment=artifacts/sweeps/NAME/experiment/best.yaml

Every trial is a training as by `clinical-lstm train`, and its score the mean over seeds of `objective.metric` in the
epoch whose weights are kept: no stay of test is looked at. The best score of many is better than the same settings
deserve: judge them on test, once. The same seed, cohort and space give the same trials in the same order, however often
the search is stopped. Values that cannot be combined make a failed trial, with its message, and the search goes on.

Writes study.db (Optuna), trials.csv, sweep.json, experiment/best.yaml and the runs of the best trials into
artifacts/sweeps/NAME, or `out`, and an MLflow run with one child per trial.
"""

from __future__ import annotations

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig, OmegaConf

import clinical_lstm
from clinical_lstm.artifacts import Cohort, Directory, digest
from clinical_lstm.errors import InputError
from clinical_lstm.inference import ready_threads
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.train import untrained
from clinical_lstm.training.truncation import proceeds
from pipelines import places, stage, trials
from pipelines.spaces import Space
from pipelines.study import Study
from pipelines.tracking import Tracker

KEYS = ["cohort", "sweep", "model", "trainer", "out", "tracking", "source", "task", "split"]


def main(config: DictConfig) -> Directory:
    """Make the trials that are missing, write what all of them found and print the best."""
    ready_threads(config.runtime.threads)
    if "name" not in config.sweep:
        raise InputError(f"say what to search: sweep=NAME; there are: {', '.join(stage.groups()['sweep'])}")
    space, cohort = Space.of(places.plain(config.sweep), stage.groups()["model"]), places.cohort_of(config)
    manifest, base = cohort.verify(), _base(space)
    dimensions = space.dimensions({key: places.plain(base[key]) for key in ("model", "trainer")})
    _, model = untrained(manifest, places.plain(base.model))
    TrainerSettings.of(places.plain(base.trainer)).refuse_model(places.plain(base.model), model.causal, proceeds(model))
    key = _key(space, base, cohort)
    place = Directory(config.out or Path(config.paths.artifacts) / "sweeps" / f"{cohort.name}-{space.name}-{key[:6]}")
    with _alone(place.path):
        study = Study(place.path, key, space, dimensions)
        trials.search(study, base, cohort, place)
        files = trials.write(study, base, cohort, place, key)
        done = digest([key, len(study.trials)])
        tracker = Tracker(
            places.plain(config.tracking), config.paths.artifacts, place, "the same clinical-lstm sweep command"
        )
        if not place.is_done("track", done) and tracker.compare(*trials.tracked(study, cohort, files)):
            place.mark("track", done, [])
        place.mark("sweep", done, files)
        trials.show(study, cohort, place)
    return place


def _base(space: Space) -> DictConfig:
    """Return the configuration that all trials share: experiment, then `fixed`, then the command line."""
    given = stage.given()
    keys = {override.lstrip("+~").split("=", 1)[0] for override in given}
    if "model" in keys:
        raise InputError(f"the model of a search stands in its file ({space.model}): leave model=... out")
    if clash := sorted(keys & set(space.searched)):
        raise InputError(
            f"{', '.join(clash)} is searched; to give it one value, take it out: sweep.space.{clash[0]}=null"
        )
    base = compose("config", [*given, f"model={space.model}"])
    for key, value in space.fixed.items():
        if key not in keys:
            OmegaConf.update(base, key, value, force_add=True)
    return base


def _key(space: Space, base: DictConfig, cohort: Cohort) -> str:
    """Return the hash of everything that decides a trial; how many there are is no part of it."""
    outputs = (cohort.marker("prepare") or {}).get("outputs")
    rules = [space.searched, space.seeds, space.metric, space.sampler, space.pruner]
    settings = [places.plain(base.model), places.plain(base.trainer)]
    return digest([rules, settings, outputs, clinical_lstm.__version__])


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a search: two in one study would not repeat."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another process searches in {folder}; wait for it, or give another out=FOLDER") from None
        yield


if __name__ == "__main__":
    sys.exit(stage.launch("sweep", sys.argv[1:]))
