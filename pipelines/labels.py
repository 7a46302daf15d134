"""A cohort -> what its labels say: counts of every target, or one stay's timeline, hour by hour.

  clinical-lstm labels cohort=NAME
  clinical-lstm labels cohort=NAME stay=ID

The second prints the stay's episodes, the measurements around the first onset, and per prediction time whether it is
at risk and its label, so that every label can be checked by eye.
"""

from __future__ import annotations

import sys

import polars as pl
from omegaconf import DictConfig

from clinical_lstm.artifacts import Cohort
from clinical_lstm.data.task import within
from clinical_lstm.data.timeline import timeline
from clinical_lstm.errors import InputError
from pipelines import places, stage

KEYS = ["cohort", "stay"]


def main(config: DictConfig) -> str:
    """Print the labels of a cohort or of one of its stays."""
    if not config.cohort:
        raise InputError("say which cohort: clinical-lstm labels cohort=NAME")
    cohort = places.named_cohort(config, config.cohort)
    manifest = cohort.verify()
    text = timeline(cohort, str(config.stay)) if config.stay is not None else overview(cohort, manifest)
    print(text)
    return text


def overview(cohort: Cohort, manifest: dict) -> str:
    """Return what was found of each complication, the counts of every target per split, and stays worth a look."""
    lines = [f"{'complication':22}{'judged':>10}{'of stays':>10}{'onset in':>10}{'share':>8}{'episodes':>10}   look at"]
    episodes = cohort.table("episodes")
    for row in manifest["complications"]:
        own = episodes.filter(pl.col("complication") == row["complication"])["stay_id"].unique().sort()
        lines.append(
            f"{row['complication']:22}{row['stays_judged']:>10,}{row['stays']:>10,}{row['stays_with_onset']:>10,}"
            f"{row['share']:>8.1%}{row['episodes']:>10,}   {', '.join(own.head(3))}"
        )
    lines += [
        "",
        f"{'split':7}{'target':34}{'at risk':>12}{'positive':>10}{'prevalence':>12}{'events':>8}{'after onset':>13}",
    ]
    for split, counts in manifest["splits"].items():
        for row in counts["targets"]:
            target = f"{row['complication']} {within(row['horizon_hours'])}"
            lines.append(
                f"{split:7}{target:34}{row['rows']:>12,}{row['positives']:>10,}{row['prevalence']:>12.2%}"
                f"{row['events']:>8,}{row['positives_after_onset']:>13,}"
            )
    return "\n".join([*lines, "", f"one stay: clinical-lstm labels cohort={cohort.name} stay=ID"])


if __name__ == "__main__":
    sys.exit(stage.launch("labels", sys.argv[1:]))
