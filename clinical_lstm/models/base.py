"""The contract of a model: a `Batch` in, logits per step and target out, causal, with an equal streaming form.

x_t = inputs(batch)_t           features of one step                      (`inputs`, shared by all models)
h_t = states(x_1 ... x_t)       what the model itself is                  (the file of the model)
l_t = head(dropout(h_t))        logits of every complication x horizon    (`heads`, shared by all models)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.heads import Target, make_head
from clinical_lstm.models.inputs import Inputs


class SequenceModel(nn.Module, ABC):
    """A module whose logits at step t depend on the steps up to t only (`causal`), whatever else is in the batch.

    A model begins with `super().__init__`, makes its layers, ends with `attach_head`, and writes `states`,
    `initial_state` and `advance`.
    """

    causal = True

    def __init__(self, n_variables: int, n_static: int, inputs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.inputs = Inputs(n_variables, n_static, **(inputs or {}))

    def attach_head(self, width: int, targets: Sequence[Target], dropout: float, head: str = "cumulative") -> None:
        """Put dropout and the head on states of `width`."""
        self.dropout = nn.Dropout(dropout)
        self.head = make_head(head, width, targets)

    @abstractmethod
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H) of whole stays from their features (B, T, F)."""

    @abstractmethod
    def initial_state(self, static: Tensor) -> Any:
        """Return the streaming state (a named tuple of tensors) before the first step of stays with `static` (B, S)."""

    @abstractmethod
    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, H) of one more step (features (B, 1, F), a batch with T = 1), and what comes after."""

    def hidden(self, batch: Batch) -> Tensor:
        """Return what the heads see (B, T, H)."""
        return self.dropout(self.states(self.inputs(batch), batch))

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, K) of a batch of whole stays."""
        return self.head(self.hidden(batch))

    def step(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the logits (B, K) of one more step (a batch with T = 1) and the state after it."""
        found, after = self.advance(self.inputs(batch), batch, state)
        return self.head(self.dropout(found)), after

    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the output biases to the base rates (K,) of the training rows."""
        self.head.start_at(base_rates)
