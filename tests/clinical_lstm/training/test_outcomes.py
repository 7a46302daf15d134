from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.training.outcomes import outcomes

SHARES = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}
TASKS: dict[str, dict[str, Any]] = {
    "sepsis": {"complications": ["sepsis_label"], "horizons_hours": [6.0, 12.0]},
    "gap": {"complications": ["sepsis_label"], "horizons_hours": [4.5], "gap_hours": 2.0, "every_hours": 3.0},
    "open end": {"complications": ["sepsis_label"], "horizons_hours": [6.0], "censoring": False},
    "benchmark": {"complications": ["sepsis_label"], "horizons_hours": [6.0], "after_onset_hours": 3.0},
    "recurrent": {
        "complications": ["hypotension", "sepsis_label", "lactic_acidosis"],
        "horizons_hours": [3.0, 8.0],
        "recurrent": True,
    },
    "first": {"complications": ["hypotension", "lactic_acidosis"], "horizons_hours": [6.0], "gap_hours": 1.0},
}


@pytest.mark.parametrize("name", TASKS)
def test_they_tell_every_label_and_who_is_at_risk(name: str, tiny_source: Path, tmp_path: Path) -> None:
    task = Task(name, **TASKS[name])
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    cohort = prepare(source, task, SHARES, tmp_path / "cohort", "", {}, say=lambda line: None)
    found = outcomes(cohort, Ragged.load(cohort.path / "tensors"))
    asked = cohort.array("asked.npy")
    table = cohort.table("labels")
    assert not found.free[~asked].any()
    for complication, horizon in task.targets:
        rows = table.filter(pl.col("complication") == complication, pl.col("horizon_hours") == horizon)
        c = found.complications.index(complication)
        until, followed, free = (part[asked, c] for part in (found.until_onset, found.followed, found.free))
        ahead, known = until <= horizon, followed >= horizon
        own = ~rows["after_onset"].to_numpy()
        assert np.array_equal((free & (ahead | known))[own], rows["at_risk"].to_numpy()[own])
        at_risk = own & rows["at_risk"].to_numpy()
        assert np.array_equal(ahead[at_risk], rows["label"].to_numpy()[at_risk] == 1)
        assert ahead[at_risk].any() and not ahead[at_risk].all()
        assert not free[~own].any()


def test_recurrent_episodes_are_there_to_be_told(tiny_source: Path, tmp_path: Path) -> None:
    """The case above is not one of single episodes."""
    task = Task("recurrent", **TASKS["recurrent"])
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    cohort = prepare(source, task, SHARES, tmp_path / "cohort", "", {}, say=lambda line: None)
    assert cohort.table("episodes").group_by("stay_id", "complication").len()["len"].max() > 2


def test_a_file_of_labels_tells_no_onset(tiny_cohort: Cohort) -> None:
    class Labelled(Cohort):
        """The same cohort as if its labels came from a file."""

        def json(self, name: str) -> Any:
            manifest = super().json(name)
            return manifest | {"task": manifest["task"] | {"labels": "labels.parquet"}}

    with pytest.raises(InputError, match="need a task with onsets"):
        outcomes(Labelled(tiny_cohort.path), Ragged.load(tiny_cohort.path / "tensors"))
