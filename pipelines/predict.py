"""A run + new data -> risks of stays never seen; labels are optional.

  clinical-lstm predict run=NAME source=physionet2019 source.root=NEW_DATA out=predictions.parquet
  clinical-lstm predict run=last source=table source.root=FOLDER out=risks.csv

The run directory is enough: no cohort, no MLflow. `out` ends with .parquet or .csv. Its column `alarm` says where the
run's alarm policy (`clinical-lstm evaluate`) rings.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
from omegaconf import DictConfig

from clinical_lstm import plugins
from clinical_lstm.artifacts import atomic_file, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, policies_of, ready_threads
from clinical_lstm.prediction import predict, with_alarms
from pipelines import places, stage

KEYS = ["run", "source", "out"]


def main(config: DictConfig) -> Path:
    """Write the predictions of a run for the stays of a source."""
    if not config.out or not config.out.endswith((".parquet", ".csv")):
        raise InputError(f"say where to write: out=FILE.parquet or out=FILE.csv, not {config.out}")
    ready_threads(config.runtime.threads)
    run = places.existing_run(config)
    predictor = Predictor.load(run)
    source = plugins.build("sources", places.plain(config.source))
    policies = policies_of(run)
    tables, refused = [], 0
    for table, rejects in predict(run, predictor, source.extracts()):
        tables.append(with_alarms(table, policies))
        refused += rejects.height
        print(f"predict: {sum(t['stay_id'].n_unique() for t in tables):,} stays")
    found = pl.concat(tables)
    out = Path(config.out)
    if out.suffix == ".csv":
        with atomic_file(out) as partial:
            partial.write_text(found.write_csv(), encoding="utf-8")
    else:
        write_table(out, found)
    labels = "with labels" if found["label"].null_count() < found.height else "no labels"
    rung = f"{found['alarm'].sum():,} alarms" if policies else f"no alarms: clinical-lstm evaluate run={run.name} first"
    print(f"predict: wrote {found.height:,} risks to {out} ({rung}; {labels}; {refused:,} measurements refused)")
    return out


if __name__ == "__main__":
    sys.exit(stage.launch("predict", sys.argv[1:]))
