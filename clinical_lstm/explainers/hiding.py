"""Hide observations as if they had never been made, and see what the logit becomes.

Everything of a prediction that can be hidden is one list, in an order in which whatever is hidden together stands side
by side: a set of things to hide is a stretch `begin:end` of the list.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clinical_lstm.batch import Batch, stretches
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.traces import require_eval
from clinical_lstm.models.base import SequenceModel

SAME_TIME = 1e-4  # of a block of hours: hours are 32-bit numbers


def unobserve(batch: Batch, cells: Tensor) -> Batch:
    """Return the batch as it had been assembled if the observations `cells` (B, T, V; bool) had never been made.

        kept_t  = observed within step t, and not among `cells`
        last_t  = max { s <= t : kept_s }                                                                            (1)
        value_t = value of the step last_t                                              before the first: 0          (2)
        mask_t  = kept_t                                                                                             (3)
        delta_t = hours_t - (hours - delta of the step last_t)                          before the first: hours_t    (4)

    A cell with the same last observation as before keeps its bits. Static variables and the padding stay as they are.
    """
    step = torch.arange(batch.hours.shape[1], device=batch.hours.device)  # (T,)
    inside = (step < batch.lengths[:, None])[:, :, None]  # (B, T, 1)
    made = (batch.mask > 0) & inside
    kept = made & ~cells
    before, last = (torch.where(seen, step[:, None], -1).cummax(dim=1).values for seen in (made, kept))  # (B, T, V): 1
    at, seen = last.clamp_min(0), last >= 0
    hours = batch.hours[:, :, None]
    value = torch.where(seen, batch.values.gather(1, at), 0)  # 2
    waited = (hours - torch.where(seen, (hours - batch.delta).gather(1, at), 0)).clamp_min(0)  # 4
    same = (last == before) | ~inside
    return batch._replace(
        values=torch.where(same, batch.values, value),
        mask=batch.mask * kept,  # 3
        delta=torch.where(same, batch.delta, waited),
    )


def blocks_back(batch: Batch, step: Tensor, width_hours: float) -> np.ndarray:
    """Return how many blocks of `width_hours` each step (B, T) lies back: 0 in (t - width, t], and after t."""
    hours, at = batch.hours.double().cpu(), step.cpu()[:, None]
    back = hours.gather(1, at) - hours  # (B, T)
    before = torch.arange(hours.shape[1]) <= at
    return torch.where(before, (back / width_hours + SAME_TIME).floor(), 0).long().numpy()


class Sets(NamedTuple):
    """n sets of things to hide together."""

    row: np.ndarray  # (n,) prediction
    place: np.ndarray  # (n,) place of the first thing in it
    begin: np.ndarray  # (n,) stretch of the list
    end: np.ndarray
    windows: np.ndarray  # (n,) how many windows hide just this set


class Hiding:
    """What B predictions saw, in the order of the places it was given, and the logits without parts of it.

    Args:
        place: (B, T, V) int64 >= 0 of every observation. static_place: (S,) of every static variable; unknown ones
            (0, the train median) cannot be hidden any further.
        batch_steps: rows x steps of one forward pass; bounds the memory.

    Raises InputError when the model is in training mode or its logits are not finite.

    """

    def __init__(
        self,
        model: SequenceModel,
        batch: Batch,
        step: Tensor,
        target: Tensor,
        place: np.ndarray,
        static_place: np.ndarray,
        batch_steps: int,
    ) -> None:
        require_eval(model)
        self.model, self.batch, self.batch_steps = model, batch, batch_steps
        self.step, self.target = step.to(batch.hours.device), target.to(batch.hours.device)
        self.shape = tuple(batch.values.shape)  # (B, T, V)
        self._list(place, static_place)
        rows = np.arange(self.shape[0])
        first, last = np.searchsorted(self.row, rows), np.searchsorted(self.row, rows, side="right")
        self.logit = self.logits(rows, first, first)  # (B,)
        self.baseline_logit = self.logits(rows, first, last)  # (B,), nothing observed

    def _list(self, place: np.ndarray, static_place: np.ndarray) -> None:
        """List what can be hidden, by row and place: its row, its place and where it lies `at` in T V + S."""
        batch, steps = self.batch, np.arange(self.shape[1])
        until = self.step.cpu().numpy()[:, None] + 1 if self.model.causal else np.inf
        seen = steps < np.minimum(batch.lengths.cpu().numpy()[:, None], until)  # (B, T)
        able = (batch.mask.cpu().numpy() > 0) & seen[:, :, None]
        known = batch.static.cpu().numpy() != 0  # (B, S)
        able = np.concatenate([able.reshape(self.shape[0], -1), known], axis=1)  # (B, T V + S)
        places = np.concatenate([place.reshape(self.shape[0], -1), np.broadcast_to(static_place, known.shape)], axis=1)
        row, at = np.nonzero(able)
        order = np.lexsort((at, places[row, at], row))
        self.row, self.at = row[order], at[order]
        self.place = places[self.row, self.at]

    def windows(self, width: int = 1) -> Sets:
        """Return the distinct sets that windows of `width` neighbouring places hide, sliding from place to place."""
        span = int(self.place.max(initial=0)) + width + 1  # no window spans two rows
        listed = self.row * span + self.place
        starts = np.unique(listed[:, None] - np.arange(width))
        stretch = np.stack([np.searchsorted(listed, starts), np.searchsorted(listed, starts + width)], axis=1)
        stretch, windows = np.unique(stretch, axis=0, return_counts=True)
        begin, end = stretch.T
        return Sets(self.row[begin], self.place[begin], begin, end, windows)

    @torch.no_grad()
    def logits(self, row: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the logits (n,) in float64 of the predictions `row` with what lies in begin:end hidden."""
        size = max(1, self.batch_steps // self.shape[1])
        cuts = (slice(at, at + size) for at in range(0, len(row), size))
        found = np.concatenate([np.zeros(0), *(self._logits(row[cut], begin[cut], end[cut]) for cut in cuts)])
        if wrong := len(np.unique(row[~np.isfinite(found)])):
            raise InputError(f"the model gives no finite logit for {wrong} prediction(s); train it again")
        return found

    def _logits(self, row: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        _, steps, variables = self.shape
        hidden = np.zeros((len(row), steps * variables + self.batch.static.shape[1]), bool)
        number, at = stretches(begin, end)
        hidden[number, self.at[at]] = True
        device = self.batch.hours.device
        away, rows = torch.from_numpy(hidden).to(device), torch.from_numpy(row).to(device)
        step = self.step[rows]
        some = Batch(*(part[rows] for part in self.batch))
        some = some._replace(static=some.static.masked_fill(away[:, steps * variables :], 0))
        cells = away[:, : steps * variables].unflatten(1, (steps, variables))
        if self.model.causal:
            until = int(step.max()) + 1
            cells, (values, mask, delta, hours) = cells[:, :until], (part[:, :until] for part in some[:4])
            some = Batch(values, mask, delta, hours, some.static, some.lengths.clamp(max=until))
        logits = self.model(unobserve(some, cells))  # (n, T, K)
        return logits[torch.arange(len(row), device=device), step, self.target[rows]].double().cpu().numpy()

    def effects(self, sets: Sets) -> np.ndarray:
        """Return F(x) - F(x without the set) (n,)."""
        return self.logit[sets.row] - self.logits(sets.row, sets.begin, sets.end)

    def explanation(self, sets: Sets, effects: np.ndarray, width: int, tolerance: float) -> Explanation:
        """Return the contract: the effect of a set shared equally among it, a thing in `width` windows has their mean.

        Shares stand in `values` and `static`; `mask` and `delta` are 0, since hiding changes all three together.
        """
        stays, steps, variables = self.shape
        share = effects / (sets.end - sets.begin) * sets.windows / width
        number, at = stretches(sets.begin, sets.end)
        flat = np.zeros((stays, steps * variables + self.batch.static.shape[1]))
        flat[self.row, self.at] = np.bincount(at, weights=share[number], minlength=len(self.at))
        values = flat[:, : steps * variables].reshape(self.shape)
        gap = np.abs(flat.sum(1) - (self.logit - self.baseline_logit))
        return Explanation(
            values=values,
            mask=np.zeros_like(values),
            delta=np.zeros_like(values),
            static=flat[:, steps * variables :],
            logit=self.logit,
            baseline_logit=self.baseline_logit,
            gap=gap,
            evaluations=2 + np.bincount(sets.row, minlength=stays),
            explained=gap < tolerance,
        )
