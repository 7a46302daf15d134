"""The contract of a model: a `Batch` in, logits per step and target out, causal, with an equal streaming form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.heads import RiskHead


class SequenceModel(nn.Module, ABC):
    """A module whose logits at step t depend on the steps up to t only (`causal`), whatever else is in the batch."""

    causal = True
    head: RiskHead

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, K) of a batch of whole stays."""

    @abstractmethod
    def initial_state(self, size: int) -> Any:
        """Return the streaming state (a named tuple of tensors) of `size` stays before their first step."""

    @abstractmethod
    def step(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the logits (B, K) of one more step (a batch with T = 1) and the state after it."""

    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the output biases to the base rates (K,) of the training rows."""
        self.head.start_at(base_rates)


@torch.no_grad()
def initialise_gates(lstm: nn.LSTM) -> None:
    """Make the recurrent weights of every gate orthogonal, the forget biases 1 and all other biases 0.

    Source: Jozefowicz et al., ICML 2015 (forget bias); Saxe et al. 2014, arXiv 1312.6120 (orthogonal weights).
    """
    width = lstm.hidden_size
    for name, weight in lstm.named_parameters():
        if name.startswith("weight_hh"):
            for gate in weight.split(width):
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            weight.zero_()
            if name.startswith("bias_ih"):
                weight[width : 2 * width] = 1.0  # torch orders the gates i, f, c, o
