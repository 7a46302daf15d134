"""The timed streams are the real thing: what they hand to a model is what `assemble` makes of the same observations."""

from __future__ import annotations

import numpy as np
import torch

from clinical_lstm.batch import Ragged, Scaler, assemble
from clinical_lstm.evaluation.latency import Streams, step_seconds
from clinical_lstm.lookback import sequences
from clinical_lstm.models.gru import GRU


def test_streams_carry_forward_as_assembly_does(tiny_cohort) -> None:
    scaler = Scaler.from_table(tiny_cohort.table("scaler.parquet"))
    ragged = Ragged.load(tiny_cohort.path / "tensors")
    stay = int(np.argmax(ragged.lengths))
    whole = assemble(sequences(ragged, None), [stay], scaler)
    streams = Streams(scaler, 1)
    cells = slice(int(ragged.cell_offsets[stay]), int(ragged.cell_offsets[stay + 1]))
    step, variable, value = ragged.cell_step[cells], ragged.cell_variable[cells], ragged.cell_value[cells]
    for t in range(12):
        now = step == t
        batch = streams.take(np.zeros(now.sum(), np.int64), variable[now], value[now])
        assert np.array_equal(batch.values[0, 0], whole.values[0, t])
        assert np.array_equal(batch.mask[0, 0], whole.mask[0, t])
        assert np.array_equal(batch.delta[0, 0], whole.delta[0, t])
        assert batch.hours[0, 0] == whole.hours[0, t]
    assert whole.mask[0, :12].any()


def test_every_step_is_timed_on_one_thread() -> None:
    scaler = Scaler(["a", "b"], ["s"], np.array([True, False, False]), np.zeros(3), np.ones(3))
    model = GRU(2, 1, [("death", 6.0)], hidden=4)
    before = torch.get_num_threads()
    seconds = step_seconds(model, scaler, patients=3, steps=15)
    assert seconds.shape == (15,) and (seconds > 0).all()
    assert torch.get_num_threads() == before
    assert step_seconds(model, scaler, patients=512, steps=15).min() > seconds.min()
