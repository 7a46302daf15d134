"""Steps and cells equal a literal loop; the grid hangs on admission, whatever was measured when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged
from clinical_lstm.data import tensors
from clinical_lstm.sources.base import stays_table

VARIABLES = ["heart_rate", "ph", "lactate"]
WIDTHS = [1.0, 2.0, 1 / 12, 0.1]


class Stay(NamedTuple):
    """Times in quarters of a step: the record's span and {(time, variable): value}."""

    start: int
    length: int
    cells: dict[tuple[int, int], float]


@st.composite
def _stay(draw: st.DrawFn) -> Stay:
    start = draw(st.sampled_from([0, 0, 4, 6, 20]))
    length = start + draw(st.integers(1, 40))
    times = st.tuples(st.integers(0, length), st.integers(0, len(VARIABLES) - 1))
    return Stay(start, length, draw(st.dictionaries(times, st.sampled_from([1.0, 7.0, 80.0]), max_size=12)))


def _tables(stays: list[Stay], width: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    quarter = width / 4
    table = pl.DataFrame(
        {
            "stay_id": [f"s{i}" for i in range(len(stays))],
            "patient_id": "p",
            "site": "A",
            "start_hours": [stay.start * quarter for stay in stays],
            "length_hours": [stay.length * quarter for stay in stays],
            "age_years": [None if i % 2 else 60.0 + i for i in range(len(stays))],
        },
        schema_overrides={"age_years": pl.Float64},
    )
    rows = [
        (f"s{i}", m * quarter, VARIABLES[v], x) for i, s in enumerate(stays) for (m, v), x in sorted(s.cells.items())
    ]
    return stays_table(table), pl.DataFrame(rows, schema=schemas.empty(schemas.Observations).schema, orient="row")


def _ragged(stays: list[Stay], width: float, step_hours: float | None) -> Ragged:
    return tensors.ragged(*_tables(stays, width), VARIABLES, ["age_years", "male"], step_hours)


def _cells(ragged: Ragged, stay: int) -> list[tuple[int, int, float, float]]:
    own = slice(*ragged.cell_offsets[stay : stay + 2])
    parts = (ragged.cell_step, ragged.cell_variable, ragged.cell_value, ragged.cell_age)
    return list(zip(*(part[own].tolist() for part in parts)))


@settings(max_examples=80, deadline=None)
@given(st.lists(_stay(), min_size=1, max_size=4), st.sampled_from(WIDTHS))
def test_grid_equals_the_loop(stays: list[Stay], width: float) -> None:
    ragged = _ragged(stays, width, width)
    for i, stay in enumerate(stays):
        first, end = stay.start // 4, stay.length // 4  # whole steps of the record
        hours = ragged.hours[slice(*ragged.step_offsets[i : i + 2])]
        np.testing.assert_allclose(hours, [(k + 1) * width for k in range(first, end)])
        expected = []
        for k in range(first, end):
            for v in range(len(VARIABLES)):
                inside = [m for m, u in stay.cells if u == v and (4 * k < m <= 4 * k + 4 or m == k == 0)]
                if inside:
                    age = (4 * k + 4 - max(inside)) * width / 4
                    expected.append((k - first, v, stay.cells[max(inside), v], pytest.approx(age, abs=1e-6)))
        assert _cells(ragged, i) == expected
    np.testing.assert_array_equal(ragged.static[:, 0], [np.nan if i % 2 else 60.0 + i for i in range(len(stays))])
    assert np.isnan(ragged.static[:, 1]).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(_stay(), min_size=1, max_size=4))
def test_event_times_equal_the_loop(stays: list[Stay]) -> None:
    ragged = _ragged(stays, 1.0, None)
    for i, stay in enumerate(stays):
        times = sorted({m for m, _ in stay.cells})
        np.testing.assert_array_equal(ragged.hours[slice(*ragged.step_offsets[i : i + 2])], np.array(times) / 4)
        expected = [(times.index(m), v, x, 0.0) for (m, v), x in sorted(stay.cells.items())]
        assert _cells(ragged, i) == expected


def test_grid_hangs_on_admission_and_hour_zero_is_in_the_first_step() -> None:
    stay = Stay(0, 10, {(0, 0): 80.0, (3, 0): 90.0, (4, 1): 7.0, (5, 1): 7.5, (9, 2): 2.0})  # 2.5 h
    ragged = _ragged([stay], 1.0, 1.0)
    assert ragged.hours.tolist() == [1.0, 2.0], "the half step at the end does not exist"
    assert _cells(ragged, 0) == [(0, 0, 90.0, 0.25), (0, 1, 7.0, 0.0), (1, 1, 7.5, 0.75)]


def test_late_record_drops_what_lies_before_it() -> None:
    """The record begins after 2 h: hour 2 belongs to a step that does not exist, hour 2.25 to the first."""
    ragged = _ragged([Stay(8, 16, {(8, 0): 80.0, (9, 0): 90.0})], 1.0, 1.0)
    assert ragged.hours.tolist() == [3.0, 4.0]
    assert _cells(ragged, 0) == [(0, 0, 90.0, 0.75)]


@pytest.mark.parametrize("digits", [6, 8, 12])
def test_five_minute_stamps_written_as_decimals_fall_on_their_step(digits: int) -> None:
    count = 24 * 12
    hours = [round(k / 12, digits) for k in range(1, count + 1)]
    stays, _ = _tables([Stay(0, 4 * count, {})], 1 / 12)
    observations = pl.DataFrame({"stay_id": "s0", "hours": hours, "variable": "ph", "value": 7.4})
    ragged = tensors.ragged(stays, observations, ["ph"], [], 1 / 12)
    assert ragged.cell_step.tolist() == list(range(count))
    assert ragged.cell_age.max() < 1e-5


def test_variables_not_asked_for_and_foreign_stays_are_ignored() -> None:
    stays, observations = _tables([Stay(0, 8, {(1, 0): 80.0, (2, 1): 7.0})], 1.0)
    foreign = observations.with_columns(stay_id=pl.lit("zz"))
    ragged = tensors.ragged(stays, pl.concat([foreign, observations]), ["ph"], [], 1.0)
    assert _cells(ragged, 0) == [(0, 0, 7.0, 0.5)]


@pytest.mark.parametrize("step_hours", [1.0, None])
def test_no_stay_and_no_cell_are_no_fault(step_hours: float | None) -> None:
    stays, observations = _tables([Stay(0, 8, {})], 1.0)
    alone = tensors.ragged(stays, observations, VARIABLES, ["age_years"], step_hours)
    assert (alone.lengths.tolist(), len(alone.cell_value)) == ([2 if step_hours else 0], 0)
    none = tensors.ragged(stays.clear(), observations, VARIABLES, ["age_years"], step_hours)
    assert (len(none.lengths), none.static.shape) == (0, (0, 1))
    assert tensors.step_times(stays.clear(), none).height == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(_stay(), min_size=2, max_size=5), st.sampled_from([1.0, None]))
def test_shards_joined_equal_the_whole(stays: list[Stay], step_hours: float | None) -> None:
    table, observations = _tables(stays, 1.0)
    arguments = (observations, VARIABLES, ["age_years", "male"], step_hours)
    whole = tensors.ragged(table, *arguments)
    joined = tensors.concatenate([tensors.ragged(table[i : i + 1], *arguments) for i in range(len(stays))])
    for name, array in vars(whole).items():
        np.testing.assert_array_equal(array, getattr(joined, name))
        assert array.dtype == getattr(joined, name).dtype


def test_step_times_name_the_stay_of_every_step() -> None:
    stays, observations = _tables([Stay(4, 12, {}), Stay(0, 3, {}), Stay(0, 4, {})], 1.0)
    ragged = tensors.ragged(stays, observations, VARIABLES, [], 1.0)
    assert tensors.step_times(stays, ragged).select("stay_id", "length_hours", "hours").rows() == [
        ("s0", 3.0, 2.0),
        ("s0", 3.0, 3.0),
        ("s2", 1.0, 1.0),
    ]
