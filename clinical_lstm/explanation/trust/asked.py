"""The predictions that the checks look at, as batches, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.explanation.cells import locate
from clinical_lstm.explanation.keys import KEY, SAMPLED
from clinical_lstm.lookback import sequences
from clinical_lstm.models.base import SequenceModel

TOGETHER = 16  # predictions of one batch, of like length: little padding
BATCH_STEPS = 16384  # rows x steps of one forward pass: bounds the memory


class Asked(NamedTuple):
    """B predictions: the logits `model(batch)[b, step[b], target[b]]`; step and target are (B,) int64."""

    batch: Batch
    step: Tensor
    target: Tensor

    def select(self, rows: Tensor) -> Asked:
        """Return the predictions `rows` (n,)."""
        return Asked(Batch(*(part[rows] for part in self.batch)), self.step[rows], self.target[rows])


def sample(explained: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Return up to `n` random rows, each of another stay; of the cohort sample alone where there is one."""
    sampled = pl.col("reason") == SAMPLED
    rows = explained.filter(sampled | sampled.any().not_()).sort(KEY)
    order = np.random.default_rng(seed).permutation(rows.height)
    return rows[order].unique("stay_id", keep="first", maintain_order=True).head(n)


def ask(
    model: SequenceModel,
    ragged: Ragged,
    scaler: Scaler,
    stay_index: Mapping[str, int],
    targets: Sequence[tuple[str, float]],
    chosen: pl.DataFrame,
    lookback_hours: float | None = None,
) -> tuple[pl.DataFrame, list[Asked]]:
    """Return the `chosen` predictions as batches on the model's device, shortest first, and their keys in that order.

    Arguments as in `explanation.explain`. A causal model is shown no step after a prediction's batch needs.
    """
    where = locate(chosen, ragged, stay_index, targets)
    at = where["at"].to_numpy()
    seen = sequences(ragged, lookback_hours, np.isin(np.arange(len(ragged.hours)), at))
    row, step = seen.place(at)
    where = where.with_columns(row=row, step=step).sort("step", *KEY)
    device = next(model.parameters()).device
    batches = []
    for rows in where.iter_slices(TOGETHER):
        shown, index = seen.cut(rows["row"].to_numpy())
        batch = assemble(shown, index, scaler).tensors().to(device)
        if model.causal:
            batch = _until(batch, int(rows["step"].max()) + 1)  # type: ignore[arg-type]
        positions = (torch.tensor(rows[name].to_list(), device=device) for name in ("step", "target"))
        batches.append(Asked(batch, *positions))
    return where.select(KEY), batches


def _until(batch: Batch, steps: int) -> Batch:
    values, mask, delta, hours = (part[:, :steps] for part in batch[:4])
    return Batch(values, mask, delta, hours, batch.static, batch.lengths.clamp(max=steps))


def thin(batches: Sequence[Asked], n: int) -> list[Asked]:
    """Return `n` of the predictions, evenly spread over their order (and so over the lengths); all when fewer."""
    sizes = [len(asked.step) for asked in batches]
    total = sum(sizes)
    kept = np.zeros(total, bool)
    kept[np.arange(min(n, total)) * total // max(min(n, total), 1)] = True
    parts = np.split(kept, np.cumsum(sizes)[:-1]) if sizes else []
    rows = (torch.from_numpy(np.flatnonzero(part)).to(asked.step.device) for asked, part in zip(batches, parts))
    return [asked.select(row) for asked, row in zip(batches, rows) if len(row)]


def explained_by(explainer: Explainer, model: SequenceModel, batches: Sequence[Asked]) -> list[Explanation]:
    """Return the explanation of every batch."""
    return [explainer(model, *asked) for asked in batches]


@torch.no_grad()
def logits(model: SequenceModel, asked: Asked) -> np.ndarray:
    """Return the logits (B,) of the predictions in float64."""
    rows = torch.arange(len(asked.step), device=asked.step.device)
    size = max(1, BATCH_STEPS // asked.batch.hours.shape[1])
    some = (asked.select(rows[begin : begin + size]) for begin in range(0, len(rows), size))
    found = [model(part.batch)[rows[: len(part.step)], part.step, part.target].double().cpu() for part in some]
    return torch.cat(found).numpy()


def cells(found: Explanation) -> Iterator[np.ndarray]:
    """Yield the attributions (3 T V + S,) of all cells, prediction by prediction."""
    parts = (found.values, found.mask, found.delta, found.static)
    for row in range(len(found.logit)):
        yield np.concatenate([part[row].ravel() for part in parts])


def by_variable(found: Explanation) -> np.ndarray:
    """Return the sums (B, V + S) of all attributions of a variable."""
    measured = (found.values + found.mask + found.delta).sum(axis=1)  # (B, V)
    return np.concatenate([measured, found.static], axis=1)


def by_observation(found: Explanation, asked: Asked) -> np.ndarray:
    """Return the attributions of whole observations (B, T, V), 0 where there is none.

        last_t = max { s <= t : observed in step s }                                                                 (1)
        a_s    = sum over t with last_t = s of A_values + A_mask + A_delta                                           (2)

    An observation is what the model sees as value and time-since until the next one: (2) is the share of what would
    change had it not been made. What stands before the first observation belongs to none.
    """
    seen = (asked.batch.mask > 0).cpu().numpy()  # (B, T, V)
    last = np.maximum.accumulate(np.where(seen, np.arange(seen.shape[1])[:, None], -1), axis=1)  # (1)
    row, step, variable = np.nonzero(last >= 0)
    flat = (row * seen.shape[1] + last[row, step, variable]) * seen.shape[2] + variable
    total = (found.values + found.mask + found.delta)[row, step, variable]
    return np.bincount(flat, weights=total, minlength=seen.size).reshape(seen.shape)  # (2)
