"""The tensor contract: ragged stays in, one padded `Batch` out; nothing is imputed before this point.

Dimension names: B stays, T steps, V variables, S static variables, K targets, M observed cells, N steps of all stays.
Everything here is numpy (so that `prepare` and the baselines need no torch); `Batch.tensors` hands it to torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

Array = Any  # numpy.ndarray on the way in, torch.Tensor inside a model


class Batch(NamedTuple):
    """B stays padded on the right to T steps.

    Attributes:
        values: (B, T, V) scaled value last observed at or before the step, 0 (the train median) before the first.
        mask: (B, T, V) 1 where the variable was observed within this step.
        delta: (B, T, V) hours from the last observation to the step's end; before the first: hours since admission.
        hours: (B, T) time of the step's end, hours since admission.
        static: (B, S) scaled static variables, 0 (the train median) where unknown.
        lengths: (B,) number of steps of each stay; what lies behind is padding (zeros).

    """

    values: Array
    mask: Array
    delta: Array
    hours: Array
    static: Array
    lengths: Array

    def tensors(self) -> Batch:
        """Return the same batch as torch tensors that share memory with the arrays."""
        import torch

        return Batch(*(torch.from_numpy(np.ascontiguousarray(part)) for part in self))

    def to(self, device: Any) -> Batch:
        """Return the (torch) batch on `device`."""
        return Batch(*(part.to(device) for part in self))


@dataclass(frozen=True)
class Scaler:
    """z = (f(x) - location) / scale per variable, f = log1p where `log`; fitted on train, invertible.

    All arrays have one entry per variable, measured ones first, then static ones.
    """

    variables: list[str]
    statics: list[str]
    log: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    def measured(self, value: np.ndarray, variable: np.ndarray) -> np.ndarray:
        """Return scaled values (M,) of cells whose variable index is `variable` (M,)."""
        seen = np.where(self.log[variable], np.log1p(np.maximum(value, 0)), value)
        return ((seen - self.location[variable]) / self.scale[variable]).astype(np.float32)

    def fixed(self, static: np.ndarray) -> np.ndarray:
        """Return scaled static variables (B, S); unknown ones become 0."""
        part = slice(len(self.variables), None)
        seen = np.where(self.log[part], np.log1p(np.maximum(static, 0)), static)
        return np.nan_to_num((seen - self.location[part]) / self.scale[part], nan=0.0).astype(np.float32)

    def table(self) -> pl.DataFrame:
        """Return the scaler as `schemas.ScalerTable`."""
        return pl.DataFrame(
            {
                "variable": [*self.variables, *self.statics],
                "static": [False] * len(self.variables) + [True] * len(self.statics),
                "log": self.log,
                "location": self.location,
                "scale": self.scale,
            }
        )

    @staticmethod
    def from_table(table: pl.DataFrame) -> Scaler:
        """Return the scaler that `table` wrote down."""
        is_static = table["static"].to_numpy()
        names = np.array(table["variable"].to_list(), dtype=object)
        return Scaler(
            variables=list(names[~is_static]),
            statics=list(names[is_static]),
            log=table["log"].to_numpy(),
            location=table["location"].to_numpy(),
            scale=table["scale"].to_numpy(),
        )


@dataclass(frozen=True)
class Ragged:
    """All stays of a cohort as flat arrays; stay i owns steps `step_offsets[i]:step_offsets[i+1]`, cells likewise.

    Attributes:
        step_offsets: (stays + 1,) int64. cell_offsets: (stays + 1,) int64.
        hours: (N,) float64, end of each step in hours since admission, increasing within a stay.
        cell_step: (M,) int32, step within the stay; sorted. cell_variable: (M,) uint16.
        cell_value: (M,) float32 in the canonical unit, the last one of the step.
        cell_age: (M,) float32, hours from that measurement to the end of its step.
        static: (stays, S) float32, NaN where unknown.

    """

    step_offsets: np.ndarray
    cell_offsets: np.ndarray
    hours: np.ndarray
    cell_step: np.ndarray
    cell_variable: np.ndarray
    cell_value: np.ndarray
    cell_age: np.ndarray
    static: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(stays,) number of steps of each stay."""
        return np.diff(self.step_offsets)

    def save(self, folder: Path) -> None:
        """Write one `.npy` file per array."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @staticmethod
    def load(folder: Path) -> Ragged:
        """Return the arrays of `folder`, memory-mapped."""
        return Ragged(**{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(Ragged)})


def assemble(ragged: Ragged, stays: np.ndarray | Sequence[int], scaler: Scaler, steps: int | None = None) -> Batch:
    """Return the `Batch` of `stays` (indices into `ragged`), padded to the longest or to `steps`.

    Cells are numbered 1, 2, ... in the order of time, so the last one seen is a running maximum, and two gathers do the
    rest (number 0, "never seen", holds value 0 and stamp 0):

        last[t] = max { number of a cell at s <= t },  value[t] = value[last[t]],  delta[t] = hours[t] - stamp[last[t]]
    """
    stays = np.asarray(stays, dtype=np.int64)
    lengths = ragged.lengths[stays]
    shape = (len(stays), int(steps or lengths.max(initial=1)), len(scaler.variables))  # (B, T, V)

    row, at = _flatten(ragged.step_offsets, stays)
    hours = np.zeros(shape[:2], np.float64)  # (B, T)
    hours[row, at - ragged.step_offsets[stays][row]] = ragged.hours[at]

    row, at = _flatten(ragged.cell_offsets, stays)
    step, variable = ragged.cell_step[at], ragged.cell_variable[at]
    value = np.zeros(len(at) + 1, np.float32)
    value[1:] = scaler.measured(ragged.cell_value[at], variable)
    stamp = np.zeros(len(at) + 1, np.float32)
    stamp[1:] = hours[row, step] - ragged.cell_age[at]

    number = np.zeros(shape, np.int32)  # (B, T, V)
    number.reshape(-1)[(row * shape[1] + step) * shape[2] + variable] = np.arange(1, len(at) + 1)
    mask = (number > 0).astype(np.float32)
    last = np.maximum.accumulate(number, axis=1)
    last *= np.arange(shape[1])[:, None] < lengths[:, None, None]  # nothing lies in the padding
    delta = hours.astype(np.float32)[:, :, None] - stamp.take(last)
    return Batch(
        values=value.take(last),
        mask=mask,
        delta=np.maximum(delta, 0, out=delta),
        hours=hours.astype(np.float32),
        static=scaler.fixed(ragged.static[stays]),
        lengths=lengths.astype(np.int64),
    )


def pad_rows(
    rows: np.ndarray, ragged: Ragged, stays: np.ndarray | Sequence[int], steps: int, fill: float
) -> np.ndarray:
    """Return per-step `rows` (N, ...) of `stays` as a padded array (B, steps, ...), `fill` in the padding."""
    stays = np.asarray(stays, dtype=np.int64)
    row, at = _flatten(ragged.step_offsets, stays)
    padded = np.full((len(stays), steps, *rows.shape[1:]), fill, rows.dtype)
    padded[row, at - ragged.step_offsets[stays][row]] = rows[at]
    return padded


def _flatten(offsets: np.ndarray, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (row in the batch, position in the flat array) of every element of `stays`."""
    begin = offsets[stays]
    count = offsets[stays + 1] - begin
    row = np.repeat(np.arange(len(stays)), count)
    first = np.cumsum(count) - count
    return row, np.arange(len(row)) - first[row] + begin[row]
