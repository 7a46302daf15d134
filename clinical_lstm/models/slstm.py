"""sLSTM: an LSTM whose input gate is exponential, so that one strong observation can overrule all that was stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clinical_lstm.models.scalar_scan import Scan, advance
from clinical_lstm.models.xlstm import NOTHING, Cell, HeadNorm, ResidualCells, remember


class _Scalars(NamedTuple):
    """The streaming state of an sLSTM."""

    hidden: Tensor  # (L, B, H) h
    memory: Tensor  # (L, B, H) y = c / n
    weight: Tensor  # (L, B, H) w = log n


class _ScalarMemory(Cell):
    """Equations 1 to 5 of `SLSTM`; inside, heads come first and stays last: (N, d, B)."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__(hidden, heads)
        gates = (heads, 4, self.size)
        self.inward = nn.Parameter(torch.randn(*gates, hidden) * (0.4 / hidden) ** 0.5)  # W
        self.recurrent = nn.Parameter(torch.zeros(heads, 4 * self.size, self.size))  # R, one block a head
        self.bias = nn.Parameter(torch.zeros(gates))
        remember(self.bias[:, 1])
        self.norm = HeadNorm(hidden, heads)

    def forward(self, seen: Tensor) -> Tensor:
        """Return the hidden states (B, T, H), normed per head."""
        with torch.autocast(seen.device.type, enabled=False):  # log weights need all their bits
            gates = self._gates(seen.to(self.bias.dtype).permute(1, 2, 0))  # (T, N, 4d, B)
            hidden = Scan.apply(gates, self.recurrent)  # (T, N, d, B)
        return self.norm(hidden.flatten(1, 2).permute(2, 0, 1))  # (B, T, H)

    def begin(self, like: Tensor, stays: int) -> tuple[Tensor, ...]:
        """Return empty memories."""
        zeros = like.new_zeros(stays, self.hidden)
        return zeros, zeros, torch.full_like(zeros, NOTHING)

    def step(self, seen: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the hidden state (B, H) after one more step, normed per head, and the state."""
        hidden, memory, weight = (part.T.unflatten(0, (self.heads, self.size)) for part in before)  # (N, d, B)
        raw = torch.baddbmm(self._gates(seen.T[None])[0], self.recurrent, hidden)  # (N, 4d, B)
        after = [part.flatten(0, 1).T for part in advance(raw, memory, weight)[:3]]  # (B, H)
        return self.norm(after[0]), tuple(after)

    def _gates(self, seen: Tensor) -> Tensor:
        """Return W x_t + b (T, N, 4d, B) of inputs (T, H, B): no step waits for it."""
        steps, inward, bias = len(seen), self.inward.flatten(0, 2), self.bias.view(-1, 1)
        gates = torch.baddbmm(bias.expand(steps, -1, -1), inward.expand(steps, -1, -1), seen)  # (T, 4H, B)
        return gates.unflatten(1, (self.heads, 4 * self.size))


class SLSTM(ResidualCells):
    """Residual layers of sLSTM: scalar memories with an exponential input gate, mixed within each head.

        [i~ f~ z~ o~]_t = W x_t + R h_{t-1} + b,   R block-diagonal over the heads                       (1) gates
        p_t = f_t n_{t-1} / n_t = sigmoid(log f_t + w_{t-1} - i~_t),   f = sigmoid(f~)                   (2) share kept
        y_t = p_t y_{t-1} + (1 - p_t) tanh(z~_t)                                                         (3) memory
        w_t = log(f_t n_{t-1} + exp(i~_t))                                                               (4) log weight
        h_t = sigmoid(o~_t) y_t,  then a norm per head                                                   (5) hidden

    The published form keeps c_t = f_t c_{t-1} + exp(i~_t) tanh(z~_t), n_t = f_t n_{t-1} + exp(i~_t) and a stabiliser;
    only y = c / n and w = log n are ever used, and as they stand nothing can overflow. As published, R starts at 0.
    Source: Beck et al., xLSTM, NeurIPS 2024, arXiv 2405.04517 (section 2.2; without convolution and feed-forward part).
    """

    Memory = _ScalarMemory
    State = _Scalars
