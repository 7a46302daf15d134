"""`assemble` equals the definition written as a loop; padding, batch mates and order change nothing."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.batch import Batch, Ragged, Scaler, assemble, pad_rows

V = 3
SCALER = Scaler(
    variables=["a", "b", "c"],
    statics=["s", "t"],
    log=np.array([False, True, False, False, True]),
    location=np.array([1.0, 0.5, -2.0, 50.0, 1.0]),
    scale=np.array([2.0, 0.25, 1.0, 10.0, 3.0]),
)


class Stay(NamedTuple):
    """One stay in plain Python: step ends, {(step, variable): (value, age)}, static values."""

    hours: list[float]
    cells: dict[tuple[int, int], tuple[float, float]]
    static: list[float]


@st.composite
def _stay(draw: st.DrawFn) -> Stay:
    widths = draw(st.lists(st.sampled_from([0.25, 1.0, 2.5]), max_size=6))
    hours = (draw(st.sampled_from([0.0, 3.0])) + np.cumsum(widths)).tolist()
    pairs = [(t, v) for t in range(len(hours)) for v in range(V)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    cell = st.tuples(st.sampled_from([-3.0, 0.0, 0.5, 120.0]), st.sampled_from([0.0, 0.125, 0.25]))
    static = draw(st.lists(st.sampled_from([float("nan"), 0.0, 65.0]), min_size=2, max_size=2))
    return Stay(hours, {pair: draw(cell) for pair in sorted(chosen)}, static)


STAYS = st.lists(_stay(), min_size=1, max_size=4)


def _ragged(stays: list[Stay]) -> Ragged:
    cells = [(t, v, *cell) for stay in stays for (t, v), cell in stay.cells.items()]
    step, variable, value, age = np.array(cells, np.float64).reshape(-1, 4).T
    return Ragged(
        step_offsets=np.cumsum([0, *(len(s.hours) for s in stays)]),
        cell_offsets=np.cumsum([0, *(len(s.cells) for s in stays)]),
        hours=np.array([h for s in stays for h in s.hours], np.float64),
        cell_step=step.astype(np.int32),
        cell_variable=variable.astype(np.uint16),
        cell_value=value.astype(np.float32),
        cell_age=age.astype(np.float32),
        static=np.array([s.static for s in stays], np.float32),
    )


def _scaled(value: float, variable: int) -> float:
    seen = np.log1p(max(value, 0.0)) if SCALER.log[variable] else value
    return float((seen - SCALER.location[variable]) / SCALER.scale[variable])


def _literal(stay: Stay) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, mask and delta (T, V) of one stay by walking through its steps."""
    values, mask, delta = (np.zeros((len(stay.hours), V)) for _ in range(3))
    for v in range(V):
        last: tuple[float, float] | None = None  # value, stamp
        for t, hour in enumerate(stay.hours):
            if (t, v) in stay.cells:
                value, age = stay.cells[t, v]
                last = (_scaled(value, v), hour - age)
                mask[t, v] = 1
            values[t, v] = last[0] if last else 0
            delta[t, v] = hour - last[1] if last else hour
    return values, mask, delta


def _rows(batch: Batch, b: int, steps: int) -> list[np.ndarray]:
    return [part[b, :steps] for part in batch[:4]] + [batch.static[b], batch.lengths[b]]


@settings(max_examples=60, deadline=None)
@given(STAYS)
def test_assemble_equals_the_loop(stays: list[Stay]) -> None:
    batch = assemble(_ragged(stays), range(len(stays)), SCALER)
    assert batch.lengths.tolist() == [len(stay.hours) for stay in stays]
    for b, stay in enumerate(stays):
        n = len(stay.hours)
        values, mask, delta = _literal(stay)
        np.testing.assert_allclose(batch.values[b, :n], values, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(batch.mask[b, :n], mask)
        np.testing.assert_allclose(batch.delta[b, :n], delta, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(batch.hours[b, :n], np.float32(stay.hours))
        expected = [0 if np.isnan(x) else _scaled(x, V + s) for s, x in enumerate(stay.static)]
        np.testing.assert_allclose(batch.static[b], expected, rtol=1e-5, atol=1e-6)
        for part in batch[:4]:
            assert not part[b, n:].any(), "padding is zero"
    for part in batch[:5]:
        assert part.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(STAYS, st.randoms(use_true_random=False), st.integers(0, 9))
def test_batch_mates_order_and_padding_change_no_bit(stays: list[Stay], random: object, extra: int) -> None:
    ragged = _ragged(stays)
    order = list(range(len(stays)))
    random.shuffle(order)  # type: ignore[attr-defined]
    together = assemble(ragged, order, SCALER, int(ragged.lengths.max()) + extra + 1)
    for b, i in enumerate(order):
        n = len(stays[i].hours)
        for one, other in zip(_rows(assemble(ragged, [i], SCALER), 0, n), _rows(together, b, n)):
            np.testing.assert_array_equal(one, other)


def test_delta_counts_real_hours_from_the_stamp() -> None:
    """Observed 0.25 h before the end of step 1 h; never observed: hours since admission, though the record is late."""
    batch = assemble(_ragged([Stay([4.0, 5.0, 7.5], {(0, 0): (3.0, 0.25)}, [1.0, 1.0])]), [0], SCALER)
    assert batch.delta[0, :, 0].tolist() == [0.25, 1.25, 3.75]
    assert batch.delta[0, :, 1].tolist() == [4.0, 5.0, 7.5]
    assert batch.values[0, :, 0].tolist() == [1.0, 1.0, 1.0]
    assert batch.mask[0, :, 0].tolist() == [1.0, 0.0, 0.0]


def test_scaler_round_trip_and_inverse(tmp_path: Path) -> None:
    SCALER.table().write_parquet(tmp_path / "scaler.parquet")
    again = Scaler.from_table(pl.read_parquet(tmp_path / "scaler.parquet"))
    assert (again.variables, again.statics) == (SCALER.variables, SCALER.statics)
    for name in ("log", "location", "scale"):
        np.testing.assert_array_equal(getattr(again, name), getattr(SCALER, name))
    value, variable = np.float32([-4.0, 0.0, 7.5, 120.0, 3.0]), np.array([0, 1, 1, 1, 2])
    shifted = again.measured(value, variable) * again.scale[variable] + again.location[variable]
    restored = np.where(again.log[variable], np.expm1(shifted), shifted)
    np.testing.assert_allclose(restored, value, rtol=1e-5)


def test_ragged_survives_the_disk_memory_mapped(tmp_path: Path) -> None:
    ragged = _ragged([Stay([1.0, 2.0], {(0, 1): (3.0, 0.0)}, [1.0, float("nan")]), Stay([], {}, [2.0, 3.0])])
    ragged.save(tmp_path / "tensors")
    again = Ragged.load(tmp_path / "tensors")
    for field in fields(Ragged):
        one, other = getattr(ragged, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert isinstance(again.hours, np.memmap)


def test_rows_are_padded_to_their_stays() -> None:
    ragged = _ragged([Stay([1.0], {}, [0.0, 0.0]), Stay([1.0, 2.0], {}, [0.0, 0.0])])
    rows = np.array([[7], [8], [9]], np.int8)
    assert pad_rows(rows, ragged, [1, 0], 3, -1)[:, :, 0].tolist() == [[8, 9, -1], [7, -1, -1]]


def test_tensors_share_the_values() -> None:
    torch = pytest.importorskip("torch")
    batch = assemble(_ragged([Stay([1.0], {(0, 0): (3.0, 0.0)}, [0.0, 0.0])]), [0], SCALER)
    tensors = batch.tensors().to("cpu")
    assert all(torch.equal(tensor, torch.from_numpy(part)) for tensor, part in zip(tensors, batch))
