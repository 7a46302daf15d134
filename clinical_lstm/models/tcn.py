"""Temporal convolutional network: no recurrence, a fixed receptive field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.convolution import Past, ResidualBlocks
from clinical_lstm.models.heads import Target


class TCN(SequenceModel):
    """Residual blocks of two causal dilated convolutions each.

        o^0_t = W x_t + b                                                                                (1) 1 x 1
        o^l = ReLU(o^{l-1} + F_l(o^{l-1})),  F_l = two convolutions of dilation 2^{l-1}                  (2) block l
        h_t = o^blocks_t                                                                                 (3)

    h_t sees the last 1 + 2 (kernel - 1) (2^blocks - 1) steps, `receptive_steps` (61 by default), and of anything older
    only what the inputs of a step say themselves (last value, time since). The blocks are `ResidualBlocks`; the paper's
    1 x 1 convolution stands in front of the first instead of beside it, so that all are of one width.
    Source: Bai, Kolter & Koltun 2018, arXiv 1803.01271.
    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        blocks: int = 4,
        kernel: int = 3,
        norm: str = "weight",
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.encoder = nn.Linear(self.inputs.width, hidden)
        self.blocks = ResidualBlocks(hidden, blocks, 2, kernel, norm, dropout)
        self.attach_head(hidden, targets, dropout, head)

    @property
    def receptive_steps(self) -> int:
        """How many steps a state depends on, the present one included."""
        return self.blocks.reach + 1

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        return self.blocks(self.encoder(features), self.initial_state(batch.static).past)[0]

    def initial_state(self, static: Tensor) -> Past:
        """Return a past of zeros (B, reach, H): before the first step there is nothing."""
        return Past(static.new_zeros(len(static), self.blocks.reach, self.encoder.out_features))

    def advance(self, features: Tensor, batch: Batch, state: Past) -> tuple[Tensor, Past]:
        """Return the states (B, H) of one more step and the past after it."""
        found, past = self.blocks(self.encoder(features), state.past)  # (B, 1, H)
        return found[:, 0], Past(past)
