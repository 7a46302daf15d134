"""Raw files -> a cohort: clean tables, labels, splits, scaler and tensors.

  clinical-lstm prepare source=physionet2019 source.root=FOLDER_OR_ARCHIVE task=sepsis_6h
  clinical-lstm prepare source=table source.root=FOLDER source.mapping=names.yaml task=sepsis_onset cohort=mine
  clinical-lstm prepare source=physionet2019 source.root=FOLDER split=folds split.fold=2

Writes artifacts/cohorts/NAME; does nothing when inputs and configuration are those it was made from.
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task, within
from pipelines import places, stage

KEYS = ["source", "complication", "task", "split", "cohort"]


def main(config: DictConfig) -> Cohort:
    """Prepare the cohort that `config` describes, unless it stands already."""
    cohort = places.cohort_of(config)
    source = plugins.build("sources", places.plain(config.source))
    task = Task.of(places.plain(config.task))
    key = places.cohort_key(config, source.fingerprint())
    if cohort.is_done("prepare", key):
        print(f"prepare: {cohort.path} is up to date")
        return cohort
    record = {"name": config.source.name, "arguments": places.plain(config.source)}
    cohort = prepare(source, task, places.plain(config.split), cohort.path, key, record)
    _report(cohort)
    return cohort


def _report(cohort: Cohort) -> None:
    manifest = cohort.json("manifest.json")
    for row in manifest["funnel"]:
        print(
            f"prepare: {row['step']:36} {row['stays']:>9,} stays  {row['observations'] or '':>12,} observations"
            if row["observations"]
            else f"prepare: {row['step']:36} {row['stays']:>9,} stays"
        )
    for row in manifest["complications"]:
        print(
            f"prepare: {row['complication']:20} onset in {row['stays_with_onset']:,} of {row['stays_judged']:,} stays "
            f"that can be judged ({row['share']:.1%}), {row['episodes']:,} episodes"
        )
    for name, count in manifest["splits"].items():
        print(
            f"prepare: {name:6} {count['patients']:>8,} patients  {count['rows']:>9,} rows  "
            f"{count['positives']:>7,} positive  {count['events']:>6,} events"
        )
    for row in manifest["one_sided"]:
        target = f"{row['complication']} {within(row['horizon_hours'])}"
        print(
            f"prepare: WARNING: {target}: at {row['hours']} hour(s) of the stay all {row['rows']:,} rows at risk are "
            "positive: a clock foretells them. See task.whole_horizon"
        )
    for row in manifest["conversions"]:
        if (row["factor"], row["offset"]) != (1.0, 0.0):
            print(f"prepare: converted {row['rows']:,} rows of {row['label']} in {row['unit']} to {row['variable']}")
    if manifest["rejects"]:
        print("prepare: refused: " + ", ".join(f"{n:,} {rule}" for rule, n in manifest["rejects"].items()))
    print(f"prepare: wrote {cohort.path}; look: clinical-lstm labels cohort={cohort.name}")
    print(f"prepare: next: clinical-lstm train cohort={cohort.name}")


if __name__ == "__main__":
    sys.exit(stage.launch("prepare", sys.argv[1:]))
