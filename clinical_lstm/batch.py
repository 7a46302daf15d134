"""The tensor contract: ragged stays in, one padded `Batch` out; nothing is imputed before this point.

Dimension names: B stays, T steps, V variables, S static variables, K targets, M observed cells, N steps of all stays.
Everything here is numpy (so that `prepare` and the baselines need no torch); `Batch.tensors` hands it to torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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


class Sequences(Protocol):
    """What a model sees, one sequence a row of a batch: whole stays (`Ragged`), or windows of them (`lookback`)."""

    @property
    def hours(self) -> np.ndarray:
        """(N,) end of every step of the cohort, which the flat positions `at` below count."""

    @property
    def lengths(self) -> np.ndarray:
        """(sequences,) number of steps of each sequence."""

    def of(self, stays: np.ndarray) -> np.ndarray:
        """Return the sequences of `stays`, in their order."""

    def cut(self, rows: np.ndarray) -> tuple[Ragged, np.ndarray]:
        """Return tensors that hold the sequences `rows`, and where in them each one stands."""

    def answered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (index into `rows`, step in the sequence, flat step `at`) of every step whose logit counts."""

    def place(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequence that answers the flat steps `at`, and the step in it."""


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

    def of(self, stays: np.ndarray) -> np.ndarray:
        """Return `stays`: every stay is one sequence."""
        return stays

    def cut(self, rows: np.ndarray) -> tuple[Ragged, np.ndarray]:
        """Return the stays as they are."""
        return self, rows

    def answered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return every step of the stays `rows`."""
        begin = self.step_offsets[rows]
        row, at = stretches(begin, self.step_offsets[rows + 1])
        return row, at - begin[row], at

    def place(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the stay and the step in it of the flat steps `at`."""
        stay = np.searchsorted(self.step_offsets, at, side="right") - 1
        return stay, at - self.step_offsets[stay]

    def save(self, folder: Path) -> None:
        """Write one `.npy` file per array."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @staticmethod
    def load(folder: Path) -> Ragged:
        """Return the arrays of `folder`, memory-mapped."""
        return Ragged(**{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(Ragged)})


def assemble(seen: Sequences, rows: np.ndarray | Sequence[int], scaler: Scaler, steps: int | None = None) -> Batch:
    """Return the `Batch` of the sequences `rows`, padded to the longest or to `steps`.

    Cells are numbered 1, 2, ... in the order of time, so the last one seen is a running maximum, and two gathers do the
    rest (number 0, "never seen", holds value 0 and stamp 0):

        last[t] = max { number of a cell at s <= t },  value[t] = value[last[t]],  delta[t] = hours[t] - stamp[last[t]]
    """
    ragged, stays = seen.cut(np.asarray(rows, dtype=np.int64))
    lengths = ragged.lengths[stays]
    shape = (len(stays), int(steps or lengths.max(initial=1)), len(scaler.variables))  # (B, T, V)

    row, step, at = ragged.answered(stays)
    hours = np.zeros(shape[:2], np.float64)  # (B, T)
    hours[row, step] = ragged.hours[at]

    row, at = stretches(ragged.cell_offsets[stays], ragged.cell_offsets[stays + 1])
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
    values: np.ndarray, seen: Sequences, rows: np.ndarray | Sequence[int], steps: int, fill: float
) -> np.ndarray:
    """Return per-step `values` (N, ...) as an array (B, steps, ...), `fill` where the sequence answers no step."""
    rows = np.asarray(rows, dtype=np.int64)
    row, step, at = seen.answered(rows)
    padded = np.full((len(rows), steps, *values.shape[1:]), fill, values.dtype)
    padded[row, step] = values[at]
    return padded


def stretches(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, position) of every element of the stretches `begin:end` of a flat array.

    >>> [part.tolist() for part in stretches(np.array([4, 0]), np.array([6, 1]))]
    [[0, 0, 1], [4, 5, 0]]
    """
    count = end - begin
    row = np.repeat(np.arange(len(begin)), count)
    first = np.cumsum(count) - count
    return row, np.arange(len(row)) - first[row] + begin[row]
