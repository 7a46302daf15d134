"""The utility equals the organisers' scorer, and its best threshold the best of all thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.errors import InputError
from clinical_lstm.metrics import discrimination
from clinical_lstm.metrics import utility as u

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"


def _cases(name: str) -> list[Any]:
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return json.loads(path.read_text())["cases"]


def _pooled(case: dict[str, Any], key: str) -> np.ndarray:
    return np.array([x for stay in case[key] for x in stay], float)


def test_every_official_case() -> None:
    for case in _cases("cinc2019_utility_cases.json"):
        expected, label = case["expected"], _pooled(case, "labels")
        stay = np.repeat(np.arange(len(case["labels"])), [len(x) for x in case["labels"]])
        hours = np.concatenate([np.arange(len(x), dtype=float) for x in case["labels"]])
        dt = u.hours_from_onset(stay, hours, label)
        alarm, silent = u.row_utilities(dt)
        called = _pooled(case, "predictions") == 1
        in_window = (dt >= u.EARLY) & (dt <= u.LATE)

        def per_stay(row: np.ndarray, stay: np.ndarray = stay, case: dict[str, Any] = case) -> np.ndarray:
            return np.bincount(stay, row, minlength=len(case["labels"]))

        close = {"rtol": 0, "atol": 1e-9, "err_msg": case["name"]}
        np.testing.assert_allclose(per_stay(np.where(called, alarm, silent)), expected["u_observed"], **close)
        np.testing.assert_allclose(per_stay(np.where(in_window, alarm, silent)), expected["u_best"], **close)
        np.testing.assert_allclose(per_stay(np.where(in_window, silent, alarm)), expected["u_worst"], **close)
        np.testing.assert_allclose(per_stay(silent), expected["u_inaction"], **close)
        score, official = u.normalised_utility(u.gain(dt), called), expected["normalized_utility"]
        assert np.isnan(score) if official is None else abs(score - official) < 1e-9, case["name"]
        if case["both_classes"] and case["probabilities_inside_0_1"]:
            risk = _pooled(case, "probabilities")
            assert discrimination.auroc(label, risk) == pytest.approx(expected["auroc"], abs=1e-9)
            assert discrimination.average_precision(label, risk) == pytest.approx(expected["auprc"], abs=1e-9)


def test_gain_by_hour_is_the_published_table() -> None:
    dt = np.array([-np.inf, -13, -12, -11, -9, -7, -6, -5, 0, 3, 4, 50])
    expected = [-0.05, -0.05, 0, 1 / 6, 1 / 2, 5 / 6, 1, 10 / 9, 15 / 9, 2, 0, 0]
    np.testing.assert_allclose(u.gain(dt), expected, atol=1e-12)


def test_alarming_on_every_label_scores_the_known_ceiling() -> None:
    hours = np.arange(40.0)
    label = (hours >= 20).astype(int)  # onset at 26, label from 20 on
    dt = u.hours_from_onset(np.zeros(40), hours, label)
    late = dt <= 3
    score = u.normalised_utility(u.gain(dt)[late], label[late] == 1)
    assert score == pytest.approx(15 / 17.5)  # 0.857: the five hours before the label hold the rest


def test_timed_utility_has_the_challenge_as_an_instance() -> None:
    dt = np.r_[-np.inf, np.linspace(-30, 12, 4201), -12.3, -12, -6, 3, np.nextafter(3, 4)]
    np.testing.assert_allclose(u.CINC2019.rows(dt), u.row_utilities(dt), atol=1e-12)
    np.testing.assert_allclose(u.CINC2019.gain(dt), u.gain(dt), atol=1e-12)
    finite = dt[np.isfinite(dt)]
    found = u.normalised_utility(u.CINC2019.gain(finite), finite > -8)
    assert found == pytest.approx(u.normalised_utility(u.gain(finite), finite > -8), abs=1e-12)


def test_timed_utility_is_joined_by_lines_held_before_and_nothing_after() -> None:
    utility = u.TimedUtility([[-4, 1], [-2, 3], [0, 2]], ((-1, -5),), false_alarm=-0.5, silent=0.25)
    dt = np.array([-np.inf, -9, -4, -3, -2, -1, 0, 0.5])
    alarm, silent = utility.rows(dt)
    assert alarm.tolist() == [-0.5, 1, 1, 2, 3, 2.5, 2, 0]
    assert silent.tolist() == [0.25, -5, -5, -5, -5, -5, 0, 0]
    assert utility.gain(dt).tolist() == (alarm - silent).tolist()
    assert utility == u.TimedUtility(((-4, 1), (-2, 3), (0, 2)), ((-1, -5),), false_alarm=-0.5, silent=0.25)


@pytest.mark.parametrize(
    ("true_alarm", "false_alarm", "message"),
    [
        ([], -1.0, "at least one pair"),
        ([[0, 1], [0, 2]], -1.0, "order them"),
        ([[1, 1], [0, 2]], -1.0, "order them"),
        ([[0, float("nan")]], -1.0, "finite"),
        ([[0, "high"]], -1.0, "finite"),
        ([0, 1], -1.0, "list of pairs"),
        ("onset", -1.0, "list of pairs"),
        ([[0, 1]], float("inf"), "false_alarm must be a finite number"),
    ],
)
def test_an_impossible_utility_is_refused(true_alarm: Any, false_alarm: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        u.TimedUtility(true_alarm, ((0, -1),), false_alarm)


def test_pre_onset_gain_drops_the_rows_from_onset_on() -> None:
    dt = np.arange(-20.0, 10.0)
    kept = dt < 0
    alarm = dt > -8
    score = u.normalised_utility(u.pre_onset_gain(dt), alarm)
    assert score == pytest.approx(u.normalised_utility(u.gain(dt)[kept], alarm[kept]), abs=1e-12)
    assert score != pytest.approx(u.normalised_utility(u.gain(dt), alarm))


decisions = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from([-0.05, 0.0, 0.25, 1.0, 2.0]), st.integers(0, 3)),
    min_size=1,
    max_size=40,
)


@given(decisions)
@settings(max_examples=80, deadline=None)
def test_best_threshold_is_the_best_of_all(sample: list[tuple[int, float, int]]) -> None:
    risk, gains = np.array([r for r, _, _ in sample]) / 10, np.array([g for _, g, _ in sample])
    won = [gains[risk >= t].sum() for t in (*sorted(set(risk)), 1.0)]
    assert gains[risk >= u.best_threshold(risk, gains)].sum() == pytest.approx(max(won), abs=1e-12)


@given(decisions)
@settings(max_examples=50, deadline=None)
def test_weights_count_rows_literally(sample: list[tuple[int, float, int]]) -> None:
    risk, gains, w = (np.array(column) for column in zip(*sample, strict=True))
    again = np.repeat(np.arange(len(w)), w)
    weighted = u.normalised_utility(gains, risk >= 5, w.astype(float))
    assert weighted == pytest.approx(u.normalised_utility(gains[again], risk[again] >= 5), abs=1e-9, nan_ok=True)


def test_no_septic_stay_is_undefined_and_never_alarms() -> None:
    dt = u.hours_from_onset(np.array(["a", "a", "b"]), np.arange(3.0), np.zeros(3))
    assert np.isnan(u.normalised_utility(u.gain(dt), np.ones(3, bool)))
    assert u.best_threshold(np.array([0.1, 0.5, 0.9]), u.gain(dt)) == 1.0


def test_the_fitted_threshold_is_where_an_alarm_gains_nothing_and_varies_less_than_the_best_one() -> None:
    draw = np.random.default_rng(0)

    def ward(rows: int) -> tuple[np.ndarray, np.ndarray]:
        risk = draw.beta(1, 20, rows)
        return risk, np.where(draw.random(rows) < risk, 1.0, -0.05)

    fair = 0.05 / 1.05  # p * 1 = (1 - p) * 0.05
    assert u.fitted_threshold(*ward(200_000)) == pytest.approx(fair, abs=0.003)
    small = [ward(2_000) for _ in range(60)]
    fitted, best = (np.array([choose(*one) for one in small]) for choose in (u.fitted_threshold, u.best_threshold))
    assert np.abs(fitted - fair).mean() < 0.7 * np.abs(best - fair).mean()


@pytest.mark.parametrize("gains", [[-1.0, -1.0, -0.5], [1.0, 2.0, 0.5], [1.0, 0.5, -1.0], [0.0, 0.0, 0.0]])
def test_without_a_rising_fit_the_fitted_threshold_is_the_best_one(gains: list[float]) -> None:
    risk = np.array([0.1, 0.2, 0.3])
    assert u.fitted_threshold(risk, np.array(gains)) == u.best_threshold(risk, np.array(gains))
