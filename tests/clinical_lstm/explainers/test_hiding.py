"""Hiding: what is left equals an assembly without the hidden observations, bit by bit or within rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.hiding import Hiding, blocks_back, unobserve
from clinical_lstm.models.gru import GRU

Without = Callable[[Ragged, np.ndarray], Ragged]


def drawn(draw: np.random.Generator, lengths: list[int], variables: int, rate: float) -> Ragged:
    """Return stays with event times, long gaps and old measurements."""
    cells = [np.nonzero(draw.random((steps, variables)) < rate) for steps in lengths]
    count = [len(step) for step, _ in cells]
    return Ragged(
        step_offsets=np.append(0, np.cumsum(lengths)),
        cell_offsets=np.append(0, np.cumsum(count)),
        hours=np.concatenate([np.cumsum(draw.exponential(3.0, steps) + 0.02) for steps in lengths]),
        cell_step=np.concatenate([step for step, _ in cells]).astype(np.int32),
        cell_variable=np.concatenate([variable for _, variable in cells]).astype(np.uint16),
        cell_value=draw.normal(size=sum(count)).astype(np.float32),
        cell_age=(draw.random(sum(count)) * 0.02).astype(np.float32),
        static=draw.normal(size=(len(lengths), 1)).astype(np.float32),
    )


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    variables=st.integers(1, 4),
    rate=st.floats(0, 1),
    share=st.floats(0, 1),
)
def test_equals_the_assembly_without_the_cells(
    without: Without, seed: int, lengths: list[int], variables: int, rate: float, share: float
) -> None:
    draw = np.random.default_rng(seed)
    ward = drawn(draw, lengths, variables, rate)
    names = [f"v{k}" for k in range(variables)], ["s"]
    scaler = Scaler(*names, np.zeros(variables + 1, bool), np.ones(variables + 1), np.full(variables + 1, 2.0))
    batch = assemble(ward, np.arange(len(lengths)), scaler).tensors()
    hidden = draw.random(tuple(batch.values.shape)) < share
    expected = assemble(without(ward, hidden), np.arange(len(lengths)), scaler, batch.hours.shape[1])
    found = unobserve(batch, torch.from_numpy(hidden))
    for name in ("values", "mask", "hours", "static", "lengths"):
        assert np.array_equal(getattr(found, name).numpy(), getattr(expected, name)), name
    np.testing.assert_allclose(found.delta.numpy(), expected.delta, rtol=1e-6, atol=1e-5)


def test_hiding_nothing_keeps_every_bit_and_hiding_all_leaves_a_stay_without_observations(
    ward: Ragged, scaler: Scaler, stays: Batch, without: Without
) -> None:
    nothing, all_cells = torch.zeros_like(stays.mask).bool(), torch.ones_like(stays.mask).bool()
    for one, other in zip(unobserve(stays, nothing), stays):
        assert torch.equal(one, other)
    expected = assemble(without(ward, all_cells.numpy()), np.arange(len(ward.lengths)), scaler)
    for one, other in zip(unobserve(stays, all_cells), expected.tensors()):
        assert torch.equal(one, other)


def test_a_cell_whose_last_observation_stays_keeps_its_bits(stays: Batch) -> None:
    cells = torch.zeros_like(stays.mask).bool()
    cells[:, 5:, 1] = True
    found = unobserve(stays, cells)
    for one, other in zip(found[:3], stays[:3]):
        assert torch.equal(one[:, :5], other[:, :5])
        assert torch.equal(one[:, :, [0, 2, 3, 4]], other[:, :, [0, 2, 3, 4]])
    assert not found.mask[:, 5:, 1].any()
    assert not torch.equal(found.values[:, 5:, 1], stays.values[:, 5:, 1])


def test_hours_count_back_from_the_prediction(stays: Batch) -> None:
    step = torch.tensor([7, 12, 8, 5, 3, 0])
    found = blocks_back(stays, step, 3.0)
    assert found[0].tolist() == [
        2,
        2,
        1,
        1,
        1,
        0,
        0,
        0,
        *[0] * 6,
    ]  # (t - 3 h, t] is block 0, and so is what comes later
    tenths = stays._replace(hours=stays.hours / 10)  # hours that have no exact binary form
    assert np.array_equal(blocks_back(tenths, step, 0.3), found)


def test_windows_hide_distinct_sets_and_hold_every_observation_equally_often(stays: Batch) -> None:
    model = GRU(5, 3, [("death", 6.0)], hidden=4).eval()
    step = stays.lengths - 1
    place = blocks_back(stays, step, 1.0)[:, :, None] + 20 * np.arange(5)
    hiding = Hiding(model, stays, step, torch.zeros_like(step), place, 100 + 20 * np.arange(3), batch_steps=100)
    sets = hiding.windows(4)
    held = np.zeros(len(hiding.row))
    for begin, end, windows in zip(sets.begin, sets.end, sets.windows):
        assert end > begin
        assert len(set(zip(hiding.row[begin:end], hiding.place[begin:end] // 20))) == 1, "a window spans two variables"
        assert np.ptp(hiding.place[begin:end]) < 4
        held[begin:end] += windows
    assert (held == 4).all()
    assert len(set(zip(sets.begin, sets.end))) == len(sets.begin)
    assert len(hiding.row) == int(stays.mask.sum()) + int((stays.static != 0).sum())


def test_faults_are_said(stays: Batch) -> None:
    model = GRU(5, 3, [("death", 6.0)], hidden=4)
    step = stays.lengths - 1
    asked = (stays, step, torch.zeros_like(step), np.zeros(stays.values.shape, int), np.zeros(3, int), 100)
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        Hiding(model, *asked)
    with torch.no_grad():
        next(model.layers.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match=r"no finite logit for 6 prediction\(s\)"):
        Hiding(model.eval(), *asked)
