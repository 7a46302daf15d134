"""What a model did inside, at predictions of interest, as tables: gates and memory of an LSTM, weights of attention.

These are read off, they attribute nothing: a gate says what was let in or kept, not what raised the risk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.explanation.keys import KEY
from clinical_lstm.explanation.trust.asked import Asked, ask
from clinical_lstm.models.base import SequenceModel

Reader = Callable[..., Any]


def readings(
    reader: Reader,
    model: SequenceModel,
    ragged: Ragged,
    scaler: Scaler,
    stay_index: Mapping[str, int],
    targets: Sequence[tuple[str, float]],
    chosen: pl.DataFrame,
    lookback_hours: float | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the tables that a reader (`explainers.gates`, `explainers.attention`) gives of the `chosen` predictions.

    Of gates: `gates` (`schemas.GateTraces`) and `half_lives` (`schemas.HalfLives`); of attention: `attention`
    (`schemas.Attention`). The other arguments are those of `explanation.explain`. Raises InputError where the model
    has nothing to read.
    """
    where, batches = ask(model, ragged, scaler, stay_index, targets, chosen.unique(KEY, keep="first"), lookback_hours)
    parts: dict[str, list[pl.DataFrame]] = {}
    begin = 0
    for asked in batches:
        keys = where[begin : begin + len(asked.step)]
        begin += len(asked.step)
        found = reader(model, asked.batch, asked.step)
        for name, table in (_gates if hasattr(found, "forget") else _attention)(found, keys, asked).items():
            parts.setdefault(name, []).append(table)
    contracts = {"gates": schemas.GateTraces, "half_lives": schemas.HalfLives, "attention": schemas.Attention}
    order = [*KEY, "layer"]
    return {
        name: schemas.check(contracts[name], pl.concat(own).sort(order, maintain_order=True), f"the table {name}")
        for name, own in parts.items()
    }


def _gates(found: Any, keys: pl.DataFrame, asked: Asked) -> dict[str, pl.DataFrame]:
    """Return the gates averaged over the units, step by step, and the half-life of every unit."""
    seen = np.arange(asked.batch.hours.shape[1]) <= asked.step.cpu().numpy()[:, None]  # (B, T)
    row, step = np.nonzero(seen)
    hours = asked.batch.hours.cpu().numpy().astype(np.float64)[row, step]
    gates, memory = [], []
    for layer, name in enumerate(found.layers):
        columns = {key: getattr(found, key)[row, step, layer].mean(axis=1) for key in ("input", "forget", "output")}
        columns |= {"cell": np.abs(found.cell[row, step, layer]).mean(axis=1)}
        columns |= {"retained": found.retained[row, step, layer].mean(axis=1)}
        gates.append(_table(keys, row, name, {"input_hours": hours, **columns}))
        of, unit = (index.ravel() for index in np.indices(found.half_life_hours[:, layer].shape))
        half = {"unit": unit.astype(np.int64), "half_life_hours": found.half_life_hours[:, layer].ravel()}
        memory.append(_table(keys, of, name, half))
    return {"gates": pl.concat(gates), "half_lives": pl.concat(memory)}


def _attention(found: Any, keys: pl.DataFrame, asked: Asked) -> dict[str, pl.DataFrame]:
    """Return every weight above 0."""
    hours, tables = asked.batch.hours.cpu().numpy().astype(np.float64), []
    for name, weights in zip(found.layers, found.weights, strict=True):
        row, head, step = np.nonzero(weights)
        columns = {"head": head.astype(np.int64), "input_hours": hours[row, step], "weight": weights[row, head, step]}
        tables.append(_table(keys, row, name, columns))
    return {"attention": pl.concat(tables)}


def _table(keys: pl.DataFrame, row: np.ndarray, layer: str, columns: Mapping[str, np.ndarray]) -> pl.DataFrame:
    repeated = keys[pl.Series(row)].with_columns(layer=pl.lit(layer))
    return repeated.with_columns(pl.Series(name, column) for name, column in columns.items())
