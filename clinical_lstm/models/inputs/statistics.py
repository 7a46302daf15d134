"""Running statistics of every variable, beside the sequence: for tasks whose answer lies in the whole window so far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch


class Running(NamedTuple):
    """What the statistics remember of the steps so far, per stay and variable (B, V)."""

    number: Tensor  # of observations
    total: Tensor
    lowest: Tensor  # +inf before the first observation
    highest: Tensor  # -inf before the first observation
    first: Tensor


class Statistics(nn.Module):
    """Summarise what was observed at the steps up to t, and turn it into a small vector beside the state.

        u_t = [log(1 + n_t) / 4 ; mean ; min ; max ; first ; last ; last - first] of every variable; 0 before the first
        y_t = GELU(W LN(u_t) + b)                                                                    (B, T, `SIZE`)

    Every statistic is cumulative: one pass over a whole stay equals step by step. Without `counts` n_t is left out, and
    of a batch that hides what was measured when (`Inputs.visible`) the others are those of the values at every step.
    """

    SIZE = 32

    def __init__(self, n_variables: int, counts: bool = True) -> None:
        super().__init__()
        self.n_variables, self.counts = n_variables, counts
        width = (6 + counts) * n_variables
        self.branch = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.SIZE), nn.GELU())

    def initial(self, static: Tensor) -> Running:
        """Return what is remembered before the first step of stays with `static` (B, S)."""
        zero = static.new_zeros(len(static), self.n_variables)
        return Running(number=zero, total=zero, lowest=zero + torch.inf, highest=zero - torch.inf, first=zero)

    def forward(self, batch: Batch, before: Running) -> tuple[Tensor, Running]:
        """Return y (B, T, `SIZE`) of the steps of `batch`, and what is remembered after the last one."""
        running = self.observe(batch, before)
        return self.branch(self.describe(batch, running)), Running(*(part[:, -1] for part in running))

    @staticmethod
    def observe(batch: Batch, before: Running) -> Running:
        """Return what is remembered after each step (B, T, V)."""
        earlier = Running(*(part[:, None] for part in before))  # (B, 1, V)
        values, here = batch.values, batch.mask > 0
        earliest = values.gather(1, here.int().argmax(dim=1, keepdim=True))  # (B, 1, V); unseen until it is reached
        first = torch.where(earlier.number > 0, earlier.first, earliest)
        return Running(
            number=earlier.number + batch.mask.cumsum(1),
            total=earlier.total + (batch.mask * values).cumsum(1),
            lowest=torch.minimum(earlier.lowest, torch.where(here, values, torch.inf).cummin(1).values),
            highest=torch.maximum(earlier.highest, torch.where(here, values, -torch.inf).cummax(1).values),
            first=first.expand_as(values),
        )

    def describe(self, batch: Batch, running: Running) -> Tensor:
        """Return u (B, T, 7 V), without counts (B, T, 6 V)."""
        mean, first, last = running.total / running.number.clamp_min(1), running.first, batch.values
        count = [torch.log1p(running.number) / 4] if self.counts else []
        found = [*count, mean, running.lowest, running.highest, first, last, last - first]
        seen = running.number > 0  # (B, T, V)
        return torch.cat([torch.where(seen, part, 0.0) for part in found], dim=2)
