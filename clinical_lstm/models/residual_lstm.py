"""A residual stack of LSTMs over an encoder: for small or noisy cohorts, where a plain LSTM overfits its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import Before, HiddenAndCell, initialise_gates


class ResidualLSTM(SequenceModel):
    """Encoder, residual LSTM layers with layer norms, and a head that sees both.

        e_t   = dropout(GELU(LN(W x_t)))                                                                 (1) encoder
        r^0_t = e_t,    r^l_t = r^{l-1}_t + LSTM_l(LN(r^{l-1}))_t                                        (2) layer l
        h_t   = [LN(r^L_t) ; e_t]                                                                        (3) both
        h_t   = [LN(r^L_t) ; r^{L-1}_t ; ... ; r^1_t ; e_t]                       (3') all layers, if `every_layer`

    The head's direct view of the encoder lets the present measurements speak without passing the memory; (3') is the
    form of DeepMind's model of kidney injury.
    Source: layer norm, Ba et al. 2016, arXiv 1607.06450; residual recurrent layers with outputs joined at the head,
    Tomasev et al., Nature 572:116-119 (2019), doi 10.1038/s41586-019-1390-1.
    """

    takes_static = True

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.4,
        encoder_dropout: float | None = None,
        every_layer: bool = False,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.every_layer = every_layer
        within = dropout if encoder_dropout is None else encoder_dropout
        self.encoder = nn.Sequential(
            nn.Linear(self.inputs.width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(within)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        lstms = [nn.LSTM(hidden, hidden, batch_first=True) for _ in range(layers)]
        for lstm in lstms:
            initialise_gates(lstm)
        self.lstms = nn.ModuleList(lstms)
        self.norm = nn.LayerNorm(hidden)
        self.attach_head(hidden * (layers + 1 if every_layer else 2), targets, dropout, head)
        self.before = Before(n_static, 2, layers, hidden, self.inputs.static == "state")

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H (2 or L + 1))."""
        return self._through(features, self.initial_state(batch.static))[0]

    def initial_state(self, static: Tensor) -> HiddenAndCell:
        """Return the states (L, B, H) before the first step: zeros, or those of the static variables."""
        return HiddenAndCell(*self.before(static))

    def advance(self, features: Tensor, batch: Batch, state: HiddenAndCell) -> tuple[Tensor, HiddenAndCell]:
        """Return the states of one more step and the state after it."""
        found, after = self._through(features, state)
        return found[:, 0], after

    def proceed(self, features: Tensor, batch: Batch, state: HiddenAndCell) -> tuple[Tensor, HiddenAndCell]:
        """Return the states (B, T, H) of several more steps (features (B, T, F)) and the state after them."""
        return self._through(features, state)

    def _through(self, features: Tensor, state: HiddenAndCell) -> tuple[Tensor, HiddenAndCell]:
        streams, hidden, cell = [self.encoder(features)], [], []  # (B, T, H): equation 1
        for layer, (norm, lstm) in enumerate(zip(self.norms, self.lstms)):
            before = (state.hidden[layer : layer + 1], state.cell[layer : layer + 1])
            out, (h, c) = lstm(norm(streams[-1]), before)  # (B, T, H)
            streams.append(streams[-1] + out)  # equation 2
            hidden.append(h)
            cell.append(c)
        *earlier, last = streams
        seen = earlier[::-1] if self.every_layer else earlier[:1]
        return torch.cat([self.norm(last), *seen], dim=2), HiddenAndCell(torch.cat(hidden), torch.cat(cell))  # 3
