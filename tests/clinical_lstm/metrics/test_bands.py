"""Bands divide what is known, each value in one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.metrics.bands import banded


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=30),
    st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_bands_divide_what_is_known(values: list[float], edges: list[int]) -> None:
    band, names = banded(np.array(values), [float(edge) for edge in sorted(edges)])
    assert len(names) == len(edges) + 1 == len(set(names))
    for value, b in zip(values, band):
        assert b == (-1 if np.isnan(value) else sum(value >= edge for edge in edges))
