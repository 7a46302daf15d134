"""Weights count rows, and what has no rows is NaN and never a warning."""

from __future__ import annotations

import warnings

import numpy as np

from clinical_lstm.metrics import weights as w


def test_ratios_and_means_without_rows_are_nan_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(w.weighted_mean(np.zeros(0)))
        assert np.isnan(w.weighted_mean(np.ones(2), np.zeros(2)))
        found = w.ratio(np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([2.0, 0.0]))
    assert np.array_equal(found, [[0.5, np.nan], [0.0, np.nan]], equal_nan=True)


def test_a_weighted_mean_is_that_of_the_rows_repeated() -> None:
    term, weight = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 1])
    assert w.weighted_mean(term, weight.astype(float)) == np.repeat(term, weight).mean()


def test_ascending_copies_only_what_is_out_of_order() -> None:
    sorted_risk = np.array([0.1, 0.1, 0.3])
    assert np.shares_memory(sorted_risk[w.ascending(sorted_risk)], sorted_risk)
    assert np.array([0.3, 0.1, 0.1])[w.ascending(np.array([0.3, 0.1, 0.1]))].tolist() == [0.1, 0.1, 0.3]
    assert w.ascending(np.array([0.3, 0.1, 0.1])).tolist() == [1, 2, 0], "equal risks keep their order"
