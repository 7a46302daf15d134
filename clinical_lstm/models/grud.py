"""GRU-D: what was measured long ago fades, in the inputs and in the memory."""

from __future__ import annotations

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
    delta: Tensor  # (B, V) of the last step
    hours: Tensor  # (B,) of the last step


class GRUD(SequenceModel):
    """GRU whose inputs and states decay with the time that each variable has not been measured.

        d_t  = t - (time of the last measurement before this step),  d_1 = 0                  per variable, days (1)
        x^_t = m_t v_t + (1 - m_t) exp(-max(0, w d_t + b)) v_last                         towards 0, the train mean (2)
        g_t  = exp(-max(0, W d_t + b)),    h' = g_t * h_{t-1}                                            (3) decay
        r_t  = sigmoid(W_r x^_t + U_r h' + V_r m_t + b_r)                                                (4) reset gate
        z_t  = sigmoid(W_z x^_t + U_z h' + V_z m_t + b_z)                                                (5) update gate
        n_t  = tanh(W x^_t + U (r_t * h') + V m_t + b)                                                   (6) candidate
        h_t  = (1 - z_t) * h' + z_t * n_t                                                                (7) hidden

    Equation 2 is `inputs.decay`, on by default here, and `inputs.mask` gives V; static variables and hours are further
    columns of x^. All other options of the inputs hold too: without decay and mask a GRU with fading states is left.
    At first W is small and positive: a state fades by some percent per step, and every unit can learn its pace.
    Source: Che et al., Scientific Reports 8:6085 (2018), doi 10.1038/s41598-018-24271-9.
    """

    takes_static = True
    needs_observation_process = True
    PACE = 0.1  # W starts between 0 and twice this, over the number of variables
    NEVER = 1e30  # hours of the last step before the first one: d_1 is 0, and the state finite

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
        super().__init__(n_variables, n_static, {"decay": True, "delta": False, **(inputs or {})})
        self.decay = nn.Linear(n_variables, hidden)  # W, b of equation 3
        self.gates, self.candidate = nn.Linear(self.inputs.width, 2 * hidden), nn.Linear(self.inputs.width, hidden)
        self.gates_back = nn.Parameter(torch.empty(hidden, 2 * hidden))  # U_r, U_z
        self.candidate_back = nn.Parameter(torch.empty(hidden, hidden))  # U
        self.before = Before(n_static, 1, 1, hidden, self.inputs.static == "state")
        self.attach_head(hidden, targets, dropout, head)
        nn.init.uniform_(self.decay.weight, 0, 2 * self.PACE / n_variables)
        for matrix in (*self.gates_back.chunk(2, dim=1), self.candidate_back):
            nn.init.orthogonal_(matrix)
        for linear in (self.decay, self.gates, self.candidate):
            nn.init.zeros_(linear.bias)

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        return self._through(features, batch, self.initial_state(batch.static))

    def initial_state(self, static: Tensor) -> _Memory:
        """Return the state before the first step: zeros, or what the static variables say."""
        (hidden,) = self.before(static)
        delta = static.new_zeros(len(static), self.decay.in_features)
        return _Memory(hidden, delta, static.new_full((len(static),), self.NEVER))

    def advance(self, features: Tensor, batch: Batch, state: _Memory) -> tuple[Tensor, _Memory]:
        """Return the states (B, H) of one more step and the state after it."""
        hidden = self._through(features, batch, state)[:, 0]
        return hidden, _Memory(hidden[None], batch.delta[:, 0], batch.hours[:, 0])

    def _through(self, features: Tensor, batch: Batch, state: _Memory) -> Tensor:
        """Return the states (B, T, H) that follow `state`; only equations 4 to 7 wait for one another."""
        waited = self._waited(batch, state).transpose(0, 1)  # (T, B, V)
        decays = torch.exp(-torch.relu(self.decay(waited)))  # (T, B, H): 3
        features = features.transpose(0, 1)  # (T, B, F)
        gates, candidates = self.gates(features), self.candidate(features)
        hidden, found = state.hidden[0].to(gates.dtype), []
        for gate, candidate, decay in zip(gates, candidates, decays.to(gates.dtype)):
            hidden = decay * hidden  # (B, H): 3
            reset, update = torch.addmm(gate, hidden, self.gates_back).sigmoid().chunk(2, dim=1)  # 4, 5
            new = torch.addmm(candidate, reset * hidden, self.candidate_back).tanh()  # 6
            hidden = torch.lerp(hidden, new, update)  # 7
            found.append(hidden)
        return torch.stack(found, dim=1)

    def _waited(self, batch: Batch, state: _Memory) -> Tensor:
        """Return equation 1 (B, T, V) in days: the delta of the step before, and the hours since that step."""
        delta = torch.cat([state.delta[:, None], batch.delta[:, :-1]], dim=1)  # (B, T, V)
        hours = torch.cat([state.hours[:, None], batch.hours[:, :-1]], dim=1)  # (B, T)
        return (delta + (batch.hours - hours)[:, :, None]).clamp_min(0) / 24.0
