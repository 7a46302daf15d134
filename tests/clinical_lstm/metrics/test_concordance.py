"""Concordance and AUROC over time meet worked examples, an independent library, all pairs, and their invariants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.concordance import RankingOverTime, auroc_over_time, concordance
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.metrics.survival import censoring_survival

LATER = 1e-6  # an oracle that censors first at ties agrees once the censorings come an instant later
# (time, event, risk, how often the row counts)
rows = st.lists(
    st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30
)
horizons = st.sampled_from([1.0, 3.0, 5.0, 12.0])


def _arrays(sample: list[tuple[int, bool, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    time, event, risk, count = zip(*sample, strict=True)
    return np.array(time, float), np.array(event), np.array(risk) / 8, np.array(count, float)


def _pair_by_pair(time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float) -> tuple[float, float]:
    """Both measures by their definition: every case against every row."""
    left = censoring_survival(time, event, time)
    sums = np.zeros((2, 2))
    for i in np.flatnonzero(event & (time <= horizon)):
        for j in range(len(time)):
            won = 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                sums[0] += np.array([won, 1]) / left[i] ** 2
            if time[j] > horizon or (time[j] == horizon and not event[j]):
                sums[1] += np.array([won, 1]) / left[i]
    return tuple(won / pairs if pairs else float("nan") for won, pairs in sums)


def test_a_worked_example() -> None:
    # G(1-) = 1; one of the four rows left at 2 is censored there: G(3-) = 3/4, weights 4/3 (AUC) and 16/9 (C)
    time, event = np.array([1.0, 2, 3, 4, 5]), np.array([True, False, True, False, True])
    risk = np.array([0.5, 0.9, 0.7, 0.2, 0.7])
    # case 1 outlived by 2, 3, 4, 5: beats 4 alone.   case 3 outlived by 4, 5: beats 4, ties with 5
    assert concordance(time, event, risk, 3.0) == pytest.approx((1 + 16 / 9 * 1.5) / (4 + 16 / 9 * 2))
    assert concordance(time, event, risk, 2.0) == pytest.approx(1 / 4)
    # at 3 rows 4 and 5 are event-free: case 1 beats 4, case 3 beats 4 and ties with 5
    assert auroc_over_time(time, event, risk, 3.0) == pytest.approx((1 + 4 / 3 * 1.5) / (2 + 4 / 3 * 2))


@given(rows, horizons)
@settings(max_examples=150, deadline=None)
def test_it_equals_its_definition_pair_by_pair(sample: list[tuple[int, bool, int, int]], horizon: float) -> None:
    time, event, risk, _ = _arrays(sample)
    expected = _pair_by_pair(time, event, risk, horizon)
    assert concordance(time, event, risk, horizon) == pytest.approx(expected[0], abs=1e-12, nan_ok=True)
    assert auroc_over_time(time, event, risk, horizon) == pytest.approx(expected[1], abs=1e-12, nan_ok=True)


def _oracle(time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float) -> tuple[float, float]:
    util = pytest.importorskip("sksurv.util", reason="scikit-survival, the oracle, is not installed")
    metrics = pytest.importorskip("sksurv.metrics")
    outcome = util.Surv.from_arrays(event, time + np.where(event, 0, LATER))
    index = metrics.concordance_index_ipcw(outcome, outcome, risk, tau=np.nextafter(horizon, np.inf))[0]
    return index, metrics.cumulative_dynamic_auc(outcome, outcome, risk, horizon)[0][0]


@given(rows, horizons)
@settings(max_examples=60, deadline=None)
def test_scikit_survival_agrees(sample: list[tuple[int, bool, int, int]], horizon: float) -> None:
    time, event, risk, _ = _arrays(sample)
    assume((event & (time <= horizon)).any() and time.max() > horizon)
    expected = _oracle(time, event, risk, horizon)
    found = concordance(time, event, risk, horizon), auroc_over_time(time, event, risk, horizon)
    assert found == pytest.approx(expected, abs=1e-9)


def test_scikit_survival_agrees_on_real_stays(tiny_source: Path) -> None:
    parts = []
    for path in sorted(tiny_source.glob("*/*.psv")):
        header, *lines = path.read_text().splitlines()
        table = np.genfromtxt(lines, delimiter="|", ndmin=2, usecols=[0, header.split("|").index("SepsisLabel")])
        sick = np.flatnonzero(table[:, 1] == 1)
        end, event = (sick[0] + 7, True) if len(sick) else (len(table), False)
        hours = np.arange(1, min(end, len(table) + 1))
        parts.append(np.stack([end - hours, np.full(len(hours), event), np.nan_to_num(table[hours - 1, 0])]))
    time, event, heart_rate = np.concatenate(parts, axis=1)
    kept = time > 0
    time, event, heart_rate = time[kept], event[kept] == 1, heart_rate[kept]
    for horizon in (6.0, 24.0):
        found = concordance(time, event, heart_rate, horizon), auroc_over_time(time, event, heart_rate, horizon)
        assert found == pytest.approx(_oracle(time, event, heart_rate, horizon), abs=1e-9)
        assert min(found) > 0.5, "a fast heart goes before sepsis"


@given(rows, horizons)
@settings(max_examples=80, deadline=None)
def test_weights_repeat_rows_literally(sample: list[tuple[int, bool, int, int]], horizon: float) -> None:
    time, event, risk, count = _arrays(sample)
    again = np.repeat(np.arange(len(time)), count.astype(int))
    for measure in (concordance, auroc_over_time):
        weighted = measure(time, event, risk, horizon, count)
        repeated = measure(time[again], event[again], risk[again], horizon)
        assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)


@given(rows, horizons, st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_replicate_is_the_score_of_its_patients(sample: list[tuple], horizon: float, draws: list[tuple]) -> None:
    time, event, risk, _ = _arrays(sample)
    patient = np.arange(len(time)) % 4
    counts = np.array(draws, float).T[: patient.max() + 1]
    found = RankingOverTime(time, event, risk, horizon, patient)(counts)
    for r in range(counts.shape[1]):
        weight = counts[patient, r]
        assert found.concordance[r] == pytest.approx(concordance(time, event, risk, horizon, weight), nan_ok=True)
        assert found.auroc[r] == pytest.approx(auroc_over_time(time, event, risk, horizon, weight), nan_ok=True)


@given(rows, horizons, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_monotone_maps_leave_both_bit_equal_and_reversal_mirrors_them(
    sample: list[tuple[int, bool, int, int]], horizon: float, random: Any
) -> None:
    time, event, risk, _ = _arrays(sample)
    shuffled = np.array(random.sample(range(len(time)), len(time)))
    for measure in (concordance, auroc_over_time):
        value = measure(time, event, risk, horizon)
        assert np.array_equal(value, measure(time, event, np.exp(3 * risk) - 9, horizon), equal_nan=True)
        assert value == pytest.approx(measure(time[shuffled], event[shuffled], risk[shuffled], horizon), nan_ok=True)
        flat, defined = np.full(len(time), 0.3), not np.isnan(value)
        assert measure(time, event, -risk, horizon) == pytest.approx(1 - value, nan_ok=True)
        assert measure(time, event, flat, horizon) == pytest.approx(0.5 if defined else np.nan, nan_ok=True)


def test_the_right_order_is_1_and_without_censoring_the_auroc_is_the_plain_one() -> None:
    rng = np.random.default_rng(2)
    time, event = rng.integers(1, 30, 500).astype(float), rng.random(500) < 0.5
    assert concordance(time, event, -time - 0.5 * event + event, 12.0) == 1
    event |= time < 12
    risk = rng.random(500)
    plain = auroc((event & (time <= 12)).astype(int), risk)
    assert auroc_over_time(time, event, risk, 12.0) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("time", "event"),
    [
        ([1.0, 2.0, 3.0], [False, False, False]),
        ([9.0, 9.5, 9.0], [True, True, False]),
        ([2.0, 2.0, 2.0], [True, True, True]),
        ([], []),
    ],
    ids=["censored rows only", "no event by the horizon", "all events at once", "no rows"],
)
def test_without_pairs_both_are_nan(time: list[float], event: list[bool]) -> None:
    outcome = np.array(time), np.array(event, dtype=bool)
    risk = np.linspace(0, 1, len(time))
    assert np.isnan([concordance(*outcome, risk, 6.0), auroc_over_time(*outcome, risk, 6.0)]).all()


def test_a_mistake_is_named() -> None:
    with pytest.raises(InputError, match="1 of 2 rows"):
        concordance(np.array([1.0, np.nan]), np.array([True, False]), np.zeros(2), 6.0)
    with pytest.raises(InputError, match="2 not finite"):
        concordance(np.array([1.0, 2.0]), np.array([True, False]), np.full(2, np.nan), 6.0)
