"""The parts of a Brier score add up, are what their names say, and the skill compares with the prevalence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.metrics.calibration import proper as p

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40)


@given(rows, st.integers(1, 15))
@settings(max_examples=100, deadline=None)
def test_parts_add_up_and_weights_count_rows(sample: list[tuple[int, int, int]], bins: int) -> None:
    y, q, w = (np.array(column) for column in zip(*sample, strict=True))
    risk = q / 20
    parts = p.brier_parts(y, risk, bins=bins)
    assert parts.brier == pytest.approx(p.brier(y, risk), abs=1e-12)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin
    assert total == pytest.approx(parts.brier, abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0
    again = np.repeat(np.arange(len(y)), w)
    weighted, repeated = p.brier_parts(y, risk, w.astype(float), bins), p.brier_parts(y[again], risk[again], bins=bins)
    np.testing.assert_allclose(weighted, repeated, atol=1e-12)


def test_parts_are_the_definition_bin_by_bin() -> None:
    random = np.random.default_rng(0)
    risk, y = random.random(500), random.integers(0, 2, 500)
    which = np.minimum((risk * 4).astype(int), 3)
    parts = p.brier_parts(y, risk, bins=4)
    reliability = resolution = within = 0.0
    for b in range(4):
        q, label = risk[which == b], y[which == b]
        reliability += len(q) * (q.mean() - label.mean()) ** 2 / 500
        resolution += len(q) * (label.mean() - y.mean()) ** 2 / 500
        within += (((q - q.mean()) ** 2) - 2 * (label - label.mean()) * (q - q.mean())).sum() / 500
    expected = (reliability, resolution, y.mean() * (1 - y.mean()), within)
    assert parts[1:5] == pytest.approx(expected, abs=1e-12)


def test_skill_is_1_for_the_truth_0_for_the_prevalence() -> None:
    y = np.array([0, 0, 0, 1])
    assert p.brier_skill(y, y.astype(float)) == 1
    assert p.brier_skill(y, np.full(4, 0.25)) == pytest.approx(0)
    assert p.brier_skill(y, np.full(4, 0.9)) < 0
    assert p.brier_parts(y, np.full(4, 0.9)).skill == pytest.approx(p.brier_skill(y, np.full(4, 0.9)))


def test_one_class_has_no_skill_and_no_rows_have_nothing() -> None:
    one = p.brier_parts(np.zeros(3), np.array([0.0, 0.5, 1.0]))
    assert np.isnan(one.skill)
    assert np.isfinite(one[:5]).all()
    assert np.isnan(p.brier_parts(np.zeros(0), np.zeros(0))).all()
    assert np.isnan(p.brier_skill(np.ones(2), np.ones(2)))
