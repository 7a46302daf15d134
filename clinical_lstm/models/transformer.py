"""Transformer: every step attends to the last steps, without a memory of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.transformer_layers import Cache, TransformerLayers


class Transformer(SequenceModel):
    """Causal pre-norm encoder over a bounded window of steps, with real hours as positions.

        r^0_t = W x_t + b                                                                                (1)
        r^l   = layer_l(r^{l-1}),   step t sees the steps t - window_steps + 1 ... t                     (2)
        h_t   = LN(r^L_t)                                                                                (3)

    Through L layers h_t depends on the last L (window_steps - 1) + 1 steps, and on anything older only by what the
    inputs of a step say themselves (last value, time since). A step of a stream costs one window, at any age of a stay.
    Source: Vaswani et al. 2017, arXiv 1706.03762; pre-norm, Xiong et al. 2020, arXiv 2002.04745.
    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 2,
        heads: int = 4,
        expansion: int = 2,
        window_steps: int = 48,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.encoder = nn.Linear(self.inputs.width, hidden)
        self.layers = TransformerLayers(hidden, layers, heads, expansion, window_steps, dropout)
        self.attach_head(hidden, targets, dropout, head)

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        return self.layers(self.encoder(features), batch.hours)

    def initial_state(self, static: Tensor) -> Cache:
        """Return an empty cache."""
        return self.layers.empty(len(static))

    def advance(self, features: Tensor, batch: Batch, state: Cache) -> tuple[Tensor, Cache]:
        """Return the states (B, H) of one more step and the cache after it."""
        rows, after = self.layers.advance(self.encoder(features), batch.hours, state)  # (B, 1, H)
        return rows[:, 0], after
