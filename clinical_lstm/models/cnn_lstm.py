"""Causal convolutions in front of an LSTM: short patterns are found first, and remembered then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.convolution import PastAndMemory, ResidualBlocks
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import Before, initialise_gates


class CNNLSTM(SequenceModel):
    """Residual causal convolutions of dilation 1, 2, 4, ..., then a stacked LSTM.

        o^0_t = W x_t + b                                                                                (1) 1 x 1
        o^l = ReLU(o^{l-1} + conv_l(o^{l-1}))                     dilation 2^{l-1}                       (2) block l
        h_t = LSTM(o^blocks_1 ... o^blocks_t)                                                            (3)

    The convolutions see the last 1 + (kernel - 1) (2^blocks - 1) steps (7 by default): a trend over some hours reaches
    the gates in one step.
    Source: Sainath et al., ICASSP 2015, doi 10.1109/ICASSP.2015.7178838 (convolutions in front of an LSTM); Bai et al.
    2018, arXiv 1803.01271 (residual, causal, dilated).
    """

    takes_static = True

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        blocks: int = 2,
        kernel: int = 3,
        norm: str = "layer",
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.encoder = nn.Linear(self.inputs.width, hidden)
        self.blocks = ResidualBlocks(hidden, blocks, 1, kernel, norm, dropout)
        self.layers = nn.LSTM(hidden, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.attach_head(hidden, targets, dropout, head)
        initialise_gates(self.layers)
        self.before = Before(n_static, 2, layers, hidden, self.inputs.static == "state")

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        return self._through(features, self.initial_state(batch.static))[0]

    def initial_state(self, static: Tensor) -> PastAndMemory:
        """Return a past of zeros, and the memory before the first step."""
        past = static.new_zeros(len(static), self.blocks.reach, self.layers.hidden_size)
        return PastAndMemory(past, *self.before(static))

    def advance(self, features: Tensor, batch: Batch, state: PastAndMemory) -> tuple[Tensor, PastAndMemory]:
        """Return the states (B, H) of one more step and the state after it."""
        found, after = self._through(features, state)
        return found[:, 0], after

    def _through(self, features: Tensor, state: PastAndMemory) -> tuple[Tensor, PastAndMemory]:
        patterns, past = self.blocks(self.encoder(features), state.past)  # (B, T, H): equations 1 and 2
        found, memory = self.layers(patterns, (state.hidden, state.cell))  # equation 3
        return found, PastAndMemory(past, *memory)
