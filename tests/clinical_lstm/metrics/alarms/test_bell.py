"""Hour by hour the bell rings exactly where the whole course says so."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.metrics.alarms import Policy, raised, rings

NAN = float("nan")
HOURS = st.integers(0, 40).map(lambda n: n / 12)  # multiples of 5 minutes: differences that are equal but for a bit


def walked(hours: np.ndarray, risk: np.ndarray, ends: np.ndarray, policy: Policy) -> list[bool]:
    """Return where the bell rings for one stay that is asked at each of its rows in turn."""
    rang, found = np.array([NAN]), []
    for row in range(len(hours)):
        now = slice(row, row + 1)
        alarm = rings(hours[now], risk[now], rang, ends[now], policy)
        rang = np.where(alarm, hours[now], rang)
        found.append(bool(alarm[0]))
    return found


@st.composite
def courses(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hours, risks and the end of the last episode before each row, of one stay."""
    hours = np.array(sorted(draw(st.sets(HOURS, min_size=1, max_size=25))))
    risk = np.array(draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=len(hours), max_size=len(hours))))
    episodes = np.array([-np.inf, *sorted(draw(st.sets(HOURS, max_size=2)))])
    last = episodes[np.searchsorted(episodes, hours, side="right") - 1]
    return hours, risk, np.where(np.isinf(last), NAN, last)


@settings(max_examples=300, deadline=None)
@given(courses(), st.sampled_from([0.0, 0.5, 0.9, 1.0]), HOURS, HOURS)
def test_hour_by_hour_it_rings_where_the_whole_course_does(
    course: tuple[np.ndarray, np.ndarray, np.ndarray], threshold: float, silence: float, reset: float
) -> None:
    hours, risk, ends = course
    policy = Policy(threshold, silence, reset)
    whole = raised(np.zeros(len(hours), int), hours, risk, policy, ends)
    assert walked(hours, risk, ends, policy) == whole.tolist()


def test_stays_are_asked_at_once_as_alone() -> None:
    random, policy = np.random.default_rng(0), Policy(0.4, silence_hours=2.0, reset_hours=3.0)
    hours, risk = np.full(200, 9.0), random.random(200)
    rang, ended = (np.where(random.random(200) < 0.3, NAN, random.integers(4, 10, 200)) for _ in range(2))
    together = rings(hours, risk, rang, ended, policy)
    alone = [rings(*(part[n] for part in (hours, risk, rang, ended)), policy) for n in range(200)]
    assert together.tolist() == alone and 0 < together.sum() < 200


def test_nothing_rings_while_an_episode_goes_on() -> None:
    one = np.ones(1)
    assert not rings(9 * one, one, NAN * one, np.inf * one, Policy(0.0))[0]
    assert rings(9 * one, one, NAN * one, 9 * one, Policy(0.0))[0]
