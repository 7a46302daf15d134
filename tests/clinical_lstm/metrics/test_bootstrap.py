"""Draws are of patients, deterministic and paired; intervals ignore undefined replicates only while they are few."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.metrics import bootstrap as b


def test_draws_depend_on_seed_and_replicate_alone() -> None:
    blocks = b.draws(50, 150, seed=1)
    assert [block.shape for block in blocks] == [(50, 64), (50, 64), (50, 22)]
    assert {block.dtype for block in blocks} == {np.dtype(np.uint8)}
    drawn = np.concatenate(blocks, axis=1)
    for r in (0, 1, 63, 64, 149):
        one = np.random.default_rng([1, r]).integers(50, size=50)
        assert np.array_equal(drawn[:, r], [np.count_nonzero(one == p) for p in range(50)])
    assert np.array_equal(np.concatenate(b.draws(50, 65, seed=1), axis=1), drawn[:, :65])
    assert not np.array_equal(drawn[:, 0], b.draws(50, 1, seed=2)[0][:, 0])
    assert b.draws(50, 0, seed=1) == []


def test_draws_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.concatenate(b.draws(30, 100, seed=4), axis=1)
    for size in (1, 7, 100):
        monkeypatch.setattr(b, "TOGETHER", size)
        assert np.array_equal(np.concatenate(b.draws(30, 100, seed=4), axis=1), expected)


def test_each_patient_is_drawn_once_on_average_with_the_multinomial_spread() -> None:
    counts = np.concatenate(b.draws(200, 400, seed=0), axis=1).astype(float)
    assert (counts.sum(axis=0) == 200).all()
    assert counts.mean() == 1
    assert counts.var(axis=1).mean() == pytest.approx(1 - 1 / 200, abs=0.02)


def test_replicates_keep_the_order_of_the_draws() -> None:
    blocks = b.draws(20, 300, seed=3)
    x = np.random.default_rng(0).normal(size=20)
    found = b.replicate(lambda counts: {"mean": np.einsum("p,pr->r", x, counts) / 20, "kind": counts[0] * 0}, blocks)
    drawn = np.concatenate(blocks, axis=1)
    assert found["mean"].tolist() == [pytest.approx((x * drawn[:, r]).sum() / 20, abs=1e-12) for r in range(300)]
    assert found["kind"].dtype == np.float64, "a measure gets floats: whole numbers of 8 bits overflow"
    assert b.replicate(lambda counts: {"x": counts[0]}, []) == {}


def test_interval_of_a_mean_matches_theory() -> None:
    x = np.random.default_rng(0).normal(size=400)
    samples = b.replicate(lambda counts: {"mean": x @ counts / 400}, b.draws(400, 2000, seed=0))
    low, high = b.interval(samples["mean"])
    error = x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - 1.96 * error, x.mean() + 1.96 * error), abs=0.1 * error + 0.005)


def test_undefined_replicates() -> None:
    assert b.interval(np.r_[np.arange(101.0), np.full(50, np.nan)]) == (2.5, 97.5)
    assert b.interval(np.r_[np.arange(101.0), np.full(101, np.nan)]) == (2.5, 97.5), "exactly half is enough"
    assert np.isnan(b.interval(np.r_[1.0, np.nan, np.nan])).all()
    assert np.isnan(b.interval(np.zeros(0))).all()


def test_interval_of_an_error_is_moved_by_its_own_bias() -> None:
    """Ten groups without any error of their own: each group's mean is noise, its size only ever adds."""
    random = np.random.default_rng(2)
    excess, group = random.normal(0, 1, 200), np.repeat(np.arange(10), 20)

    def error(x: np.ndarray) -> float:
        return float(np.abs(np.bincount(group, x)).sum() / 200)

    drawn = np.array([error(excess * np.bincount(random.integers(200, size=200), minlength=200)) for _ in range(800)])
    value = error(excess)
    low, high = b.interval(drawn)
    assert value < low, "a replicate has the noise of the sample and that of drawing from it"
    moved = b.error_interval(drawn, value)
    bias = drawn.mean() - value
    assert moved == pytest.approx((low - bias, high - bias))
    assert moved[0] < value < moved[1]


def test_interval_of_an_error_stays_above_0_and_may_be_undefined() -> None:
    assert b.error_interval(np.array([0.1, 0.2, 0.3]), 0.01)[0] == 0.0
    assert b.error_interval(np.full(9, 0.4), 0.4) == pytest.approx((0.4, 0.4), abs=1e-12)
    for values in (np.zeros(0), np.r_[0.1, np.nan, np.nan]):
        assert np.isnan(b.error_interval(values, 0.1)).all()
    assert np.isnan(b.error_interval(np.array([0.1, 0.2]), float("nan"))).all()


def test_simultaneous_intervals_hold_all_differences_at_once() -> None:
    random = np.random.default_rng(0)
    scale = np.geomspace(0.01, 1.0, 20)
    replicates = random.normal(size=(20, 4000)) * scale[:, None]
    many = b.simultaneous_widths(np.zeros(20), replicates)
    assert (np.abs(replicates) <= many[:, None]).all(axis=0).mean() == pytest.approx(0.95, abs=0.001)
    assert many / scale == pytest.approx(3.02, rel=0.05)  # Phi^-1(1 - (1 - .95 ** (1 / 20)) / 2): 20 independent ones
    assert b.simultaneous_widths(np.zeros(1), replicates[:1]) / scale[0] == pytest.approx(1.96, rel=0.05)
    same = b.simultaneous_widths(np.zeros(2), np.repeat(replicates[:1], 2, axis=0))  # twice the same costs nothing
    assert same / scale[0] == pytest.approx(1.96, rel=0.05)


def test_simultaneous_intervals_of_undefined_and_unvarying_replicates() -> None:
    drawn = np.array([[0.1, np.nan, np.nan], [0.2, np.nan, np.nan]])
    assert np.isnan(b.simultaneous_widths(np.zeros(2), drawn)).all()
    assert np.isnan(b.simultaneous_widths(np.zeros(2), np.zeros((2, 0)))).all()
    known = np.random.default_rng(0).normal(size=(1, 40))
    for undefined, width in ((41, np.nan), (40, b.simultaneous_widths(np.zeros(1), known)[0])):
        found = b.simultaneous_widths(np.zeros(1), np.c_[known, np.full((1, undefined), np.nan)])
        np.testing.assert_equal(found, [width], "half of the replicates are enough, fewer are not")
    assert b.simultaneous_widths(np.zeros(1), np.zeros((1, 5))).tolist() == [0.0]


def test_intervals_of_rows_are_those_of_each_row() -> None:
    values = np.random.default_rng(0).normal(size=(6, 90))
    values[:, 3] = np.nan  # nobody was drawn
    values[1, :30] = np.nan
    values[2, :60] = np.nan
    values[3] = np.inf
    expected = np.transpose([b.interval(row) for row in values])
    np.testing.assert_array_equal(b.intervals(values), expected)
    assert np.isnan(expected).any(axis=0).tolist() == [False, False, True, True, False, False]
    np.testing.assert_array_equal(b.intervals(np.full((2, 5), np.nan)), np.full((2, 2), np.nan))
    assert b.intervals(np.zeros((0, 5))).shape == (2, 0)
    assert b.intervals(np.zeros((3, 0))).shape == (2, 3)
