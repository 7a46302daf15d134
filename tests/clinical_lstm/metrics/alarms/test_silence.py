"""Alarms by hand: silence, reset, and times that are equal when they are meant to be; bad rows are refused."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms import Policy, Silence, raised

STAY, HOURS, RISK = np.array([0, 0, 0, 1]), np.array([1.0, 2, 3, 1]), np.array([0.9, 0.9, 0.2, 0.9])


def test_the_day_that_the_package_draws() -> None:
    hours = np.r_[1.0:12, 15:18]
    risk = np.array([0.1, 0.6, 0.7, 0.8, 0.3, 0.2, 0.4, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9])
    ends = np.where(hours > 11, 14.0, np.nan)
    alarm = raised(np.zeros(14, int), hours, risk, Policy(0.5, 4.0, 3.0), ends)
    assert hours[alarm].tolist() == [2, 8, 17]
    assert hours[raised(np.zeros(14, int), hours, risk, Policy(0.5, 4.0), ends)].tolist() == [2, 8, 15]


def test_a_silence_ends_at_its_last_minute_and_with_the_stay() -> None:
    assert raised(STAY, HOURS, RISK, Policy(0.9, silence_hours=1.0)).tolist() == [True, True, False, True]
    assert raised(STAY, HOURS, RISK, Policy(0.9, silence_hours=1.5)).tolist() == [True, False, False, True]
    assert raised(STAY, HOURS, RISK, Policy(0.2, silence_hours=99.0)).tolist() == [True, False, False, True]


def test_a_silenced_row_does_not_silence() -> None:
    alarm = raised(np.zeros(6, int), np.arange(6.0), np.ones(6), Policy(0.5, silence_hours=2.0))
    assert alarm.tolist() == [True, False] * 3


@pytest.mark.parametrize("minutes", [1, 5, 7, 10, 20])
def test_times_in_minutes_do_not_silence_one_step_too_long(minutes: int) -> None:
    hours = np.arange(1, 2000) * minutes / 60
    alarm = raised(np.zeros(len(hours), int), hours, np.ones(len(hours)), Policy(0.5, silence_hours=7 * minutes / 60))
    assert np.flatnonzero(alarm).tolist() == list(range(0, len(hours), 7))


def test_no_rows_raise_no_alarm() -> None:
    nothing = np.zeros(0)
    assert raised(nothing, nothing, nothing, Policy(0.0, 2.0, 2.0), nothing).shape == (0,)


def test_single_precision_risks_meet_the_threshold_made_of_them() -> None:
    risk = np.float32([0.1, 0.7])
    silence = Silence(np.zeros(2, int), np.arange(2.0), risk, 0.0, 0.0)
    assert silence.alarms(float(risk[1])).tolist() == [1]
    assert silence.alarms(np.nextafter(float(risk[1]), 1.0)).tolist() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"risk": np.array([0.9, np.nan, 0.2, 1.5])},
            "2 of 4 rows for alarms have no risk in .0, 1., the first is row 1",
        ),
        ({"hours": np.array([1.0, 3, 2, 1])}, "1 of 4 rows for alarms do not come after .* the first is row 2; sort"),
        ({"hours": np.array([1.0, 1, 2, 1])}, "every time of a stay once"),
        ({"stay": np.array([1, 1, 1, 0])}, "the first is row 3"),
        ({"hours": np.array([1.0, 2, np.inf, 1])}, "have no finite hours"),
        ({"risk": np.array([0.9])}, r"differ in shape: stay \(4,\), hours \(4,\), risk \(1,\)"),
        ({"risk": np.ones((4, 1))}, "differ in shape"),
        ({"ends": np.array([np.nan, 1.0, 4.0, np.nan])}, "1 of 4 rows for alarms lie before the `ends`"),
    ],
)
def test_bad_rows_are_refused(change: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(InputError, match=said):
        raised(**({"stay": STAY, "hours": HOURS, "risk": RISK, "policy": Policy(0.5)} | change))
