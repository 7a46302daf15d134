"""What a training sees of a cohort: tensors, targets, weights, splits. Needs no torch: baselines use it too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.data.labels import predicted
from clinical_lstm.data.task import Task
from clinical_lstm.training.weights import row_targets


@dataclass(frozen=True)
class TrainingData:
    """Tensors and scaler, the (N, K) labels, targets and weights of all steps, the stays of train and val."""

    tensors: Ragged
    scaler: Scaler
    label: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    train: np.ndarray
    val: np.ndarray


def training_data(cohort: Cohort, weighting: str) -> tuple[TrainingData, np.ndarray]:
    """Return what a training sees of a cohort, and the split of every stay."""
    tensors = Ragged.load(cohort.path / "tensors")
    scaler = Scaler.from_table(cohort.table("scaler.parquet"))
    splits = cohort.table("stays.parquet")["split"].cast(str).to_numpy()
    label = label_array(cohort, tensors)
    is_train = np.repeat(splits == "train", tensors.lengths)
    target, weight = row_targets(weighting, label, is_train, tensors.step_offsets, tensors.hours)
    data = TrainingData(
        tensors=tensors,
        scaler=scaler,
        target=target,
        weight=weight,
        label=label,
        train=np.flatnonzero(splits == "train"),
        val=np.flatnonzero(splits == "val"),
    )
    return data, splits


def label_array(cohort: Cohort, tensors: Ragged) -> np.ndarray:
    """Return the labels (N, K) int8 of every step; -1 where not at risk or no prediction time."""
    manifest = cohort.json("manifest.json")
    table = cohort.table("labels.parquet")
    asked = predicted(Task.of(manifest["task"]), tensors.hours)
    label = np.full((len(tensors.hours), len(manifest["targets"])), -1, np.int8)
    known = np.where(table["at_risk"].to_numpy(), table["label"].to_numpy(), -1)
    label[asked] = known.reshape(-1, label.shape[1])
    return label
