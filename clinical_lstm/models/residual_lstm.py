"""A residual stack of LSTMs over an encoder: for small or noisy cohorts, where a plain LSTM overfits its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel, initialise_gates
from clinical_lstm.models.heads import RiskHead, Target
from clinical_lstm.models.inputs import FlatInputs


class _State(NamedTuple):
    hidden: Tensor  # (L, B, H)
    cell: Tensor  # (L, B, H)


class ResidualLSTM(SequenceModel):
    """Encoder, residual LSTM layers with layer norms, and a head that sees both.

        e_t   = dropout(GELU(LN(W x_t)))                                                                 (1) encoder
        r^0_t = e_t,    r^l_t = r^{l-1}_t + LSTM_l(LN(r^{l-1}))_t                                        (2) layer l
        logit = head(dropout([LN(r^L_t) ; e_t]))                                                         (3) both

    The head's direct view of the encoder lets the present measurements speak without passing the memory.
    Source: layer norm, Ba et al. 2016, arXiv 1607.06450; residual recurrent layers with outputs joined at the head,
    Tomasev et al., Nature 572:116-119 (2019), doi 10.1038/s41586-019-1390-1.
    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.4,
        variable_dropout: float = 0.2,
        mask: bool = True,
        delta: bool = True,
        hours: bool = True,
    ) -> None:
        super().__init__()
        self.inputs = FlatInputs(n_variables, n_static, mask, delta, hours, variable_dropout)
        self.encoder = nn.Sequential(
            nn.Linear(self.inputs.width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        lstms = [nn.LSTM(hidden, hidden, batch_first=True) for _ in range(layers)]
        for lstm in lstms:
            initialise_gates(lstm)
        self.lstms = nn.ModuleList(lstms)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = RiskHead(2 * hidden, targets)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, K)."""
        return self._through(batch, None)[0]

    def initial_state(self, size: int) -> _State:
        """Return zero states (L, B, H)."""
        zeros = self.head.linear.weight.new_zeros(len(self.lstms), size, self.norm.normalized_shape[0])
        return _State(zeros, zeros)

    def step(self, batch: Batch, state: _State) -> tuple[Tensor, _State]:
        """Return the logits (B, K) of one more step and the state after it."""
        logits, after = self._through(batch, state)
        return logits[:, 0], after

    def _through(self, batch: Batch, state: _State | None) -> tuple[Tensor, _State]:
        encoded = self.encoder(self.inputs(batch))  # (B, T, H): equation 1
        stream, hidden, cell = encoded, [], []
        for layer, (norm, lstm) in enumerate(zip(self.norms, self.lstms)):
            before = None if state is None else (state.hidden[layer : layer + 1], state.cell[layer : layer + 1])
            out, (h, c) = lstm(norm(stream), before)  # (B, T, H)
            stream = stream + out  # equation 2
            hidden.append(h)
            cell.append(c)
        both = torch.cat([self.norm(stream), encoded], dim=2)  # (B, T, 2 H)
        return self.head(self.dropout(both)), _State(torch.cat(hidden), torch.cat(cell))  # (B, T, K): equation 3
