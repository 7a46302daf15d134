"""Events, watched time and lead times by hand; rows that cannot be scored are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms import AlarmCurve, AlarmMeasures, Course, Policy, tune

NAN = float("nan")


def day(**change: Any) -> Course:
    """One stay with two events, at 5.5 and 11 h, and one without any."""
    rows = {
        "stay": np.array([7, 7, 7, 7, 7, 7, 9, 9]),
        "hours": np.array([1.0, 2, 4, 5, 8, 10, 1, 2]),
        "risk": np.array([0.6, 0.1, 0.7, 0.8, 0.9, 0.2, 0.7, 0.1]),
        "label": np.array([0, 0, 1, 1, 1, 1, 0, 0]),
        "onset": np.array([NAN, NAN, 5.5, 5.5, 11, 11, NAN, NAN]),
        "patient": np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        "ends": np.array([NAN, NAN, NAN, NAN, 7, 7, NAN, NAN]),
    }
    return Course(**(rows | change))


def test_a_policy_by_hand() -> None:
    found = AlarmMeasures(day(), Policy(0.6, silence_hours=2.0, reset_hours=1.0))()
    # alarms: stay 7 at 1 (false), 4 (true), 8 (true, its reset ends at 8), stay 9 at 1 (false)
    assert found["event_recall"] == 1
    assert found["alarm_precision"] == 0.5
    assert found["false_alarms_per_true_alarm"] == 1
    assert [found[f"lead_time_{q}"] for q in ("q25", "median", "q75")] == [1.875, 2.25, 2.625]  # 1.5 and 3 h
    assert [found[f"lead_over_{h}h"] for h in (1, 2, 4, 6)] == [1, 0.5, 0, 0]
    # watched: 2 (the median of 1, 2, 1, 3, 2), 1, 2, 1, 1 (since the end at 7), 2; and 1 + 1
    assert found["alarms_per_patient_day"] == pytest.approx(4 / (11 / 24))
    assert found["false_alarms_per_patient_day"] == pytest.approx(2 / (11 / 24))


def test_a_longer_reset_loses_the_second_event() -> None:
    found = AlarmMeasures(day(), Policy(0.6, silence_hours=2.0, reset_hours=1.5))()
    assert found["event_recall"] == 0.5
    assert found["lead_time_median"] == 1.5


def test_an_early_false_alarm_can_silence_an_event_so_recall_is_not_monotone() -> None:
    rows = Course(np.zeros(3, int), np.arange(3.0), np.array([0.5, 0.1, 0.9]), np.array([0, 0, 1]), np.full(3, 4.0))
    curve = AlarmCurve(rows, 4.0, thresholds=np.array([0.5, 0.9]))
    assert curve.recall.tolist() == [1, 0]
    assert curve.area() == 1
    assert tune(rows, budget=24.0, silence_hours=4.0).threshold == 0.9


def test_an_alarm_exactly_an_hour_ahead_is_not_over_an_hour() -> None:
    minute = np.arange(600)  # differences of minutes / 60 are 1 but for their last bit
    ones = np.ones(600, int)
    for ahead, wanted in [(59, 0), (60, 0), (61, 1)]:
        rows = Course(minute, minute / 60, ones, ones, (minute + ahead) / 60)
        assert AlarmMeasures(rows, Policy(0.5))()["lead_over_1h"] == wanted


def test_unknown_onsets_are_events_without_a_lead_time() -> None:
    rows = day(onset=np.full(8, NAN), label=np.array([1, 0, 1, 1, 0, 1, 1, 0]))
    assert rows.event.tolist() == [0, -1, 1, 1, -1, 2, 3, -1]
    assert rows.event_patient.tolist() == [0, 0, 0, 1]
    found = AlarmMeasures(rows, Policy(0.6))()
    assert found["event_recall"] == 0.75
    assert np.isnan([found["lead_time_median"], found["lead_over_1h"]]).all()


def test_without_events_recall_is_undefined_and_nothing_alarms_after_tuning() -> None:
    rows = day(label=np.zeros(8, int))
    found = AlarmMeasures(rows, Policy(0.6))()
    assert np.isnan(found["event_recall"]) and found["alarm_precision"] == 0
    assert np.isnan(AlarmCurve(rows).area()) and np.isnan(AlarmCurve(rows).area(np.ones((2, 3)))).all()
    assert tune(rows, budget=99.0) == Policy(1.0)


def test_a_risk_of_one_does_not_alarm_where_nothing_meets_the_budget() -> None:
    rows = Course(np.arange(2), np.zeros(2), np.ones(2), np.array([0, 1]), np.full(2, 3.0))
    never = tune(rows, budget=0.0)
    assert never.threshold > 1
    assert AlarmMeasures(rows, never)()["alarms_per_patient_day"] == 0


def test_no_rows_are_undefined() -> None:
    nothing = np.zeros(0)
    rows = Course(nothing, nothing, nothing, nothing, nothing)
    assert np.isnan(list(AlarmMeasures(rows, Policy(0.5))().values())).all()
    assert np.isnan(AlarmCurve(rows).area())
    assert tune(rows, budget=1.0) == Policy(1.0)


def test_patients_without_rows_change_nothing() -> None:
    more = AlarmMeasures(day(patients=5), Policy(0.6))
    assert more.patients == 5
    assert more() == AlarmMeasures(day(), Policy(0.6))()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": np.array([0, 0, 1, 1, 2, -1, 0, 0])}, "2 of 8 rows for alarms have a label that is neither 0 nor 1"),
        ({"label": np.zeros(3)}, "differ in shape"),
        ({"risk": np.full(8, NAN)}, "8 of 8 rows for alarms have no risk"),
        ({"onset": np.full(8, np.inf)}, "4 of 8 rows for alarms have an infinite onset"),
        ({"patient": np.array([0, 0, 1, 0, 0, 0, 1, 1])}, "another patient than their stay, the first is row 2"),
        ({"patients": 1}, "2 of 8 rows for alarms have a patient code out of range"),
    ],
)
def test_bad_rows_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        day(**change)


@pytest.mark.parametrize("budget", [-0.1, NAN, np.inf])
def test_a_budget_is_a_number(budget: float) -> None:
    with pytest.raises(InputError, match="budget of false alarms per patient-day is"):
        tune(day(), budget)


def test_a_threshold_is_a_number() -> None:
    with pytest.raises(InputError, match="threshold of the alarm curve"):
        AlarmCurve(day(), thresholds=np.array([0.5, NAN]))
