"""A cohort's labels or a run's predictions -> files in the MEDS schemas, one per target.

  clinical-lstm export cohort=NAME out=FOLDER     # FOLDER/<complication>_<horizon>h.parquet: labels
  clinical-lstm export run=NAME out=FOLDER        # the same of the run's predictions in the split `evaluation.split`

Rows that are not at risk are left out. Times are instants where the data set tells when a stay was admitted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
from omegaconf import DictConfig

from clinical_lstm.artifacts import atomic_directory, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.interchange import meds_labels, meds_predictions
from pipelines import places, stage

KEYS = ["cohort", "run", "out", "evaluation"]


def main(config: DictConfig) -> Path:
    """Write the MEDS files of a cohort or of a run."""
    if not config.out or bool(config.cohort) == bool(config.run):
        raise InputError("say what to write and where: cohort=NAME out=FOLDER, or run=NAME out=FOLDER")
    if (out := Path(config.out)).exists():
        raise InputError(f"{out} exists; name a new folder")
    if config.cohort:
        cohort = places.named_cohort(config, config.cohort)
        cohort.verify()
        found = meds_labels(cohort.table("labels"), cohort.table("stays.parquet"))
    else:
        run = places.existing_run(config)
        run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
        cohort = places.named_cohort(config, run.json("manifest.json")["cohort"])
        cohort.verify()
        judged = run.table("predictions.parquet").filter(pl.col("split").cast(pl.String) == config.evaluation.split)
        if not judged.height:
            raise InputError(f"run {run.name} has no predictions of the split {config.evaluation.split!r}")
        found = meds_predictions(judged, cohort.table("stays.parquet"), run.json("thresholds.json"))
    with atomic_directory(out) as partial:
        for name, table in found.items():
            write_table(partial / f"{name}.parquet", table)
    for name, table in found.items():
        print(f"export: wrote {table.height:,} rows to {out / name}.parquet")
    return out


if __name__ == "__main__":
    sys.exit(stage.launch("export", sys.argv[1:]))
