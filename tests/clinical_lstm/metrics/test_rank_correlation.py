"""Spearman's correlation is scipy's, and a row that counts twice is a row that stands twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from clinical_lstm.metrics.rank_correlation import spearman

PAIRS = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 3)), min_size=1, max_size=25)


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_counted_rows_are_repeated_rows(rows: list[tuple[int, int, int]]) -> None:
    x, y, counts = np.array(rows, float).T
    found = spearman(x, y, np.stack([counts, np.ones(len(x))], axis=1))
    assert found.shape == (2,)
    for value, n in zip(found, (counts, np.ones(len(x)))):
        a, b = np.repeat(x, n.astype(int)), np.repeat(y, n.astype(int))
        if len(set(a)) > 1 and len(set(b)) > 1:
            assert value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
        else:
            assert np.isnan(value)
    assert np.array_equal(spearman(x, y), found[1:], equal_nan=True)


def test_any_rising_map_gives_one_and_no_rows_give_none() -> None:
    x = np.random.default_rng(0).normal(size=50)
    assert spearman(x, np.exp(x)).tolist() == [1.0]
    assert spearman(x, -(x**3)).tolist() == [-1.0]
    assert np.isnan(spearman(np.zeros(0), np.zeros(0))).all()
