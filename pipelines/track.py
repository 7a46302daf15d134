"""A run -> MLflow: write it there again, after a dead server or a deleted store.

clinical-lstm track run=NAME
clinical-lstm track run=last tracking.uri=http://SERVER:5000
"""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig

from clinical_lstm.errors import InputError
from pipelines import places, stage
from pipelines.tracking import Tracker

KEYS = ["run", "tracking"]


def main(config: DictConfig) -> None:
    """Publish a run directory to MLflow; a failure is an error here."""
    run = places.existing_run(config)
    run.verify()
    tracker = Tracker(places.plain(config.tracking), config.paths.artifacts, run)
    folder = Path(config.paths.reports) / run.name
    if not tracker.publish(folder if folder.is_dir() else None):
        raise InputError(f"run {run.name} could not be written to MLflow at {tracker.uri}")
    print(f"track: run {run.name} is in MLflow at {tracker.uri}")


if __name__ == "__main__":
    sys.exit(stage.launch("track", sys.argv[1:]))
