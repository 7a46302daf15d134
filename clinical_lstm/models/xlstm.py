"""What the two extended LSTMs share: residual layers over an encoder, the norm per head, and how their gates begin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target

NOTHING = -1e30  # log weight of a memory that holds nothing yet: finite, so that it can be stored and subtracted


class Cell(nn.Module, ABC):
    """The memory of one layer: whole stays at once, or step by step with equal results."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        if hidden < 1 or heads < 1 or hidden % heads:
            raise InputError(f"model.hidden must be a multiple of model.heads; {hidden} is none of {heads}")
        self.hidden, self.heads, self.size = hidden, heads, hidden // heads  # size d: features of a head

    @abstractmethod
    def forward(self, seen: Tensor) -> Tensor:
        """Return what the memory answers (B, T, H) to whole stays (B, T, H)."""

    @abstractmethod
    def begin(self, like: Tensor, stays: int) -> tuple[Tensor, ...]:
        """Return the state before the first step, each part (B, ...), of the type and on the device of `like`."""

    @abstractmethod
    def step(self, seen: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the answer (B, H) to one more step (B, H), and the state after it."""


class HeadNorm(nn.Module):
    """Give the features of each head at each step mean 0 and variance 1, then a scale and a shift per feature."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight, self.bias = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))

    def forward(self, states: Tensor) -> Tensor:
        """Return the normed states (..., H)."""
        apart = states.unflatten(-1, (self.heads, -1))  # (..., N, d)
        return nn.functional.layer_norm(apart, apart.shape[-1:]).flatten(-2) * self.weight + self.bias  # (..., H)


class ResidualCells(SequenceModel):
    """Residual layers of a memory cell, each behind a layer norm; `Memory` and `State` make it a model.

    r^0_t = W x_t + b,    r^l_t = r^{l-1}_t + dropout(cell_l(LN(r^{l-1}))_t),    h_t = LN(r^L_t)
    """

    Memory: ClassVar[type[Cell]]
    State: ClassVar[type[Any]]

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.encoder = nn.Linear(self.inputs.width, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.cells = nn.ModuleList(self.Memory(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.attach_head(hidden, targets, dropout, head)

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H) of the last layer."""
        stream = self.encoder(features)  # (B, T, H)
        for norm, cell in zip(self.norms, self.cells):
            stream = stream + self.dropout(cell(norm(stream)))
        return self.norm(stream)

    def initial_state(self, static: Tensor) -> Any:
        """Return the state (each part (L, B, ...)) of memories that hold nothing yet."""
        parts = [cell.begin(static, len(static)) for cell in self.cells]  # type: ignore[operator]
        return self.State(*(torch.stack(same) for same in zip(*parts)))

    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, H) of one more step and the state after it."""
        stream, after = self.encoder(features[:, 0]), []  # (B, H)
        for layer, (norm, cell) in enumerate(zip(self.norms, self.cells)):
            out, parts = cell.step(norm(stream), [part[layer] for part in state])  # type: ignore[operator]
            stream = stream + self.dropout(out)
            after.append(parts)
        return self.norm(stream), self.State(*(torch.stack(same) for same in zip(*after)))


@torch.no_grad()
def remember(bias: Tensor) -> None:
    """Spread the biases (...,) of forget gates over 3 to 6, so that memories last 20 to 400 steps at first."""
    bias.copy_(torch.linspace(3.0, 6.0, bias.numel()).view_as(bias))
