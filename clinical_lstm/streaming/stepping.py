"""One step of some stays, in arrays: what was observed -> `Batch` -> model -> calibrated risks.

Floating-point sums depend on the shape of a matrix product. So a step is always computed for `ROWS` stays, the last
ones repetitions of the first: a stay's bits do not depend on how many others are stepped with it, nor on which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.calibration import apply_all
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor

ROWS = 32  # 16 cost a ward of 512 more overhead, 64 a single stay of an attention model twice the time
MEMORY = "memory."  # the names of the arrays that hold a model's streaming state begin with it

Rows = dict[str, np.ndarray]  # arrays with one row per stay


class Cells(NamedTuple):
    """What some stays observed within a step: M values.

    Attributes:
        row: (M,) which of the stays. variable: (M,) index. hours: (M,) stamp. value: (M,) in the canonical unit.

    """

    row: np.ndarray
    variable: np.ndarray
    hours: np.ndarray
    value: np.ndarray

    @staticmethod
    def of(steps: Sequence[Mapping[int, tuple[float, float]]]) -> Cells:
        """Return the cells of one step per stay: index of a variable -> (hours, value)."""
        row = np.repeat(np.arange(len(steps)), [len(cells) for cells in steps])
        variable = np.array([code for cells in steps for code in cells], np.int64)
        seen = np.array([pair for cells in steps for pair in cells.values()], np.float64).reshape(-1, 2)
        return Cells(row, variable, seen[:, 0], seen[:, 1])


class Stepper:
    """A predictor that goes step by step; it keeps nothing of any stay itself.

    Attributes:
        blank: what is kept of a stay, before it is known: static (S,), held (V,) the scaled value last observed of each
            variable, stamp (V,) when, and the tensors of the model's streaming state.

    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.scaler = predictor, predictor.scaler
        size = len(self.scaler.variables)
        one, two = (self._started(np.zeros((rows, len(self.scaler.statics)), np.float32)) for rows in (1, 2))
        self._kind = type(one)
        self._names = [MEMORY + field for field in one._fields]
        self._axes = [[a != b for a, b in zip(x.shape, y.shape)].index(True) for x, y in zip(one, two)]  # of the stays
        self.blank = {
            "static": np.zeros(len(self.scaler.statics), np.float32),
            "held": np.zeros(size, np.float32),
            "stamp": np.zeros(size, np.float32),
            **{name: part[0] for name, part in self._rows(one, 1).items()},
        }

    def start(self, static: np.ndarray) -> Rows:
        """Return the row (1, ...) of a stay with `static` (S,), NaN where unknown, before its first step."""
        known = np.repeat(self.scaler.fixed(static[None].astype(np.float32)), ROWS, axis=0)  # (ROWS, S)
        return {"static": known[:1], **self._rows(self._started(known), 1)}

    def step(self, before: Rows, hours: np.ndarray, cells: Cells) -> tuple[np.ndarray, Rows]:
        """Return the risks (B, K) of B stays at `hours` (B,), the end of their step, and their rows after it.

        Raises InputError where the model gives no number.
        """
        batch, after = observed(self.scaler, before, hours, cells)
        memory = {name: np.empty_like(before[name]) for name in self._names}
        logits = np.empty((len(hours), len(self.predictor.targets)))
        for begin in range(0, len(hours), ROWS):
            chunk = np.arange(begin, min(begin + ROWS, len(hours)))
            logits[chunk], part = self._ask(batch, before, np.resize(chunk, ROWS), len(chunk))
            for name, rows in part.items():
                memory[name][chunk] = rows
        wrong = int((~np.isfinite(logits)).any(axis=1).sum())
        if wrong:
            raise InputError(f"the model gives no risk for {wrong} of {len(hours)} stays: look at its weights")
        risks = apply_all(self.predictor.calibrators, logits, self.predictor.targets)
        return risks, after | memory

    def _ask(self, batch: Batch, before: Rows, at: np.ndarray, size: int) -> tuple[np.ndarray, Rows]:
        """Return logits (size, K) and memory after the step of the first `size` of the stays `at` (ROWS,)."""
        import torch

        state = [
            torch.from_numpy(before[name][at]).movedim(0, axis).contiguous()
            for name, axis in zip(self._names, self._axes)
        ]
        with torch.inference_mode():
            found, after = self.predictor.model.step(Batch(*(part[at] for part in batch)).tensors(), self._kind(*state))
        return found[:size].double().numpy(), self._rows(after, size)

    def _started(self, static: np.ndarray) -> Any:
        import torch

        with torch.inference_mode():
            return self.predictor.model.start(torch.from_numpy(static))

    def _rows(self, state: Any, size: int) -> Rows:
        """Return the first `size` stays of a streaming state, stays first."""
        parts = (part.movedim(axis, 0)[:size] for part, axis in zip(state, self._axes))
        return {name: part.contiguous().numpy() for name, part in zip(self._names, parts)}


def observed(scaler: Scaler, before: Rows, hours: np.ndarray, cells: Cells) -> tuple[Batch, Rows]:
    """Return the batch (T = 1) of one more step, the same numbers as `batch.assemble` gives, and what is then held.

    Args:
        before: static (B, S), held and stamp (B, V); not changed. hours: (B,) end of the step.

    """
    held, stamp = before["held"].copy(), before["stamp"].copy()  # (B, V)
    mask = np.zeros_like(held)
    place = (cells.row, cells.variable)
    age = np.maximum(hours[cells.row] - cells.hours, 0).astype(np.float32)
    held[place] = scaler.measured(cells.value.astype(np.float32), cells.variable)
    stamp[place] = hours[cells.row] - age
    mask[place] = 1.0
    now = hours.astype(np.float32)[:, None]  # (B, 1)
    delta = np.maximum(now - stamp, 0)  # (B, V)
    lengths = np.ones(len(hours), np.int64)
    batch = Batch(held[:, None], mask[:, None], delta[:, None], now, before["static"], lengths)
    return batch, {"held": held, "stamp": stamp}
