"""Draws are of patients, deterministic and paired; intervals ignore undefined replicates only while they are few."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.evaluation import bootstrap as b


def test_draws_are_deterministic_and_do_not_depend_on_the_number_of_replicates() -> None:
    few, many = list(b.draws(50, 3, seed=1)), list(b.draws(50, 6, seed=1))
    assert all(np.array_equal(one, two) for one, two in zip(few, many))
    assert not np.array_equal(few[0], few[1])
    assert not np.array_equal(few[0], next(b.draws(50, 1, seed=2)))


def test_each_patient_is_drawn_once_on_average_with_the_multinomial_spread() -> None:
    counts = np.stack(list(b.draws(200, 400, seed=0)))
    assert (counts.sum(axis=1) == 200).all()
    assert counts.mean() == 1
    assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / 200, abs=0.02)


def test_interval_of_a_mean_matches_theory() -> None:
    x = np.random.default_rng(0).normal(size=400)
    samples = b.replicate(lambda count: {"mean": float((x * count).sum() / 400)}, 400, 2000, seed=0)
    low, high = b.interval(samples["mean"])
    error = x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - 1.96 * error, x.mean() + 1.96 * error), abs=0.1 * error + 0.005)


def test_undefined_replicates() -> None:
    assert b.interval(np.r_[np.arange(101.0), np.full(50, np.nan)]) == (2.5, 97.5)
    assert np.isnan(b.interval(np.r_[1.0, np.nan, np.nan])).all()
    assert np.isnan(b.interval(np.zeros(0))).all()
    assert b.replicate(lambda count: {"x": 1.0}, 3, 0, 0) == {}
