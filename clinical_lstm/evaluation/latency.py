"""How long one more step of the streams of some patients takes: from raw observations to risks, on one CPU thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from clinical_lstm.batch import Batch, Scaler

if TYPE_CHECKING:
    from clinical_lstm.models.base import SequenceModel

OBSERVED = 0.2  # share of the variables that a step brings a value of
WARM_UP = 20


def step_seconds(
    model: SequenceModel, scaler: Scaler, patients: int = 1, steps: int = 200, seed: int = 0
) -> np.ndarray:
    """Return the seconds (steps,) of each of `steps` hourly steps of `patients` streams, after 20 unmeasured ones.

    A step scales what was observed, carries the rest forward, calls `model.step` and gives probabilities. The raw
    values are drawn beforehand from the scaler's own locations and scales.
    """
    import torch

    random = np.random.default_rng(seed)
    streams = Streams(scaler, patients)
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)
    model.eval()
    try:
        with torch.inference_mode():
            state = model.start(torch.from_numpy(streams.static))
            for _ in range(WARM_UP + steps):
                observed = _draw(scaler, patients, random)
                begin = time.perf_counter()
                logits, state = model.step(streams.take(*observed).tensors(), state)
                torch.sigmoid(logits).numpy()
                seconds.append(time.perf_counter() - begin)
    finally:
        torch.set_num_threads(threads)
    return np.array(seconds[WARM_UP:])


class Streams:
    """What was last seen of P patients, and when; one hour passes with every `take`."""

    def __init__(self, scaler: Scaler, patients: int) -> None:
        self.scaler, self.hour = scaler, 0.0
        shape = (patients, len(scaler.variables))
        self.held, self.stamp = np.zeros(shape, np.float32), np.zeros(shape, np.float32)  # (P, V)
        self.static = np.zeros((patients, len(scaler.statics)), np.float32)  # (P, S)

    def take(self, row: np.ndarray, variable: np.ndarray, value: np.ndarray) -> Batch:
        """Return the next step (a `Batch` with T = 1) given M raw values of (patient, variable)."""
        self.hour += 1.0
        self.held[row, variable] = self.scaler.measured(value, variable)
        self.stamp[row, variable] = self.hour
        mask = np.zeros_like(self.held)
        mask[row, variable] = 1.0
        delta = self.hour - self.stamp  # (P, V)
        hours = np.full((len(mask), 1), self.hour, np.float32)
        lengths = np.ones(len(mask), np.int64)
        return Batch(self.held[:, None].copy(), mask[:, None], delta[:, None], hours, self.static, lengths)


def _draw(scaler: Scaler, patients: int, random: np.random.Generator) -> tuple[Any, Any, Any]:
    """Return (patient, variable, raw value) of what one step observes."""
    row, variable = np.nonzero(random.random((patients, len(scaler.variables))) < OBSERVED)
    raw = scaler.location[variable] + scaler.scale[variable] * random.normal(size=len(row))
    return row, variable, np.where(scaler.log[variable], np.expm1(raw), raw)
