from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.utility import gain, row_utilities
from clinical_lstm.training.weights import WEIGHTINGS, base_rates, row_targets

# Two train stays (one with label 1 from hour 8 on, so onset at 14) and one test stay with an event, in that order.
OFFSETS = np.array([0, 17, 27, 35])
HOURS = np.concatenate([np.arange(1.0, n + 1) for n in (17, 10, 8)])
LABEL = np.concatenate([np.arange(1, 18) >= 8, np.zeros(10), np.arange(1, 9) >= 6]).astype(np.int8)[:, None]
LABEL[[0, 20], 0] = -1
TRAIN = np.arange(35) < 27


def made(weighting: str, label: np.ndarray = LABEL) -> tuple[np.ndarray, np.ndarray]:
    return row_targets(weighting, label, TRAIN, OFFSETS, HOURS)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_rows_not_at_risk_weigh_nothing(weighting: str) -> None:
    target, weight = made(weighting)
    assert not weight[LABEL == -1].any()
    worthless = (HOURS == 2)[:, None] & (np.arange(35) < 17)[:, None] & (weighting == "cinc2019")  # gain(-12 h) = 0
    assert weight[(LABEL >= 0) & ~worthless].all()
    assert target.dtype == weight.dtype == np.float32
    assert set(np.unique(target)) <= {0, 1}


def test_uniform_weighs_every_row_at_risk_once() -> None:
    target, weight = made("uniform")
    assert np.array_equal(weight, LABEL >= 0)
    assert np.array_equal(target, LABEL == 1)


def test_class_gives_both_classes_of_train_the_same_weight() -> None:
    target, weight = made("class")
    assert np.array_equal(target, LABEL == 1)
    assert weight[TRAIN & (LABEL[:, 0] == 1)].sum() == pytest.approx(weight[TRAIN & (LABEL[:, 0] == 0)].sum())
    assert set(np.unique(weight[LABEL == 1])) == {np.float32(15 / 10)}
    assert set(np.unique(weight[LABEL == 0])) == {1}


def test_class_is_computed_per_target_and_survives_a_target_without_positives() -> None:
    label = np.concatenate([LABEL, np.zeros_like(LABEL)], axis=1)
    _, weight = made("class", label)
    assert np.array_equal(weight[:, :1], made("class")[1])
    assert (weight[:, 1] == 1).all()


def test_cinc2019_weighs_by_the_official_gain() -> None:
    target, weight = made("cinc2019")
    dt = np.concatenate([np.arange(1.0, 18) - 14, np.full(10, -np.inf), np.arange(1.0, 9) - 12])
    alarm, silent = row_utilities(dt)
    valid = LABEL[:, 0] >= 0
    mean = np.abs(alarm - silent)[TRAIN & valid].mean()
    assert np.allclose(weight[valid, 0], np.abs(alarm - silent)[valid] / mean)
    assert np.array_equal(target[valid, 0], (alarm > silent)[valid])
    assert weight[TRAIN & valid].mean() == pytest.approx(1, rel=1e-6)
    assert target[2, 0] == 1 and LABEL[2, 0] == 0, "an alarm pays from 12 h before the onset, the label is 1 from 6 h"


def test_cinc2019_errors_cost_what_the_utility_loses() -> None:
    """Weighted 0-1 loss = (best utility - utility) / mean |gain|, for any alarms."""
    target, weight = made("cinc2019")
    valid = (LABEL[:, 0] >= 0) & TRAIN
    dt = np.concatenate([np.arange(1.0, 18) - 14, np.full(10, -np.inf), np.full(8, 0.0)])
    gains = gain(dt)[valid]
    for seed in range(5):
        alarm = np.random.default_rng(seed).random(valid.sum()) < 0.5
        lost = np.maximum(gains, 0).sum() - gains[alarm].sum()
        loss = (weight[valid, 0] * (alarm != target[valid, 0])).sum()
        assert loss == pytest.approx(lost / np.abs(gains).mean(), rel=1e-5)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_statistics_come_from_train(weighting: str) -> None:
    other = LABEL.copy()
    other[27:] = 0
    target, weight = made(weighting, other)
    expected = made(weighting)
    assert np.array_equal(target[TRAIN], expected[0][TRAIN])
    assert np.array_equal(weight[TRAIN], expected[1][TRAIN])


def test_unknown_weighting_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'class'"):
        made("clas")


def test_base_rates_are_weighted_shares_of_train() -> None:
    target = np.array([[1, 0], [0, 0], [1, 1]], np.float32)
    weight = np.array([[3, 0], [1, 0], [5, 5]], np.float32)
    assert base_rates(target, weight, np.array([True, True, False])).tolist() == [0.75, 0.0]
