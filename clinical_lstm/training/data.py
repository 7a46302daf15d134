"""What a training sees of a cohort: tensors, targets, weights, splits. Needs no torch: baselines use it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged, Scaler, Sequences
from clinical_lstm.lookback import reach_hours, sequences
from clinical_lstm.training.weights import row_targets

if TYPE_CHECKING:
    from clinical_lstm.training.lessons import Landmarks


@dataclass(frozen=True)
class TrainingData:
    """Tensors and scaler, the (N, K) labels, targets and weights of all steps, the stays of train and val.

    `seen` is what the model runs over: the stays, or the window of every labelled prediction time (`lookback_of`).
    `lessons` adds what else the train stays teach: `taught` (N, K) soft targets in the place of `target`, `landmarks`
    of survival, `outcomes` (stays, O) of whole stays. Validation knows none of them.
    """

    tensors: Ragged
    seen: Sequences
    scaler: Scaler
    label: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    train: np.ndarray
    val: np.ndarray
    taught: np.ndarray | None = None
    landmarks: Landmarks | None = None
    outcomes: np.ndarray | None = None


def training_data(cohort: Cohort, weighting: str) -> tuple[TrainingData, np.ndarray]:
    """Return what a training sees of a cohort, and the split of every stay."""
    tensors = Ragged.load(cohort.path / "tensors")
    scaler = Scaler.from_table(cohort.table("scaler.parquet"))
    splits = cohort.table("stays.parquet")["split"].cast(str).to_numpy()
    label = label_array(cohort, tensors)
    is_train = np.repeat(splits == "train", tensors.lengths)
    target, weight = row_targets(weighting, label, is_train, tensors.step_offsets, tensors.hours)
    seen = sequences(tensors, lookback_of(cohort), label.max(axis=1) >= 0)
    answered, _ = tensors.place(seen.answered(np.arange(len(seen.lengths)))[2])
    data = TrainingData(
        tensors=tensors,
        seen=seen,
        scaler=scaler,
        target=target,
        weight=weight,
        label=label,
        train=np.intersect1d(np.flatnonzero(splits == "train"), answered),  # a stay without a window teaches nothing
        val=np.flatnonzero(splits == "val"),
    )
    return data, splits


def lookback_of(cohort: Cohort) -> float | None:
    """Return how many hours back the windows of a cohort's task reach; None: no windows (`lookback.reach_hours`)."""
    return reach_hours(cohort.json("manifest.json")["task"])


def label_array(cohort: Cohort, tensors: Ragged) -> np.ndarray:
    """Return the labels (N, K) int8 of every step; -1 where not at risk or no prediction time."""
    manifest = cohort.json("manifest.json")
    label = np.full((len(tensors.hours), len(manifest["targets"])), -1, np.int8)
    known = pl.when("at_risk").then("label").otherwise(-1).cast(pl.Int8)
    label[cohort.array("asked.npy")] = cohort.table("labels").select(known).to_numpy().reshape(-1, label.shape[1])
    return label
