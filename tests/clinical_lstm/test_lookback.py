"""A window equals the stay that a loop cuts out; whole stays are left alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.batch import Ragged, Scaler, assemble, pad_rows
from clinical_lstm.lookback import sequences

V = 3
SCALER = Scaler(["a", "b", "c"], ["s"], np.zeros(4, bool), np.array([1.0, 0.5, -2.0, 50.0]), np.array([2.0, 1, 4, 10]))


class Stay(NamedTuple):
    """Step ends, cells (step, variable, value, stamp) sorted by step, and the static value."""

    hours: list[float]
    cells: list[tuple[int, int, float, float]]
    static: float


@st.composite
def _stay(draw: st.DrawFn) -> Stay:
    """A grid or event times; stamps anywhere in the step, also at both its ends and (first step) before admission."""
    widths = draw(st.lists(st.sampled_from([0.25, 1.0, 2.5]), max_size=7))
    hours = (draw(st.sampled_from([0.0, 3.0])) + np.cumsum(widths)).tolist()
    cells = []
    for step, (hour, width) in enumerate(zip(hours, widths)):
        for variable in sorted(draw(st.sets(st.integers(0, V - 1)))):
            age = draw(st.sampled_from([0.0, width / 4, width, 2 * width if step == 0 else width]))
            cells.append((step, variable, draw(st.sampled_from([-3.0, 0.5, 120.0])), hour - age))
    return Stay(hours, cells, draw(st.sampled_from([float("nan"), 65.0])))


STAYS = st.lists(_stay(), min_size=1, max_size=4)
LOOKBACKS = st.sampled_from([0.25, 1.0, 1.5, 2.5, 4.0, 100.0])


def _ragged(stays: list[Stay]) -> Ragged:
    cells = np.array([cell for stay in stays for cell in stay.cells], np.float64).reshape(-1, 4)
    ends = np.array([stay.hours[step] for stay in stays for step, *_ in stay.cells])
    return Ragged(
        step_offsets=np.cumsum([0, *(len(s.hours) for s in stays)]),
        cell_offsets=np.cumsum([0, *(len(s.cells) for s in stays)]),
        hours=np.array([h for s in stays for h in s.hours], np.float64),
        cell_step=cells[:, 0].astype(np.int32),
        cell_variable=cells[:, 1].astype(np.uint16),
        cell_value=cells[:, 2].astype(np.float32),
        cell_age=(ends - cells[:, 3]).astype(np.float32),
        static=np.array([s.static for s in stays], np.float32).reshape(-1, 1),
    )


def _cut(stay: Stay, t: int, lookback: float) -> Stay:
    """Return what is left of a stay for the prediction at step t."""
    since = stay.hours[t] - lookback
    kept = [s for s, hour in enumerate(stay.hours) if since < hour <= stay.hours[t]]
    cells = [(s - kept[0], *cell) for s, *cell in stay.cells if s in kept and cell[2] > since]
    return Stay([stay.hours[s] for s in kept], cells, stay.static)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(STAYS, LOOKBACKS)
def test_a_window_is_the_stay_that_is_left(stays: list[Stay], lookback: float) -> None:
    places = [(stay, t) for stay in stays for t in range(len(stay.hours))]
    seen = sequences(_ragged(stays), lookback)
    assert len(seen.lengths) == len(places)
    expected = assemble(_ragged([_cut(*place, lookback) for place in places]), range(len(places)), SCALER, 8)
    for one, other in zip(assemble(seen, range(len(places)), SCALER, 8), expected):
        assert np.array_equal(one, other)


@settings(max_examples=40, deadline=None)
@given(STAYS, LOOKBACKS, st.randoms(use_true_random=False))
def test_order_and_company_of_windows_change_no_bit(stays: list[Stay], lookback: float, random: object) -> None:
    seen = sequences(_ragged(stays), lookback)
    order = list(range(len(seen.lengths)))
    random.shuffle(order)  # type: ignore[attr-defined]
    together = assemble(seen, order, SCALER, 9)
    for b, row in enumerate(order):
        alone = assemble(seen, [row], SCALER, 9)
        assert all(np.array_equal(one[0], other[b]) for one, other in zip(alone, together))


@pytest.fixture
def ward() -> Ragged:
    """Three stays of 4, 0 and 3 hourly steps; a variable at every step, one stamped at hour 0."""
    cells = [(s, 0, float(s), s + 0.5) for s in range(4)]
    first = Stay([1.0, 2, 3, 4], [(0, 0, 9.0, 0.0), *cells[1:]], 1.0)
    return _ragged([first, Stay([], [], 2.0), Stay([1.0, 2, 3], cells[:3], 3.0)])


ASKED = np.array([0, 1, 0, 1, 1, 0, 1], bool)


def test_without_a_lookback_the_stays_are_seen_whole(ward: Ragged) -> None:
    assert sequences(ward, None, ASKED) is ward
    assert ward.of(np.array([2, 0])).tolist() == [2, 0]
    assert [part.tolist() for part in ward.answered(np.array([2, 1]))] == [[0, 0, 0], [0, 1, 2], [4, 5, 6]]
    assert [part.tolist() for part in ward.place(np.array([5, 0]))] == [[2, 0], [1, 0]]


def test_windows_belong_to_stays_and_answer_their_last_step(ward: Ragged) -> None:
    seen = sequences(ward, 2.0, ASKED)
    assert seen.lengths.tolist() == [2, 2, 1, 2]
    assert seen.of(np.array([2, 1, 0])).tolist() == [2, 3, 0, 1]
    assert seen.of(np.array([1])).tolist() == []
    assert [part.tolist() for part in seen.answered(np.array([3, 2]))] == [[0, 1], [1, 0], [6, 4]]
    assert [part.tolist() for part in seen.place(np.array([6, 1, 6]))] == [[3, 0, 3], [1, 1, 1]]
    assert pad_rows(np.arange(7), seen, [3, 0], 2, -1).tolist() == [[-1, 6], [-1, 1]]
    nothing = sequences(ward, 2.0, np.zeros(7, bool))
    assert len(nothing.lengths) == 0
    assert nothing.of(np.arange(3)).tolist() == []


def test_a_window_is_half_open(ward: Ragged) -> None:
    """At 2 h with a lookback of 2 h, what was stamped at hour 0 is outside, though its step is not."""
    seen = sequences(ward, 2.0, ASKED)
    batch = assemble(seen, [0], SCALER)
    assert batch.hours.tolist() == [[1.0, 2.0]]
    assert batch.mask[0, :, 0].tolist() == [0.0, 1.0]
    assert batch.values[0, 0, 0] == 0, "nothing is carried into the window"
    longer = assemble(sequences(ward, 2.25, ASKED), [0], SCALER)
    assert longer.mask[0, :, 0].tolist() == [1.0, 1.0]
    assert longer.delta[0, 0, 0] == 1.0


def test_hours_count_from_admission(ward: Ragged) -> None:
    """So does the time since a variable that the window does not hold, as in a stay without it."""
    batch = assemble(sequences(ward, 2.0, ASKED), [1], SCALER)
    assert batch.hours.tolist() == [[3.0, 4.0]]
    assert batch.delta[0, :, 1].tolist() == [3.0, 4.0]
    assert batch.delta[0, :, 0].tolist() == [0.5, 0.5]


def test_a_lookback_shorter_than_a_step_leaves_one(ward: Ragged) -> None:
    seen = sequences(ward, 0.25, ASKED)
    assert seen.lengths.tolist() == [1] * 4
    assert not assemble(seen, range(4), SCALER).mask.any()
    assert assemble(sequences(ward, 0.75, ASKED), range(4), SCALER).mask.sum() == 4
