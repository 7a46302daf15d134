"""The profile before the onset meets worked examples and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.metrics import profile as p
from clinical_lstm.metrics.discrimination import auroc

# (stay, hours to onset or 0 for none, risk in eighths)
rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 50), st.integers(0, 8)), min_size=1, max_size=40)


def _arrays(sample: list[tuple[int, int, int]]) -> tuple[np.ndarray, ...]:
    stay, ahead, risk = (np.array(column) for column in zip(*sample, strict=True))
    to_onset = np.where((ahead == 0) | (stay < 3), np.nan, ahead)  # stays 0, 1, 2 have none
    label = ((to_onset > 0) & (to_onset <= 6)).astype(np.int8)
    return label, risk / 8, to_onset, stay


def test_a_worked_example_before_onset() -> None:
    # stay 0 reaches its onset 1 hour after its last row but one; stay 1 never does; stay 2 only after 30 hours
    stay = np.array([0, 0, 0, 0, 1, 1, 2])
    to_onset = np.array([12.0, 6, 1, -1, np.nan, np.nan, 30])
    label = np.array([0, 1, 1, 1, 0, 0, 0])
    risk = np.array([0.2, 0.4, 0.9, 0.9, 0.1, 0.4, 0.7])
    found = p.by_hours_to_onset(label, risk, to_onset, stay, 0.4)
    assert found.rows.tolist() == [1, 0, 0, 1, 1, 0, 1], "12 is in (6, 12], 6 in (4, 6], the row after onset nowhere"
    assert found.stays.tolist() == found.rows.tolist()
    assert found.sensitivity == pytest.approx([1, np.nan, np.nan, 1, 0, np.nan, 1], nan_ok=True)
    # against 0.1 and 0.4 of stay 1 only: stay 2 has an onset, so its label 0 is not event-free
    assert found.auroc == pytest.approx([1, np.nan, np.nan, 0.75, 0.5, np.nan, 1], nan_ok=True)
    assert found.median == pytest.approx([0.9, np.nan, np.nan, 0.4, 0.2, np.nan, 0.7], nan_ok=True)


@given(rows)
@settings(max_examples=80, deadline=None)
def test_bins_equal_plain_loops(sample: list[tuple[int, int, int]]) -> None:
    label, risk, to_onset, stay = _arrays(sample)
    struck = {s for s, y, t in zip(stay, label, to_onset, strict=True) if y or np.isfinite(t)}
    free = [r for s, r in zip(stay, risk, strict=True) if s not in struck]
    found = p.by_hours_to_onset(label, risk, to_onset, stay, 0.5)
    for b, (low, high) in enumerate(zip(p.TO_ONSET[:-1], p.TO_ONSET[1:], strict=True)):
        inside = (to_onset > low) & (to_onset <= high)
        here = risk[inside]
        assert (found.rows[b], found.stays[b]) == (len(here), len(set(stay[inside])))
        if not len(here):
            assert np.isnan([found.sensitivity[b], found.median[b], found.auroc[b]]).all()
            continue
        assert found.sensitivity[b] == pytest.approx(np.mean(here >= 0.5))
        quartiles = found.lower_quartile[b], found.median[b], found.upper_quartile[b]
        assert quartiles == pytest.approx(np.percentile(here, [25, 50, 75]))
        both = np.r_[np.ones(len(here)), np.zeros(len(free))], np.r_[here, free]
        assert found.auroc[b] == pytest.approx(auroc(*both), nan_ok=True)


def test_monotone_maps_leave_the_areas_unchanged() -> None:
    rng = np.random.default_rng(0)
    stay, hours = np.repeat(np.arange(100), 50), np.tile(np.arange(1.0, 51), 100)
    to_onset = np.where(stay < 30, 51 - hours, np.nan)
    label, risk = (to_onset <= 6).astype(int), rng.random(5000).round(2)
    found, again = (p.by_hours_to_onset(label, r, to_onset, stay, 0.5) for r in (risk, risk**3))
    assert np.array_equal(found.auroc, again.auroc, equal_nan=True)
    assert p.by_hours_to_onset(label, risk, to_onset, stay, 0.5).rows.tolist() == [30, 30, 60, 60, 180, 360, 720]


def test_nothing_is_undefined_and_no_onset_leaves_the_bins_empty() -> None:
    none = np.zeros(0)
    found = p.by_hours_to_onset(none, none, none, none.astype(int), 0.5)
    assert found.rows.sum() == 0
    assert np.isnan([found.sensitivity, found.median, found.auroc]).all()
    healthy = p.by_hours_to_onset(np.zeros(3), np.ones(3), np.full(3, np.nan), np.arange(3), 0.5)
    assert healthy.rows.tolist() == [0] * 7
    all_ill = p.by_hours_to_onset(np.ones(3), np.ones(3), np.ones(3), np.arange(3), 0.5)
    assert all_ill.sensitivity[0] == 1
    assert np.isnan(all_ill.auroc[0]), "no event-free rows to rank against"
