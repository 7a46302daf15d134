from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.teacher import fold_of, teacher_risks

FOLDS = 4
SPEC = {"name": "logistic_regression"}  # as good a teacher as another, and fast


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "uniform")[0]


@pytest.fixture(scope="module")
def patients(tiny_cohort: Cohort) -> np.ndarray:
    return tiny_cohort.table("stays.parquet")["patient_id"].to_numpy()


@pytest.fixture(scope="module")
def risks(data: TrainingData, patients: np.ndarray) -> np.ndarray:
    return teacher_risks(data, patients, SPEC, FOLDS, seed=3)


def flipped(data: TrainingData, stays: np.ndarray) -> TrainingData:
    """The same data with the labels of `stays` turned."""
    rows = np.isin(np.repeat(np.arange(len(data.tensors.lengths)), data.tensors.lengths), stays)
    target = np.where(rows[:, None], 1 - data.target, data.target)
    return replace(data, target=target, label=np.where(data.label < 0, data.label, target).astype(np.int8))


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_label_of_a_fold_teaches_others_only(
    fold: int, data: TrainingData, patients: np.ndarray, risks: np.ndarray
) -> None:
    folds = fold_of(patients, data.train, FOLDS, seed=3)
    changed = teacher_risks(flipped(data, np.flatnonzero(folds == fold)), patients, SPEC, FOLDS, seed=3)
    row = np.repeat(folds, data.tensors.lengths)
    assert np.array_equal(changed[row == fold], risks[row == fold], equal_nan=True)
    for other in set(range(FOLDS)) - {fold, (fold - 1) % FOLDS}:  # for the fold before, it only chooses the penalty
        assert not np.array_equal(changed[row == other], risks[row == other], equal_nan=True)


def test_labels_of_other_splits_do_not_matter(data: TrainingData, patients: np.ndarray, risks: np.ndarray) -> None:
    outside = np.setdiff1d(np.arange(len(patients)), data.train)
    assert len(outside)
    found = teacher_risks(flipped(data, outside), patients, SPEC, FOLDS, seed=3)
    assert np.array_equal(found, risks, equal_nan=True)


def test_every_train_row_that_weighs_is_taught_and_no_other(data: TrainingData, risks: np.ndarray) -> None:
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    assert np.array_equal(~np.isnan(risks), (data.weight > 0) & is_train[:, None])
    taught = ~np.isnan(risks[:, 0])
    assert ((risks[taught] > 0) & (risks[taught] < 1)).all()


def test_folds_are_of_patients_and_of_like_size() -> None:
    patients = np.array([f"p{k // 3}" for k in range(300)])
    fold = fold_of(patients, np.arange(0, 300, 2), 5, seed=0)
    assert {len(set(fold[(patients == p) & (fold >= 0)])) for p in set(patients)} == {1}
    assert (fold[1::2] == -1).all()
    firsts = [fold[patients == p].max() for p in sorted(set(patients))]
    assert np.bincount(firsts).tolist() == [20] * 5
    assert not np.array_equal(fold, fold_of(patients, np.arange(0, 300, 2), 5, seed=1))
