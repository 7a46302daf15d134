"""The attributions of chosen predictions as tables: one row per input cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged, Scaler, assemble, pad_rows
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.explanation.keys import CHOSEN, KEY
from clinical_lstm.lookback import sequences
from clinical_lstm.models.base import SequenceModel

CHANNELS = {"value": "values", "mask": "mask", "delta": "delta", "static": "static"}  # -> field of Explanation
SAME_HOUR = 1e-6
TOGETHER = 256  # predictions explained at once: enough to fill the backward passes, few enough for the dense result


def explain(
    model: SequenceModel,
    ragged: Ragged,
    scaler: Scaler,
    stay_index: Mapping[str, int],
    targets: Sequence[tuple[str, float]],
    chosen: pl.DataFrame,
    explainer: Explainer,
    lookback_hours: float | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `schemas.Explained` and `schemas.Attributions` of the `chosen` predictions, both sorted by their keys.

    `stay_index` gives a stay's position in `ragged`, `targets` the order of the model's outputs. Only the steps up to
    a prediction are shown to a causal model, with a lookback those of its window. Attributions that are exactly 0 have
    no row; those of static variables stand at the prediction's own hour. A prediction chosen twice is explained once,
    under its first reason. Raises InputError when a chosen stay, hour or target does not exist.
    """
    chosen = chosen.unique(KEY, keep="first", maintain_order=True)
    where = locate(chosen, ragged, stay_index, targets)
    at = where["at"].to_numpy()
    seen = sequences(ragged, lookback_hours, np.isin(np.arange(len(ragged.hours)), at))
    row, step = seen.place(at)
    where = where.with_columns(row=row, step=step).sort("step", *KEY)  # like lengths together: little padding
    explained: list[pl.DataFrame] = [schemas.Explained.create_empty()]
    attributions: list[pl.DataFrame] = [schemas.Attributions.create_empty()]
    for rows in where.iter_slices(TOGETHER):
        shown, index = seen.cut(rows["row"].to_numpy())
        batch = assemble(shown, index, scaler).tensors()
        step, target = (batch.lengths.new_tensor(rows[name].to_list()) for name in ("step", "target"))
        found = explainer(model, batch, step, target)
        hours = pad_rows(shown.hours, shown, index, batch.hours.shape[1], 0.0)  # (B, T)
        explained.append(_explained(rows, found))
        attributions.append(_attributions(rows, found, hours, scaler))
    key = [*KEY, "input_hours", "variable", "channel"]
    return (
        schemas.check(schemas.Explained, pl.concat(explained).sort(KEY), "the explained predictions"),
        schemas.check(schemas.Attributions, pl.concat(attributions).sort(key), "the attributions"),
    )


def locate(
    chosen: pl.DataFrame, ragged: Ragged, stay_index: Mapping[str, int], targets: Sequence[tuple[str, float]]
) -> pl.DataFrame:
    """Return `chosen` with the positions `at` (among the flat steps) and `target` (in the outputs)."""
    found, faults = [], []
    outputs = {target: k for k, target in enumerate(targets)}
    for stay_id, hours, *target in chosen.select(KEY).iter_rows():
        stay, output = stay_index.get(stay_id), outputs.get(tuple(target))
        if stay is None or output is None:
            faults.append(f"{'stay ' + stay_id if stay is None else 'target ' + str(tuple(target))} is unknown")
            continue
        begin = int(ragged.step_offsets[stay])
        grid = ragged.hours[begin : ragged.step_offsets[stay + 1]]
        step = int(np.searchsorted(grid, hours - SAME_HOUR))
        if step == len(grid) or grid[step] > hours + SAME_HOUR:
            faults.append(f"stay {stay_id} has no step at hour {hours}")
            continue
        found.append((begin + step, output))
    if faults:
        raise InputError(f"{len(faults)} of {chosen.height} predictions cannot be explained, first: {faults[0]}")
    positions = pl.DataFrame(found, schema={"at": pl.Int64, "target": pl.Int64}, orient="row")
    return pl.concat([chosen, positions], how="horizontal")


def _explained(rows: pl.DataFrame, found: Explanation) -> pl.DataFrame:
    columns = {name: getattr(found, name) for name in ("logit", "baseline_logit", "gap", "evaluations", "explained")}
    return rows.select(CHOSEN).with_columns(pl.Series(name, column) for name, column in columns.items())


def _attributions(rows: pl.DataFrame, found: Explanation, hours: np.ndarray, scaler: Scaler) -> pl.DataFrame:
    """Return the nonzero cells as rows; `hours` (B, T) are the steps' ends."""
    tables = []
    for channel, field in CHANNELS.items():
        part, names = getattr(found, field), scaler.statics if channel == "static" else scaler.variables
        cells = np.nonzero(part)  # rows first, variables last
        row, variable = pl.Series(cells[0]), pl.Series(cells[-1])
        table = rows.select(KEY)[row].with_columns(
            input_hours=pl.col("hours") if channel == "static" else pl.Series(hours[cells[:2]]),
            variable=pl.Series(names, dtype=pl.String).gather(variable),
            channel=pl.lit(channel, pl.Enum(list(CHANNELS))),
            attribution=pl.Series(part[cells]),
        )
        tables.append(table)
    return pl.concat(tables)
