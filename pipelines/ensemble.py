"""Finished runs -> one run that averages them: the mean of their logits, calibrated anew.

  clinical-lstm ensemble runs=[RUN_A,RUN_B,RUN_C]
  clinical-lstm ensemble runs=[RUN_A,RUN_B] run=NAME

The runs may have any models, inputs and seeds; they must have been trained on one cohort. Writes artifacts/runs/NAME,
which evaluate, explain, report and predict take like any other; does nothing when it is there already.
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig, OmegaConf

from clinical_lstm.artifacts import Run
from clinical_lstm.errors import InputError
from clinical_lstm.inference import ready_threads
from clinical_lstm.training.ensemble import ensemble
from pipelines import places, stage
from pipelines.judging import cohort_behind
from pipelines.tracking import Tracker

KEYS = ["runs", "run", "cohort", "tracking"]


def main(config: DictConfig) -> Run:
    """Average the runs that `config` names, unless that has been done."""
    ready_threads(config.runtime.threads)
    if not config.runs:
        raise InputError("say which runs to average: runs=[A,B]")
    members = [places.named_run(config, name) for name in config.runs]
    cohort = cohort_behind(config, members[0].verify())
    run, key = places.new_ensemble(config, cohort, members)
    if run.path.resolve() in [member.path.resolve() for member in members]:
        raise InputError(f"run={run.name} is one of its members; choose another name")
    if run.is_done("train", key):
        print(f"ensemble: {run.path} is up to date")
        return run
    own = OmegaConf.masked_copy(config, ["runs", "tracking", "paths", "runtime"])
    tracker = Tracker(places.plain(config.tracking), config.paths.artifacts, run)
    tracker.begin(False)
    run = ensemble(cohort, members, run.path, key, files={"config.yaml": OmegaConf.to_yaml(own)})
    tracker.publish()
    print(f"ensemble: wrote {run.path}, the mean of {len(members)} runs; next: clinical-lstm evaluate run={run.name}")
    return run


if __name__ == "__main__":
    sys.exit(stage.launch("ensemble", sys.argv[1:]))
