"""From clean tables to `batch.Ragged`: the steps of every stay and the cells observed in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from clinical_lstm.batch import Ragged

_EPSILON = 1e-6  # hours: 4 ms, so that 5-minute stamps written as decimals fall on their grid point


def ragged(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    variables: Sequence[str],
    statics: Sequence[str],
    step_hours: float | None,
) -> Ragged:
    """Return the tensors of `stays`, in their order.

    Step k ends at (k + 1) * step_hours since ADMISSION and holds what was stamped after the step before it, up to its
    end (hour 0 belongs to the first step); of several values the last one counts. Steps before the record starts and
    after its last whole step do not exist. With `step_hours` None the steps are the distinct times of observation.

    Args:
        stays: `schemas.Stays`. observations: clean, sorted by hours within a stay; variables not listed are ignored.

    """
    cells = _cells(stays, observations, variables)
    if step_hours is None:
        offsets, hours, step = _event_steps(stays.height, cells)
    else:
        offsets, hours, step = _grid_steps(stays, cells, step_hours)
    lengths = np.diff(offsets)
    row, variable = cells["row"].to_numpy(), cells["code"].to_numpy()
    inside = (step >= 0) & (step < lengths[row])
    key = (row.astype(np.int64) * (lengths.max(initial=0) + 1) + step) * len(variables) + variable
    order = np.argsort(np.where(inside, key, -1), kind="stable")[np.count_nonzero(~inside) :]
    last = np.append(key[order][1:] != key[order][:-1], True)[: len(order)]  # several in one step: the last stamp
    order = order[last]
    at = offsets[row[order]] + step[order]
    stamp = cells["hours"].to_numpy()[order]
    return Ragged(
        step_offsets=offsets,
        cell_offsets=np.append(0, np.cumsum(np.bincount(row[order], minlength=stays.height))).astype(np.int64),
        hours=hours,
        cell_step=step[order].astype(np.int32),
        cell_variable=variable[order].astype(np.uint16),
        cell_value=cells["value"].to_numpy()[order].astype(np.float32),
        cell_age=np.maximum(hours[at] - stamp, 0).astype(np.float32),
        static=stays.select(statics).fill_null(float("nan")).to_numpy().astype(np.float32),
    )


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """Return the stays of all `parts`, one after the other."""

    def offsets(name: str) -> np.ndarray:
        return np.append(0, np.cumsum(np.concatenate([np.diff(getattr(part, name)) for part in parts])))

    flat = ["hours", "cell_step", "cell_variable", "cell_value", "cell_age", "static"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in flat}
    return Ragged(step_offsets=offsets("step_offsets"), cell_offsets=offsets("cell_offsets"), **arrays)


def step_times(stays: pl.DataFrame, tensors: Ragged) -> pl.DataFrame:
    """Return the end of every step as a table, with the ends of its stay; in the order of the flat steps."""
    row = np.repeat(np.arange(stays.height), tensors.lengths)
    ends = stays.select("stay_id", "length_hours", "follow_up_hours")
    return ends[row].with_columns(pl.Series("hours", tensors.hours))


def _cells(stays: pl.DataFrame, observations: pl.DataFrame, variables: Sequence[str]) -> pl.DataFrame:
    """Return row (stay index), code (variable index), hours, value; in the order of `observations`."""
    rows = stays.select("stay_id").with_row_index("row")
    codes = pl.DataFrame(list(enumerate(variables)), schema={"code": pl.Int64, "variable": pl.String}, orient="row")
    return (
        observations.join(rows, on="stay_id", how="inner", maintain_order="left")
        .join(codes, on="variable", how="inner", maintain_order="left")
        .select("row", "code", "hours", "value")
    )


def _grid_steps(stays: pl.DataFrame, cells: pl.DataFrame, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = np.floor((stays["start_hours"].to_numpy() + _EPSILON) / width).astype(np.int64)
    end = np.floor((stays["length_hours"].to_numpy() + _EPSILON) / width).astype(np.int64)
    offsets = np.append(0, np.cumsum(np.maximum(end - first, 0)))
    row = np.repeat(np.arange(stays.height), np.diff(offsets))
    hours = (np.arange(len(row)) - offsets[row] + first[row] + 1) * width
    stamped = np.maximum(np.ceil((cells["hours"].to_numpy() - _EPSILON) / width).astype(np.int64) - 1, 0)
    return offsets, hours.astype(np.float64), stamped - first[cells["row"].to_numpy()]


def _event_steps(n_stays: int, cells: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    events = cells.select("row", "hours").unique().sort("row", "hours")
    offsets = np.append(0, np.cumsum(np.bincount(events["row"].to_numpy(), minlength=n_stays))).astype(np.int64)
    numbered = events.with_columns((pl.int_range(pl.len(), dtype=pl.Int64).over("row")).alias("step"))
    step = cells.join(numbered, on=["row", "hours"], how="left", maintain_order="left")["step"].to_numpy()
    return offsets, events["hours"].to_numpy().astype(np.float64), step
