from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.errors import InputError
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.lessons import OF_STAY, landmarks, lessons, stay_outcomes
from clinical_lstm.training.outcomes import Outcomes, outcomes
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.smoothing import soft_label

TEACHER = {"distil_weight": 0.25, "teacher": "elapsed_time"}


@pytest.fixture(scope="module")
def data(tiny_cohort: Cohort) -> TrainingData:
    torch.set_num_threads(1)
    return training_data(tiny_cohort, "uniform")[0]


def test_the_default_teaches_nothing_more(tiny_cohort: Cohort, data: TrainingData) -> None:
    assert lessons(tiny_cohort, data, TrainerSettings()) is data


def test_landmarks_are_hours_until_event_or_censoring() -> None:
    found = Outcomes(
        complications=["a"],
        until_onset=np.array([[0.2], [1.0], [1.1], [6.0], [6.1], [np.inf], [np.inf], [3.0]]),
        followed=np.array([[9.0], [9.0], [0.0], [9.0], [9.0], [3.9], [-2.0], [9.0]]),
        free=np.array([[True]] * 7 + [[False]]),
    )
    marks = landmarks(found, 6)
    assert marks.hours[:, 0].tolist() == [1, 1, 2, 6, 6, 3, 0, 0]
    assert marks.event[:, 0].tolist() == [True, True, True, True, False, False, False, False]


def test_survival_teaches_landmarks_that_agree_with_the_labels(tiny_cohort: Cohort, data: TrainingData) -> None:
    marks = lessons(tiny_cohort, data, TrainerSettings(loss="survival")).landmarks
    assert marks is not None
    judged = (data.label[:, 0] >= 0) & (marks.hours[:, 0] > 0)
    assert np.array_equal(marks.event[judged, 0], data.label[judged, 0] == 1)
    assert (marks.hours[judged & ~marks.event[:, 0], 0] == 6).all(), "this task is not censored"
    assert set(marks.hours[marks.event[:, 0], 0]) == {1, 2, 3, 4, 5, 6}


def test_smoothing_softens_what_is_learnt_and_not_what_is_judged(tiny_cohort: Cohort, data: TrainingData) -> None:
    settings = TrainerSettings(smoothing="exponential", smoothing_strength=0.1)
    soft = lessons(tiny_cohort, data, settings)
    assert soft.target is data.target and soft.taught is not None
    until = outcomes(tiny_cohort, data.tensors).until_onset[:, 0]
    after = (data.label[:, 0] == 1) & np.isinf(until)
    assert after.any() and (soft.taught[after] == 1).all(), "a benchmark's rows after the onset"
    own = ~after
    assert np.allclose(soft.taught[own, 0], soft_label(until[own], 6.0, "exponential", 0.1), atol=1e-6)
    assert (soft.taught[(data.label[:, 0] == 0) & (until < 11), 0] > 0).all()


@pytest.fixture
def own_cohort(tiny_cohort: Cohort, tmp_path: Path) -> Cohort:
    """A copy that a test may write teachers into."""
    return Cohort(shutil.copytree(tiny_cohort.path, tmp_path / "tiny", ignore=shutil.ignore_patterns("teachers")))


def test_distillation_mixes_the_teacher_into_the_train_rows(own_cohort: Cohort, data: TrainingData) -> None:
    taught = lessons(own_cohort, data, TrainerSettings(**TEACHER)).taught
    (kept,) = own_cohort.path.glob("teachers/*/risks.npy")
    risks = np.load(kept)
    known = ~np.isnan(risks)
    assert known.any() and not known.all()
    assert taught is not None and np.allclose(taught[known], 0.75 * data.target[known] + 0.25 * risks[known])
    assert np.array_equal(taught[~known], data.target[~known])
    made = kept.stat().st_mtime_ns
    again = lessons(own_cohort, data, TrainerSettings(**TEACHER)).taught
    assert again is not None and np.array_equal(again, taught) and kept.stat().st_mtime_ns == made, "made once"
    np.save(kept, np.where(known, 0.5, np.nan))
    repaired = lessons(own_cohort, data, TrainerSettings(**TEACHER)).taught
    assert repaired is not None and np.array_equal(repaired, taught), "what was altered is made again"


def test_outcomes_of_stays_are_standardised_on_train() -> None:
    stays = pl.DataFrame({"length_hours": [1.0, 3.0, 7.0, 99.0], "follow_up_hours": [None, 2.0, 8.0, None]})
    found = stay_outcomes(stays, np.array([0, 1, 2]))
    logs = np.log1p([1.0, 3.0, 7.0, 99.0])
    assert np.allclose(found[:, 0], (logs - logs[:3].mean()) / logs[:3].std())
    assert np.isnan(found[[0, 3], 1]).all() and found[1:3, 1].tolist() == pytest.approx([-1, 1])
    alike = stays.with_columns(pl.lit(5.0).alias("length_hours"), pl.lit(None).alias("follow_up_hours"))
    with pytest.raises(InputError, match="outcomes_weight=0"):
        stay_outcomes(alike, np.array([0, 1, 2]))


def test_outcomes_that_a_source_states_are_taught_and_the_end_of_the_stay_once() -> None:
    stays = pl.DataFrame(
        {
            "length_hours": [48.0] * 4,
            "follow_up_hours": [48.0, 72.0, 96.0, 48.0],
            "hospital_hours": [24.0, 72.0, 96.0, None],
            "survival_hours": [8766.0, 72.0, 8766.0, 100.0],
            "saps_points": [3.0, 9.0, 27.0, 81.0],
            "sofa_points": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    found = stay_outcomes(stays, np.array([0, 1, 2]))
    assert found.shape == (4, 3), "hospital, survival, SAPS-I"
    assert np.isnan(found).nonzero() == (np.array([3]), np.array([0]))
    whole = np.log1p([24.0, 72.0, 96.0])
    assert np.allclose(found[:3, 0], (whole - whole.mean()) / whole.std())
    again = stay_outcomes(stays.drop("hospital_hours"), np.array([0, 1, 2]))
    assert np.allclose(again[3, 0], again[0, 0]), "the follow-up stands in where there is nothing better"


def test_outcomes_outside_train_change_nothing_inside() -> None:
    draw = np.random.default_rng(0)
    stays = pl.DataFrame({name: draw.uniform(1, 99, 30) for name in OF_STAY})
    train = np.arange(20)
    other = stays.with_columns(pl.when(pl.int_range(30) < 20).then(pl.all()).otherwise(pl.all() * 7))
    one, two = stay_outcomes(stays, train), stay_outcomes(other, train)
    assert np.array_equal(one[train], two[train]) and not np.array_equal(one, two)


def test_labels_of_other_splits_teach_nothing(own_cohort: Cohort, data: TrainingData) -> None:
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    other = replace(data, target=np.where(is_train[:, None], data.target, 1 - data.target))
    settings = TrainerSettings(**TEACHER)
    first = lessons(own_cohort, data, settings).taught
    shutil.rmtree(own_cohort.path / "teachers")
    second = lessons(own_cohort, other, settings).taught
    assert first is not None and second is not None
    assert np.array_equal(first[is_train], second[is_train])
