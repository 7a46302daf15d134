"""Several models x seeds on one cohort: trained, judged on identical rows, ranked beside the baselines.

  clinical-lstm compare cohort=NAME models=[lstm,gru,residual_lstm] seeds=[1,2,3]
  clinical-lstm compare cohort=NAME models=all trainer.epochs=10 model.hidden=32
  clinical-lstm compare cohort=NAME models=[lstm,gru] evaluation.split=val     to choose a model; test is for the result

Every training is the run that `clinical-lstm train` would write; what is there already is not trained again, and an
interrupted comparison continues when it is started again. `model.KEY=VALUE` reaches every model that takes the key.
Differences are paired and from lstm where it is compared, else from the first model. A model chosen by its test score
looks better than it is: choose on val, where early stopping and the threshold favour the nets over the baselines.
Writes comparison.parquet, .csv and .json into artifacts/comparisons/NAME, or `out`, and the table into every run, whose
report then shows it. `seed`: of baselines, bootstrap.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
from omegaconf import DictConfig

from clinical_lstm.artifacts import Cohort, Directory, Run, digest, write_table
from clinical_lstm.data.task import Task
from clinical_lstm.evaluation.differences import require_same_rows
from clinical_lstm.evaluation.ranking import sample_all
from clinical_lstm.evaluation.rows import scored
from clinical_lstm.inference import ready_threads
from pipelines import comparison, judging, places, stage, train
from pipelines.candidates import candidates
from pipelines.comparison import FILES, Judged
from pipelines.tracking import Tracker

KEYS = [
    "cohort",
    "models",
    "seeds",
    "model",
    "trainer",
    "baseline",
    "evaluation",
    "alarm",
    "seed",
    "out",
    "tracking",
    "source",
    "task",
    "split",
]


def main(config: DictConfig) -> Directory:
    """Train what is missing, judge everything on the same rows, write and print the ranking."""
    ready_threads(config.runtime.threads)
    cohort, seeds, split = places.cohort_of(config), judging.seeds_of(config), judging.split_of(config)
    chosen = candidates(config, cohort.verify())
    runs = {name: [_trained(own, seed, cohort) for seed in seeds] for name, own in chosen.items()}
    settings = [*(places.plain(config[name]) for name in ("baseline", "evaluation", "alarm")), config.seed]
    every = [run for own in runs.values() for run in own]
    place = _place(config, cohort, digest([[run.name for run in every], settings])[:6])
    key = digest([[(run.marker("train") or {}).get("outputs") for run in every], settings])
    again = "the same clinical-lstm compare command"
    tracker = Tracker(places.plain(config.tracking), config.paths.artifacts, place, again)
    if place.is_done("compare", key):
        print(f"compare: {place.path} is up to date")
    else:
        comparison.write(place, cohort, _judge(cohort, runs, config), runs, split)
        for run in every:  # so that the run's report can show it
            write_table(run.path / "comparison.parquet", place.table("comparison.parquet"))
        place.mark("compare", key, FILES, split=split)
        tracker.begin(resume=False)
    if not place.is_done("track", key) and tracker.compare(*comparison.tracked(place), FILES):
        place.mark("track", key, [])
    comparison.show(place.json("comparison.json"), place.table("comparison.parquet"))
    print(f"compare: wrote {place.path}; next: clinical-lstm evaluate run={every[0].name}, or another of these runs")
    return place


def _place(config: DictConfig, cohort: Cohort, code: str) -> Directory:
    """Return the directory of this comparison: `out`, or a name that follows from what is compared."""
    return Directory(config.out or Path(config.paths.artifacts) / "comparisons" / f"{cohort.name}-{code}")


def _trained(config: DictConfig, seed: int, cohort: Cohort) -> Run:
    """Return the finished run of one model and seed."""
    print(f"compare: {config.model.name}, seed {seed}")
    return train.continued(config, seed, cohort)


def _judge(cohort: Cohort, runs: dict[str, list[Run]], config: DictConfig) -> Judged:
    """Return the resampled scores of every run and baseline, all on the rows of the first run."""
    training = next(iter(runs.values()))[0].json("manifest.json")["training"]
    made: dict[str, list[Directory]] = {name: list(own) for name, own in runs.items()}
    made |= {name: [place] for name, place in judging.baselines_of(config, cohort, training, "compare").items()}
    protocol, alarm = judging.protocol(config, Task.of(cohort.json("manifest.json")["task"])), judging.budget(config)
    samples: Judged = {}
    first: pl.DataFrame | None = None
    for name, own in made.items():
        for place in own:
            print(f"compare: scoring {place.name} ({protocol.replicates} bootstrap replicates)")
            one = judging.judged(place, cohort, alarm)
            table = scored(one.table, protocol.split, f"the predictions of {place.name}")
            first = table if first is None else first
            require_same_rows(first, table, (next(iter(made)), name))
            found = sample_all(table, name, one.operation, protocol)
            samples.setdefault(name, []).append((place.name, found))
    return samples


if __name__ == "__main__":
    sys.exit(stage.launch("compare", sys.argv[1:]))
