"""A cohort -> a run: trained weights, calibration and thresholds in one directory.

  clinical-lstm train cohort=NAME
  clinical-lstm train cohort=NAME model=lstm model.hidden=128 seed=1
  clinical-lstm train -m cohort=NAME seed=1,2,3
  clinical-lstm train cohort=NAME resume=true        after an interruption: continues at the last finished epoch

Writes artifacts/runs/NAME and an MLflow run; does nothing when the same training is there already.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from omegaconf import DictConfig, OmegaConf

from clinical_lstm.artifacts import Cohort, Run, read_json
from clinical_lstm.inference import ready_threads
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train
from pipelines import places, stage
from pipelines.tracking import Tracker

KEYS = ["cohort", "model", "trainer", "seed", "resume", "run", "tracking", "source", "task", "split"]


def main(config: DictConfig) -> Run:
    """Train the model that `config` describes, unless it has been trained."""
    ready_threads(config.runtime.threads)
    cohort = places.cohort_of(config)
    cohort.verify()
    run, key = places.new_run(config, cohort), places.run_key(config, cohort)
    if run.is_done("train", key):
        print(f"train: {run.path} is up to date")
        return run
    settings = TrainerSettings.of(places.plain(config.trainer))
    tracker = Tracker(places.plain(config.tracking), config.paths.artifacts, run)
    tracker.begin(config.resume)
    run = trained(config, settings, cohort, run, on_epoch=tracker.epoch)
    tracker.publish()
    print(f"train: wrote {run.path}; next: clinical-lstm evaluate run={run.name}")
    return run


def continued(config: DictConfig, seed: int, cohort: Cohort) -> Run:
    """Return the finished run of a configuration and seed, trained unless it is up to date, resumed where stopped."""
    job = config.copy()
    job.seed, job.run = seed, None
    checkpoints = places.new_run(job, cohort).path / "checkpoints"
    stopped = (checkpoints / "last.ckpt").is_file()
    job.resume = stopped and read_json(checkpoints / "key.json") == places.run_key(job, cohort)
    return main(job)


def trained(config: DictConfig, settings: TrainerSettings, cohort: Cohort, run: Run, **told: Any) -> Run:
    """Train what `config` describes into the directory of `run`; `told` is who hears of it: `say`, `on_epoch`."""
    own = OmegaConf.masked_copy(config, ["model", "trainer", "tracking", "paths", "runtime", "seed"])
    return train(
        cohort,
        places.plain(config.model),
        settings,
        config.seed,
        run.path,
        places.run_key(config, cohort),
        resume=config.resume,
        files={"config.yaml": OmegaConf.to_yaml(own)},
        facts={"git_commit": commit()},
        **told,
    )


def commit() -> str | None:
    """Return the commit of the project's checkout, or None (a wheel, no git)."""
    asked = subprocess.run(
        ["git", "-C", str(stage.CONF.parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(stage.launch("train", sys.argv[1:]))
