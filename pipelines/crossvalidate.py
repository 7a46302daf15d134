"""Every stay predicted by models that never saw it: all folds trained, pooled, with paired intervals.

  clinical-lstm crossvalidate experiment=sepsis_2019 source.root=FOLDER seeds=[1,2,3] blend=[gradient_boosting]
  clinical-lstm crossvalidate experiment=sepsis_2019 source.root=FOLDER folds=[split.site=A,split.site=B]
                                                 trained without a hospital, tested on it
  clinical-lstm crossvalidate experiment=sepsis_2019 source.root=FOLDER evaluation.split=val
                                                 to choose settings; test is for the result

For every fold: prepare, one training per seed, their average where there are several (`ensemble`), the baselines and,
with `blend`, the mean of their logits and the model's: each is what the single stage would write. What is there is not
made again, and an interrupted training goes on at its last epoch when the same command is started again.
A fold is a unit of its own: calibrators see its calib patients, thresholds and alarms its val patients, and nothing of
its test patients is scored before all of them stand, in every fold.
Writes crossvalidation.parquet, .csv and .json, and timing.json, into artifacts/crossvalidations/NAME or `out`: all test
stays pooled, the mean and sd of the folds, sites, and the differences from gradient boosting (without it: from the
first baseline that learns) and from the single model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from omegaconf import DictConfig

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Directory, Run, digest
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.differences import require_same_rows
from clinical_lstm.evaluation.out_of_fold import pooled
from clinical_lstm.evaluation.pooling import Samples, sample_folds
from clinical_lstm.inference import ready_threads
from pipelines import crossvalidation, ensemble, judging, places, prepare, stage, train
from pipelines.crossvalidation import FILES, Fold
from pipelines.tracking import Tracker

KEYS = [
    "source",
    "complication",
    "task",
    "split",
    "folds",
    "cohort",
    "model",
    "trainer",
    "seeds",
    "baseline",
    "blend",
    "evaluation",
    "alarm",
    "seed",
    "out",
    "tracking",
]


def main(config: DictConfig) -> Directory:
    """Make every fold, judge its predictors on all test stays, write and print the table."""
    ready_threads(config.runtime.threads)
    jobs, seeds, split = places.folds_of(config), judging.seeds_of(config), judging.split_of(config)
    judging.require_blend(config)
    started = time.perf_counter()

    def say(what: str) -> None:
        minutes, seconds = divmod(int(time.perf_counter() - started), 60)
        print(f"crossvalidate: {what} [{minutes}:{seconds:02} min]", flush=True)

    titles = {name: f"fold {number}/{len(jobs)} {name}" for number, name in enumerate(jobs, 1)}
    cohorts = _cohorts(jobs, split, lambda name: say(f"{titles[name]}: prepare"))
    folds = {name: _fold(job, seeds, cohorts[name], titles[name], say) for name, job in jobs.items()}
    asked = {"seeds": seeds, "blend": places.plain(config.blend), "seed": config.seed}
    asked |= {name: places.plain(config[name]) for name in ("evaluation", "alarm")}
    key = digest([{name: fold.hashes() for name, fold in folds.items()}, asked])
    name = f"{Path(places.folds_name(config)).name}-{key[:6]}"
    place = Directory(config.out or Path(config.paths.artifacts) / "crossvalidations" / name)
    if place.is_done("crossvalidate", key):
        print(f"crossvalidate: {place.path} is up to date")
    else:
        samples = _judge(folds, config, say)
        references = [*_learnt(config)[:1], f"model seed {seeds[0]}"]
        crossvalidation.write(place, folds, samples, references, asked | {"split": split, "git_commit": train.commit()})
        place.mark("crossvalidate", key, FILES, split=split)
    _track(place, config, key)
    crossvalidation.show(place, folds)
    say(f"wrote {place.path}")
    return place


def _cohorts(jobs: Mapping[str, DictConfig], split: str, say: Callable[[str], None]) -> dict[str, Cohort]:
    """Return the cohort of every fold, prepared unless it is there; raises InputError where two test the same stays."""
    made: dict[str, Cohort] = {}
    seen: dict[tuple[str, ...], str] = {}
    for name, job in jobs.items():
        say(name)
        made[name] = prepare.main(job)
        stays = tuple(made[name].table("stays.parquet").filter(split=split)["stay_id"].sort())
        if seen.setdefault(stays, name) != name:
            raise InputError(f"{seen[stays]} and {name} have the same {len(stays):,} {split} stays: they are one fold")
    return made


def _fold(job: DictConfig, seeds: list[int], cohort: Cohort, title: str, say: Callable[[str], None]) -> Fold:
    """Return the predictors of a fold, each made unless it is there."""
    made: dict[str, Directory] = {}
    for seed in seeds:
        say(f"{title}: train seed {seed}")
        made[f"model seed {seed}"] = run = train.continued(job, seed, cohort)
    if len(seeds) > 1:
        say(f"{title}: ensemble of {len(seeds)}")
        average = job.copy()
        average.run, average.runs = None, [one.name for one in made.values()]
        made["ensemble"] = run = ensemble.main(average)
    training = run.verify()["training"]
    baselines: dict[str, Directory] = {}
    for name in judging.chosen(job):
        say(f"{title}: baseline {name}")
        baselines[name] = judging.baseline_of(job, cohort, training, name)
    say(f"{title}: predict")
    for one in made.values():
        judging.predictions_of(Run(one.path), cohort)
    return Fold(cohort, made | judging.blend_of(job, cohort, run, baselines, training) | baselines)


def _judge(folds: Mapping[str, Fold], config: DictConfig, say: Callable[[str], None]) -> dict[str, Samples]:
    """Return the resampled scores of every predictor on the test rows of all folds, the same rows for each."""
    first = next(iter(folds.values()))
    protocol = judging.protocol(config, Task.of(first.cohort.json("manifest.json")["task"]))
    alarm, samples, rows = judging.budget(config), {}, None
    for name in first.predictors:
        say(f"scoring {name} ({protocol.replicates} bootstrap replicates)")
        each = {at: judging.judged(fold.predictors[name], fold.cohort, alarm) for at, fold in folds.items()}
        table = pooled({at: one.table for at, one in each.items()}, protocol.split, name)
        rows = table if rows is None else rows
        require_same_rows(rows, table, (next(iter(first.predictors)), name))
        samples[name] = sample_folds(table, {at: one.operation for at, one in each.items()}, name, protocol)
    return samples


def _learnt(config: DictConfig) -> list[str]:
    """Return the baselines that learn: gradient boosting first, what knows the hour alone last."""
    learnt = [name for name in judging.chosen(config) if plugins.load("baselines", name).learns]  # type: ignore[attr-defined]
    return sorted(learnt, key=lambda name: (name != "gradient_boosting", name == "elapsed_time"))


def _track(place: Directory, config: DictConfig, key: str) -> None:
    """Log to MLflow, unless that has been done."""
    if place.is_done("track", key):
        return
    again = "the same clinical-lstm crossvalidate command"
    tracker = Tracker(places.plain(config.tracking), config.paths.artifacts, place, again)
    tracker.begin(resume=False)
    if tracker.compare(*crossvalidation.tracked(place)):
        place.mark("track", key, [])


if __name__ == "__main__":
    sys.exit(stage.launch("crossvalidate", sys.argv[1:]))
