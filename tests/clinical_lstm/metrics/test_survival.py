"""Censoring weights and Brier scores over time meet worked examples, an independent library and their identities."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.errors import InputError
from clinical_lstm.metrics import survival as s

LATER = 1e-6  # an oracle that censors first at ties agrees once the censorings come an instant later
HORIZONS = np.array([1.0, 2.0, 4.0])
# (time, event, risk by horizon in eighths, how often the row counts)
rows = st.lists(
    st.tuples(st.integers(1, 6), st.booleans(), st.lists(st.integers(0, 8), min_size=3, max_size=3), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def _arrays(sample: list[tuple[int, bool, list[int], int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    time, event, risk, count = zip(*sample, strict=True)
    return np.array(time, float), np.array(event), np.array(risk) / 8, np.array(count, float)


def _surv(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    util = pytest.importorskip("sksurv.util", reason="scikit-survival, the oracle, is not installed")
    return util.Surv.from_arrays(event, time + np.where(event, 0, LATER))


def _naive_left(time: np.ndarray, event: np.ndarray, at: float) -> Fraction:
    """G(at-) by its definition, in exact fractions."""
    left = Fraction(1)
    for u in sorted(set(time[~event])):
        if u < at:
            lost = int(((time == u) & ~event).sum())
            left *= 1 - Fraction(lost, int((time > u).sum()) + lost)
    return left


def _naive_brier(time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float) -> float:
    at_h, summed = _naive_left(time, event, horizon), 0.0
    if at_h == 0:
        return float("nan")
    for t, e, r in zip(time, event, risk, strict=True):
        if e and t <= horizon:
            summed += (1 - r) ** 2 / float(_naive_left(time, event, t))
        elif t >= horizon:
            summed += r**2 / float(at_h)
    return summed / len(time)


def test_a_worked_example() -> None:
    # those censored at 2 and 4 hand their share on: G = 1 up to 2, 3/4 up to 4, 3/8 behind (at 4 the event goes first)
    time, event = np.array([1.0, 2, 4, 4, 5]), np.array([True, False, True, False, True])
    assert s.censoring_survival(time, event, np.array([1.0, 2, 2.5, 4, 5])).tolist() == [1, 1, 0.75, 0.75, 0.375]
    risk = np.array([[0.5, 1.0], [0.5, 0.5], [0.0, 0.5], [0.25, 0.0], [0.5, 0.5]])
    scores = s.brier_over_time(time, event, risk, np.array([2.0, 4.0]))
    # at 2 nobody is lost: the row censored there is event-free there.   (.5^2 + .5^2 + 0 + .25^2 + .5^2) / 5
    # at 4: row 1 weighs 1, rows 3, 4 and 5 weigh 4/3 each, row 2 nothing: (0 + 4/3 (.5^2 + 0 + .5^2)) / 5
    assert scores.brier == pytest.approx([0.1625, 2 / 15])
    assert scores.null == pytest.approx([0.2 * 0.8, (1 + 4 / 3) / 5 * (8 / 3) / 5])
    assert scores.scaled == pytest.approx([1 - 0.1625 / 0.16, 1 - (2 / 15) / (56 / 225)])
    assert scores.integrated == pytest.approx((0.1625 + 2 / 15) / 2)
    assert scores.integrated_scaled == pytest.approx(1 - (0.1625 + 2 / 15) / (0.16 + 56 / 225))


@given(rows)
@settings(max_examples=80, deadline=None)
def test_it_equals_its_definition(sample: list[tuple[int, bool, list[int], int]]) -> None:
    time, event, risk, _ = _arrays(sample)
    at = np.array([0.5, 1, 2, 3.5, 6, 9])
    expected = [float(_naive_left(time, event, t)) for t in at]
    assert s.censoring_survival(time, event, at) == pytest.approx(expected, abs=1e-12)
    brier = [_naive_brier(time, event, risk[:, k], h) for k, h in enumerate(HORIZONS)]
    assert s.brier_over_time(time, event, risk, HORIZONS).brier == pytest.approx(brier, abs=1e-12, nan_ok=True)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_scikit_survival_agrees(sample: list[tuple[int, bool, list[int], int]]) -> None:
    ends = [(1, True, [1, 4, 6], 1), (6, False, [0, 2, 7], 1)]  # the oracle wants the horizons inside the times
    time, event, risk, _ = _arrays(sample + ends)
    outcome = _surv(time, event)
    metrics = pytest.importorskip("sksurv.metrics")
    _, expected = metrics.brier_score(outcome, outcome, 1 - risk, HORIZONS)
    scores = s.brier_over_time(time, event, risk, HORIZONS)
    assert scores.brier == pytest.approx(expected, abs=1e-9)
    assert scores.integrated == pytest.approx(
        metrics.integrated_brier_score(outcome, outcome, 1 - risk, HORIZONS), abs=1e-9
    )


def test_scikit_survival_agrees_on_untied_times() -> None:
    util = pytest.importorskip("sksurv.util", reason="scikit-survival, the oracle, is not installed")
    metrics = pytest.importorskip("sksurv.metrics")
    rng = np.random.default_rng(5)
    time, event = rng.exponential(20, 3000), rng.random(3000) < 0.3
    horizons = np.array([2.0, 6, 12, 24, 48])
    risk = np.cumsum(rng.beta(1, 9, (3000, 5)), axis=1).clip(0, 1)
    outcome = util.Surv.from_arrays(event, time)
    scores = s.brier_over_time(time, event, risk, horizons)
    assert scores.brier == pytest.approx(metrics.brier_score(outcome, outcome, 1 - risk, horizons)[1], abs=1e-9)
    nonparametric = pytest.importorskip("sksurv.nonparametric")
    at, alive = nonparametric.kaplan_meier_estimator(event, time)
    free = np.tile(alive[np.searchsorted(at, horizons, "right") - 1], (3000, 1))
    assert scores.null == pytest.approx(metrics.brier_score(outcome, outcome, free, horizons)[1], abs=1e-9)


@given(rows)
@settings(max_examples=80, deadline=None)
def test_weights_and_counts_repeat_rows_literally(sample: list[tuple[int, bool, list[int], int]]) -> None:
    time, event, risk, count = _arrays(sample)
    again = np.repeat(np.arange(len(time)), count.astype(int))
    repeated = s.brier_over_time(time[again], event[again], risk[again], HORIZONS)
    weighted = s.brier_over_time(time, event, risk, HORIZONS, count)
    for one, other in zip(weighted, repeated, strict=True):
        assert one == pytest.approx(other, abs=1e-12, nan_ok=True)


@given(rows, st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_replicate_is_the_score_of_its_patients(sample: list[tuple], draws: list[tuple]) -> None:
    time, event, risk, _ = _arrays(sample)
    patient = np.arange(len(time)) % 4
    counts = np.array(draws, float).T[: patient.max() + 1]
    found = s.BrierOverTime(time, event, risk, HORIZONS, patient)(counts)
    for r in range(counts.shape[1]):
        alone = s.brier_over_time(time, event, risk, HORIZONS, counts[patient, r])
        for one, other in zip(found, alone, strict=True):
            assert one[..., r] == pytest.approx(other, abs=1e-12, nan_ok=True)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_the_weights_of_the_known_rows_add_up_to_all_rows(sample: list[tuple[int, bool, list[int], int]]) -> None:
    time, event, risk, _ = _arrays(sample)
    always = s.brier_over_time(time, event, np.ones_like(risk), HORIZONS).brier  # the mean weight of the followed rows
    never = s.brier_over_time(time, event, np.zeros_like(risk), HORIZONS).brier  # that of the cases
    defined = ~np.isnan(always)
    assert (always + never)[defined] == pytest.approx(1)
    assert s.brier_over_time(time, event, risk, HORIZONS).null == pytest.approx(always * never, abs=1e-12, nan_ok=True)


def test_without_censoring_before_the_horizon_it_is_the_plain_score_of_the_labels() -> None:
    rng = np.random.default_rng(1)
    time, event = rng.integers(1, 9, 200).astype(float), rng.random(200) < 0.5
    event |= time < 4  # some are censored at the horizon itself: label 0, known
    label, risk = (event & (time <= 4)).astype(float), rng.random(200)
    found = s.brier_over_time(time, event, risk[:, None], np.array([4.0]))
    assert found.brier == pytest.approx([np.mean((risk - label) ** 2)])
    assert found.null == pytest.approx([label.mean() * (1 - label.mean())])


def test_what_the_rows_do_not_define_is_nan() -> None:
    time, half = np.array([1.0, 2, 3]), np.full((3, 2), 0.5)
    horizons, never = np.array([2.0, 4.0]), np.zeros(3, bool)
    censored = s.brier_over_time(time, never, half, horizons)  # censored rows only, none of them followed to 4
    assert censored.brier.tolist() == pytest.approx([0.25, np.nan], nan_ok=True)
    assert censored.null[0] == 0
    assert np.isnan(censored.scaled).all()
    assert np.isnan([censored.integrated, censored.integrated_scaled]).all()
    struck = s.brier_over_time(time, ~never, half, horizons)  # events only: all is known by 4, and nobody is free
    assert struck.brier == pytest.approx([0.25, 0.25])
    assert struck.null == pytest.approx([2 / 9, 0])
    assert np.isnan(struck.scaled[1])
    assert np.isnan(s.brier_over_time(time, ~never, half[:, :1], horizons[:1]).integrated)
    nothing = s.brier_over_time(time[:0], never[:0], half[:0], horizons)
    assert np.isnan(nothing.brier).all()
    tied = s.brier_over_time(np.full(3, 2.0), np.array([True, False, False]), half, np.array([2.0, 3.0]))
    assert tied.brier == pytest.approx([0.25, np.nan], nan_ok=True)
    assert tied.null[0] == pytest.approx(2 / 9)


def test_times_come_from_onset_and_follow_up() -> None:
    hours = np.array([1.0, 1.0, 1.0, 8.0])
    onset = np.array([7.0, np.nan, np.nan, 7.0])
    time, event = s.time_to_event(hours, onset, np.array([9.0, 9.0, 1.0, 9.0]), gap=0.5)
    assert time == pytest.approx([5.5, 7.5, np.nan, np.nan], nan_ok=True)
    assert event.tolist() == [True, False, False, True]
    spans, _ = s.time_to_event(np.arange(600) / 12, np.arange(600) / 12 + 0.1, np.full(600, 60.0))
    assert len(set(spans)) == 1, "the same 6 minutes everywhere on a grid of 5 minutes"


@pytest.mark.parametrize(
    ("time", "event", "risk", "horizons", "words"),
    [
        ([1.0, np.nan], [True, False], [[0.1], [0.2]], [2.0], "1 of 2 rows"),
        ([0.0, 1.0], [True, False], [[0.1], [0.2]], [2.0], "no finite time above 0"),
        ([1.0, 1.0], [1, 0], [[0.1], [0.2]], [2.0], "give bool"),
        ([1.0, 1.0], [True, False], [[0.1], [np.nan]], [2.0], "1 not finite"),
        ([1.0, 1.0], [True, False], [[0.1], [0.2]], [2.0, 3.0], "shape"),
        ([1.0, 1.0], [True, False], [[0.1, 0.2], [0.2, 0.3]], [3.0, 2.0], "ascend"),
    ],
)
def test_a_mistake_is_named(time: list, event: list, risk: list, horizons: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        s.brier_over_time(np.array(time), np.array(event), np.array(risk), np.array(horizons))
