"""A small ward of uneven stays, as tensors and as the ragged arrays they are assembled from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch, Ragged, Scaler, assemble, stretches

LENGTHS = np.array([14, 13, 9, 6, 4, 1])
VARIABLES, STATICS = 5, 3
NEVER = 4  # a variable that nobody measured
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ward() -> Ragged:
    draw = np.random.default_rng(3)
    cells = [np.nonzero(draw.random((steps, NEVER)) < [0.9, 0.5, 0.3, 0.1]) for steps in LENGTHS]
    count = [len(step) for step, _ in cells]
    total = sum(count)
    static = draw.normal(size=(len(LENGTHS), STATICS)).astype(np.float32)
    static[::2, 1] = np.nan
    return Ragged(
        step_offsets=np.append(0, np.cumsum(LENGTHS)),
        cell_offsets=np.append(0, np.cumsum(count)),
        hours=np.concatenate([np.arange(1.0, steps + 1) for steps in LENGTHS]),
        cell_step=np.concatenate([step for step, _ in cells]).astype(np.int32),
        cell_variable=np.concatenate([variable for _, variable in cells]).astype(np.uint16),
        cell_value=draw.normal(size=total).astype(np.float32),
        cell_age=draw.random(total).astype(np.float32),
        static=static,
    )


@pytest.fixture(scope="session")
def scaler() -> Scaler:
    size = VARIABLES + STATICS
    names = [f"v{i}" for i in range(VARIABLES)], [f"s{i}" for i in range(STATICS)]
    return Scaler(*names, log=np.zeros(size, bool), location=np.zeros(size), scale=np.ones(size))


@pytest.fixture(scope="session")
def stays(ward: Ragged, scaler: Scaler) -> Batch:
    return assemble(ward, np.arange(len(ward.lengths)), scaler).tensors()


@pytest.fixture(scope="session")
def without() -> Callable[[Ragged, np.ndarray], Ragged]:
    """What the ward had been if the cells (B, T, V; bool) had never been measured."""

    def remove(ward: Ragged, hidden: np.ndarray) -> Ragged:
        row, at = stretches(ward.cell_offsets[:-1], ward.cell_offsets[1:])
        kept = ~hidden[row, ward.cell_step[at], ward.cell_variable[at]]
        cells = {
            name: getattr(ward, name)[at][kept] for name in ("cell_step", "cell_variable", "cell_value", "cell_age")
        }
        offsets = np.append(0, np.cumsum(np.bincount(row[kept], minlength=len(ward.lengths))))
        return Ragged(ward.step_offsets, offsets, ward.hours, **cells, static=ward.static)

    return remove
