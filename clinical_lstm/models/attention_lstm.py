"""An LSTM that looks back: attention over its own last states, whose weights say which hours counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError, closest
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import Before, initialise_gates
from clinical_lstm.models.window_attention import AdditiveAttention, MemoryAndPast, MultiheadAttention


class AttentionLSTM(SequenceModel):
    """LSTM with causal attention over its states of the last `window_steps` steps.

        s_t = LSTM(x_1 ... x_t)                                                                          (1) state
        c_t = attention of s_t over s_r, r in (t - window_steps, t]                                      (2) context
        h_t = [s_t ; c_t]                                                                                (3)

    The `attention` of (2) is additive or multihead: equations in `window_attention`.
    Source: Bahdanau et al. 2015, arXiv 1409.0473; Vaswani et al. 2017, arXiv 1706.03762.
    """

    takes_static = True

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        attention: str = "multihead",
        heads: int = 4,
        window_steps: int = 48,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        if window_steps < 1:
            raise InputError(f"window_steps must be 1 or more, not {window_steps}")
        if attention not in (kinds := ["additive", "multihead"]):
            raise InputError(f"there is no attention {attention!r}: {closest(attention, kinds)}")
        self.window_steps = window_steps
        self.layers = nn.LSTM(
            self.inputs.width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.attention = AdditiveAttention(hidden) if attention == "additive" else MultiheadAttention(hidden, heads)
        self.attach_head(2 * hidden, targets, dropout, head)
        initialise_gates(self.layers)
        self.before = Before(n_static, 2, layers, hidden, self.inputs.static == "state")

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, 2H)."""
        states = self.layers(features, self.before(batch.static))[0]  # (B, T, H): equation 1
        return torch.cat([states, self.attention.contexts(states, self.window_steps)], dim=2)  # equations 2 and 3

    def weights(self, batch: Batch) -> Tensor:
        """Return the weights (B, heads, T, window) of the state 0, 1, ... steps back; those of a step sum to 1."""
        states = self.layers(self.inputs(batch), self.before(batch.static))[0]  # (B, T, H)
        return self.attention.weights(states, self.window_steps)

    def initial_state(self, static: Tensor) -> MemoryAndPast:
        """Return the memory before the first step, and a past of which nothing is known."""
        hidden, cell = self.before(static)
        known = static.new_zeros(len(static), self.window_steps - 1)
        return MemoryAndPast(hidden, cell, known[:, :, None].repeat(1, 1, self.layers.hidden_size), known)

    def advance(self, features: Tensor, batch: Batch, state: MemoryAndPast) -> tuple[Tensor, MemoryAndPast]:
        """Return the states (B, 2H) of one more step and the state after it."""
        found, memory = self.layers(features, (state.hidden, state.cell))  # (B, 1, H): equation 1
        past = torch.cat([state.past, found], dim=1)  # (B, window, H)
        known = torch.cat([state.known, torch.ones_like(found[:, :, 0])], dim=1)  # (B, window)
        context, _ = self.attention(found, past, known[:, None] > 0)  # (B, 1, H): equation 2
        after = MemoryAndPast(memory[0], memory[1], past[:, 1:], known[:, 1:])
        return torch.cat([found, context], dim=2)[:, 0], after  # equation 3
