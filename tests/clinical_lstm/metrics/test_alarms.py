"""Alarm measures, curve and tuning equal a literal walk through every stay, row by row, written from the rules."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.errors import InputError
from clinical_lstm.metrics.alarms import AlarmCurve, AlarmMeasures, Course, Policy, raised, tune

NAN = float("nan")
PATIENTS = 4


class Row(NamedTuple):
    hours: float
    risk: float
    label: int
    onset: float
    ended: float


class Stay(NamedTuple):
    patient: int
    rows: list[Row]


@st.composite
def stays(draw: st.DrawFn) -> list[Stay]:
    """Stays of 1 to 12 rows in quarters of an hour: ties, any labels, several events, known and unknown onsets."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        spacing = draw(st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.0, 1.0, 4.0]), min_size=1, max_size=12))
        rows = []
        for hours in np.cumsum(spacing).tolist():
            risk = draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
            onset, since = (
                draw(st.sampled_from([NAN, 6.0, 6.0, 12.0, 20.0])),
                draw(st.sampled_from([NAN, 0.0, 1.0, 2.5])),
            )
            rows.append(Row(hours, risk, draw(st.integers(0, 1)), onset, hours - since))
        found.append(Stay(draw(st.integers(0, PATIENTS - 1)), rows))
    return found


policies = st.builds(
    Policy,
    threshold=st.sampled_from([0.0, 0.25, 0.6, 0.75, 1.0]),
    silence_hours=st.sampled_from([0.0, 0.25, 1.0, 2.0, 5.5]),
    reset_hours=st.sampled_from([0.0, 1.0, 2.0, 6.0]),
)
draws = st.lists(st.integers(0, 3), min_size=PATIENTS, max_size=PATIENTS)


def columns(sample: list[Stay]) -> dict[str, np.ndarray]:
    rows = [(code, stay.patient, *row) for code, stay in enumerate(sample) for row in stay.rows]
    names = ["stay", "patient", "hours", "risk", "label", "onset", "ends"]
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def course(sample: list[Stay]) -> Course:
    return Course(**columns(sample), patients=PATIENTS)


def walk(rows: list[Row], policy: Policy) -> list[int]:
    """Return the places of a stay's alarms: time passes, and at every row the rules are asked in turn."""
    alarms, silent_until = [], -math.inf
    for place, row in enumerate(rows):
        inside_reset = not math.isnan(row.ended) and row.hours < row.ended + policy.reset_hours
        if row.risk >= policy.threshold and not inside_reset and not row.hours < silent_until:
            alarms.append(place)
            silent_until = row.hours + policy.silence_hours
    return alarms


def named(rows: list[Row]) -> list[Any]:
    """Return the event that each row of a stay is about: its onset, or the place where an unknown one began."""
    names: list[Any] = []
    for place, row in enumerate(rows):
        if not row.label:
            names.append(None)
        elif not math.isnan(row.onset):
            names.append(("at", row.onset))
        else:
            goes_on = place > 0 and names[-1] is not None and names[-1][0] == "began"
            names.append(names[-1] if goes_on else ("began", place))
    return names


def watched(rows: list[Row]) -> float:
    """Return the hours that a stay's rows stand for."""
    spacing = [b.hours - a.hours for a, b in itertools.pairwise(rows)]
    steps = [statistics.median(spacing) if spacing else 1.0, *spacing]
    return sum(
        step if math.isnan(row.ended) else min(step, max(row.hours - row.ended, 0.0))
        for step, row in zip(steps, rows, strict=True)
    )


def tally(sample: list[Stay], policy: Policy, drawn: list[int]) -> dict[str, Any]:
    """Return the sums over all stays, each as often as its patient was drawn."""
    found: dict[str, Any] = {"alarms": 0, "true": 0, "events": 0, "known": 0, "detected": 0, "days": 0.0, "leads": []}
    for stay in sample:
        for _ in range(drawn[stay.patient]):
            names, alarms = named(stay.rows), walk(stay.rows, policy)
            events = {name for name in names if name}
            first: dict[Any, float] = {}
            for place in alarms:
                if stay.rows[place].label:
                    first.setdefault(names[place], stay.rows[place].hours)
            found["alarms"] += len(alarms)
            found["true"] += sum(stay.rows[place].label for place in alarms)
            found["events"] += len(events)
            found["known"] += sum(name[0] == "at" for name in events)
            found["detected"] += len(first)
            found["days"] += watched(stay.rows) / 24
            found["leads"] += [name[1] - hours for name, hours in first.items() if name[0] == "at"]
    return found


def expected(sample: list[Stay], policy: Policy, drawn: list[int]) -> dict[str, float]:
    t = tally(sample, policy, drawn)
    false = t["alarms"] - t["true"]
    quartiles = np.quantile(t["leads"], [0.25, 0.5, 0.75]).tolist() if t["leads"] else [NAN] * 3
    return {
        "event_recall": over(t["detected"], t["events"]),
        "alarm_precision": over(t["true"], t["alarms"]),
        "alarms_per_patient_day": over(t["alarms"], t["days"]),
        "false_alarms_per_patient_day": over(false, t["days"]),
        "false_alarms_per_true_alarm": over(false, t["true"]),
        **dict(zip(["lead_time_q25", "lead_time_median", "lead_time_q75"], quartiles, strict=True)),
        **{f"lead_over_{h}h": over(sum(lead > h for lead in t["leads"]), t["known"]) for h in (1, 2, 4, 6)},
    }


def over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN


def close(value: float, wanted: float) -> bool:
    return value == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True)


@given(stays(), policies)
@settings(max_examples=300, deadline=None)
def test_alarms_are_those_of_the_walk(sample: list[Stay], policy: Policy) -> None:
    rows = columns(sample)
    found = raised(rows["stay"], rows["hours"], rows["risk"], policy, rows["ends"])
    walked = [place in walk(stay.rows, policy) for stay in sample for place in range(len(stay.rows))]
    assert found.tolist() == walked


@given(stays(), policies, st.lists(draws, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_measures_of_drawn_patients_are_those_of_the_walk(
    sample: list[Stay], policy: Policy, drawn: list[list[int]]
) -> None:
    measures = AlarmMeasures(course(sample), policy)
    found = measures(np.array(drawn, float).T)
    for r, one in enumerate(drawn):
        wanted = expected(sample, policy, one)
        assert list(found) == list(wanted)
        assert all(close(found[name][r], wanted[name]) for name in wanted), (found, wanted)
    plain = measures()
    assert all(close(plain[name], value) for name, value in expected(sample, policy, [1] * PATIENTS).items())


@given(stays(), policies, st.lists(draws, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_curve_is_that_of_the_walk(sample: list[Stay], policy: Policy, drawn: list[list[int]]) -> None:
    silence, reset = policy.silence_hours, policy.reset_hours
    tried = sorted({row.risk for stay in sample for row in stay.rows}, reverse=True)
    curve = AlarmCurve(course(sample), silence, reset, np.array(tried))
    for count, area in zip(
        [[1] * PATIENTS, *drawn], [curve.area(), *curve.area(np.array(drawn, float).T)], strict=True
    ):
        best = wanted = 0.0
        for k, threshold in enumerate(tried):
            point = expected(sample, Policy(threshold, silence, reset), count)
            if count == [1] * PATIENTS:
                for name in ("recall", "precision", "false_alarms_per_patient_day"):
                    known = {"recall": "event_recall", "precision": "alarm_precision"}.get(name, name)
                    assert close(getattr(curve, name)[k], point[known])
            if not point["event_recall"] <= best:
                wanted += (point["event_recall"] - best) * point["alarm_precision"]
                best = point["event_recall"]
        assert close(area, wanted)


@given(stays(), st.sampled_from([0.0, 2.0]))
@settings(max_examples=100, deadline=None)
def test_without_silence_the_default_thresholds_give_the_area_of_all(sample: list[Stay], reset: float) -> None:
    everything = np.array([row.risk for stay in sample for row in stay.rows])
    chosen, every = AlarmCurve(course(sample), 0.0, reset), AlarmCurve(course(sample), 0.0, reset, everything)
    if len(chosen.thresholds):
        assert close(chosen.area(), every.area())
        assert (np.diff(chosen.recall) > 0).all()
        assert (np.diff(every.recall) >= 0).all()
    else:
        assert np.isnan(chosen.area())


@given(stays(), policies, st.sampled_from([0.0, 1.0, 6.0, 15.0, 30.0]))
@settings(max_examples=200, deadline=None)
def test_tuning_finds_the_best_of_all_thresholds(sample: list[Stay], policy: Policy, budget: float) -> None:
    silence, reset = policy.silence_hours, policy.reset_hours
    risks = {row.risk for stay in sample for row in stay.rows}
    if sum(watched(stay.rows) for stay in sample) == 0:
        with pytest.raises(InputError, match="stand for no time"):
            tune(course(sample), budget, silence, reset)
        return
    never = math.nextafter(1.0, 2.0) if 1.0 in risks else 1.0
    ranked = []
    for threshold in {*risks, never}:
        t = tally(sample, Policy(threshold, silence, reset), [1] * PATIENTS)
        if t["alarms"] - t["true"] <= budget * t["days"] + 1e-9:
            ranked.append((t["detected"], t["true"] - t["alarms"], threshold))
    found = tune(course(sample), budget, silence, reset)
    assert found == Policy(max(ranked)[2], silence, reset)


@given(stays(), policies, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_stays_changes_no_bit(sample: list[Stay], policy: Policy, random: Any) -> None:
    shuffled = random.sample(sample, len(sample))
    one, other = (AlarmMeasures(course(order), policy)() for order in (sample, shuffled))
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
    areas = [AlarmCurve(course(order), policy.silence_hours).area() for order in (sample, shuffled)]
    assert np.array_equal(*areas, equal_nan=True)


@given(stays(), policies)
@settings(max_examples=100, deadline=None)
def test_without_silence_and_reset_alarms_are_rows_above_the_threshold(sample: list[Stay], policy: Policy) -> None:
    rows = columns(sample)
    found = raised(rows["stay"], rows["hours"], rows["risk"], Policy(policy.threshold), rows["ends"])
    assert found.tolist() == (rows["risk"] >= policy.threshold).tolist()
    everything = AlarmMeasures(course(sample), Policy(0.0))()
    assert close(everything["alarm_precision"], rows["label"].mean())
    assert not everything["event_recall"] < 1


def test_many_events_and_risks_are_thinned_without_losing_the_shape() -> None:
    random = np.random.default_rng(0)
    stay, hours = np.repeat(np.arange(600), 20), np.tile(np.arange(20.0), 600)
    sick = np.repeat(random.random(600) < 0.7, 20)
    label = (sick & (hours >= 12)).astype(int)
    risk = 1 / (1 + np.exp(2 - 1.5 * label - random.normal(size=len(stay))))
    rows = Course(stay, hours, risk, label, np.full(len(stay), 19.5))
    few, every = AlarmCurve(rows, 4.0), AlarmCurve(rows, 4.0, thresholds=risk)
    assert len(few.thresholds) <= 200 < len(every.thresholds)
    assert few.area() == pytest.approx(every.area(), abs=0.01)
    assert np.diff(AlarmCurve(rows).recall).max() == pytest.approx(1 / 200, abs=0.5 / 200)
    for budget in (0.5, 2.0, 8.0):
        found, false = tune(rows, budget, 4.0), every.false_alarms_per_patient_day
        best = every.recall[false <= budget].max()
        chosen = AlarmMeasures(rows, found)()
        assert chosen["false_alarms_per_patient_day"] <= budget
        assert chosen["event_recall"] >= best - 0.01
