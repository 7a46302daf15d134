"""Time-aware LSTM: short-term memory fades with the hours between steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import Before


class _Memory(NamedTuple):
    hidden: Tensor  # (1, B, H)
    cell: Tensor  # (1, B, H)
    hours: Tensor  # (B,) of the last step


class TLSTM(SequenceModel):
    """LSTM that discounts the short-term part of its cell by the time since the last step.

        s_t  = tanh(W_d c_{t-1} + b_d)                                                                   (1) short term
        c*_t = (c_{t-1} - s_t) + s_t g(d_t),    g(d) = 1 / log(e + d)                                    (2) discounted
        i_t  = sigmoid(W_i x_t + U_i h_{t-1} + b_i)                                                      (3) input gate
        f_t  = sigmoid(W_f x_t + U_f h_{t-1} + b_f)                                                      (4) forget gate
        o_t  = sigmoid(W_o x_t + U_o h_{t-1} + b_o)                                                      (5) output gate
        c_t  = f_t * c*_t + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)                                      (6) cell
        h_t  = o_t * tanh(c_t)                                                                           (7) hidden

    d_t is the hours since the last step, of the first step the hours since admission; x_t is whatever `inputs` gives.
    On a grid d_t is the same at every step: the model differs from an LSTM most on native event times. Forget biases
    start at 1, recurrent weights orthogonal.
    Source: Baytas et al., KDD 2017, doi 10.1145/3097983.3097997.
    """

    takes_static = True

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.gates, self.candidate = nn.Linear(self.inputs.width, 3 * hidden), nn.Linear(self.inputs.width, hidden)
        self.gates_back = nn.Parameter(torch.empty(hidden, 3 * hidden))  # U_i, U_f, U_o
        self.candidate_back = nn.Parameter(torch.empty(hidden, hidden))  # U_c
        self.short = nn.Parameter(torch.empty(hidden, hidden))  # W_d
        self.short_bias = nn.Parameter(torch.zeros(hidden))  # b_d
        self.before = Before(n_static, 2, 1, hidden, self.inputs.static == "state")
        self.attach_head(hidden, targets, dropout, head)
        for matrix in (*self.gates_back.chunk(3, dim=1), self.candidate_back, self.short):
            nn.init.orthogonal_(matrix)
        for linear in (self.gates, self.candidate):
            nn.init.zeros_(linear.bias)
        nn.init.ones_(self.gates.bias[hidden : 2 * hidden])

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        return self._through(features, batch, self.initial_state(batch.static))[0]

    def initial_state(self, static: Tensor) -> _Memory:
        """Return the state at admission: zeros, or what the static variables say."""
        hidden, cell = self.before(static)
        return _Memory(hidden, cell, static.new_zeros(len(static)))

    def advance(self, features: Tensor, batch: Batch, state: _Memory) -> tuple[Tensor, _Memory]:
        """Return the states (B, H) of one more step and the state after it."""
        found, cell = self._through(features, batch, state)  # (B, 1, H)
        return found[:, 0], _Memory(found[None, :, 0], cell[None], batch.hours[:, 0])

    def _through(self, features: Tensor, batch: Batch, state: _Memory) -> tuple[Tensor, Tensor]:
        """Return the states (B, T, H) that follow `state`, and the last cell (B, H)."""
        passed = torch.diff(batch.hours, dim=1, prepend=state.hours[:, None]).clamp_min(0)  # (B, T); padding is at 0
        lost = 1 / torch.log(math.e + passed) - 1  # g(d) - 1
        features = features.transpose(0, 1)  # (T, B, F)
        gates, candidates = self.gates(features), self.candidate(features)
        hidden, cell, found = state.hidden[0].to(gates.dtype), state.cell[0].to(gates.dtype), []
        for gate, candidate, loss in zip(gates, candidates, lost.t()[:, :, None].to(gates.dtype)):
            short = torch.addmm(self.short_bias, cell, self.short).tanh()  # (B, H): 1
            cell = torch.addcmul(cell, short, loss)  # 2
            give, keep, show = torch.addmm(gate, hidden, self.gates_back).sigmoid().chunk(3, dim=1)  # 3, 4, 5
            new = torch.addmm(candidate, hidden, self.candidate_back).tanh()
            cell = torch.addcmul(keep * cell, give, new)  # 6
            hidden = show * cell.tanh()  # 7
            found.append(hidden)
        return torch.stack(found, dim=1), cell
