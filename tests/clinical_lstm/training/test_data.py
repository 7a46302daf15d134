from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort
from clinical_lstm.training.data import label_array, training_data


def test_training_data_are_the_cohorts_tables(tiny_cohort: Cohort) -> None:
    data, splits = training_data(tiny_cohort, "uniform")
    stays = tiny_cohort.table("stays.parquet")
    assert splits.tolist() == stays["split"].to_list()
    assert np.array_equal(data.train, np.flatnonzero(splits == "train"))
    assert np.array_equal(data.val, np.flatnonzero(splits == "val"))
    assert data.label.shape == data.target.shape == data.weight.shape == (len(data.tensors.hours), 1)
    assert data.scaler.table().equals(tiny_cohort.table("scaler.parquet"))


def test_label_of_every_step_is_that_of_its_row(tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    ids = tiny_cohort.table("stays.parquet")["stay_id"]
    steps = pl.DataFrame(
        {
            "stay_id": ids.gather(np.repeat(np.arange(len(ids)), data.tensors.lengths)),
            "hours": data.tensors.hours,
            "found": data.label[:, 0].astype(np.int64),
        }
    )
    joined = steps.join(tiny_cohort.table("labels"), on=["stay_id", "hours"], how="left")
    assert joined["label"].null_count() == 0
    expected = joined.select(pl.when("at_risk").then("label").otherwise(-1).cast(pl.Int64).alias("found"))
    assert joined.select("found").equals(expected)
    assert {0, 1} <= set(np.unique(data.label))


def test_steps_that_are_no_prediction_time_have_no_label(tiny_cohort: Cohort) -> None:
    class Sparse(Cohort):
        """The same cohort under a task that predicts every 4 h."""

        def array(self, name: str) -> np.ndarray:
            return super().array(name) & (every.tensors.hours % 4 == 0)

        def table(self, name: str) -> pl.DataFrame:
            return super().table(name).filter(pl.col("hours") % 4 == 0)

    every, _ = training_data(tiny_cohort, "uniform")
    found = label_array(Sparse(tiny_cohort.path), every.tensors)
    asked = every.tensors.hours % 4 == 0
    assert np.array_equal(found[asked], every.label[asked])
    assert (found[~asked] == -1).all()


def test_it_needs_no_torch() -> None:
    code = "import sys, clinical_lstm.training.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
