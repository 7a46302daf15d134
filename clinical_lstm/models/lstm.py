"""Long short-term memory: the heart of the house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel, initialise_gates
from clinical_lstm.models.heads import RiskHead, Target
from clinical_lstm.models.inputs import FlatInputs


class _State(NamedTuple):
    hidden: Tensor  # (L, B, H)
    cell: Tensor  # (L, B, H)


class LSTM(SequenceModel):
    """Stacked LSTM with forget gates over the flat inputs.

        i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)                                                       (1) input gate
        f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)                                                       (2) forget gate
        o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)                                                       (3) output gate
        c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)                                    (4) cell
        h_t = o_t * tanh(c_t)                                                                            (5) hidden

    Forget biases start at 1 (Jozefowicz et al. 2015), recurrent weights orthogonal. Padding on the right never reaches
    an earlier step, so nothing is packed (packing leaves the fast CPU kernels).
    Source: Hochreiter & Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735; Gers et al. 2000, doi
    10.1162/089976600300015015.
    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.3,
        variable_dropout: float = 0.0,
        mask: bool = True,
        delta: bool = True,
        hours: bool = True,
    ) -> None:
        super().__init__()
        self.inputs = FlatInputs(n_variables, n_static, mask, delta, hours, variable_dropout)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(self.inputs.width, hidden, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = RiskHead(hidden, targets)
        initialise_gates(self.lstm)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, K)."""
        states, _ = self.lstm(self.inputs(batch))  # (B, T, H): equations 1-5
        return self.head(self.dropout(states))  # (B, T, K)

    def initial_state(self, size: int) -> _State:
        """Return zero states (L, B, H)."""
        zeros = self.head.linear.weight.new_zeros(self.lstm.num_layers, size, self.lstm.hidden_size)
        return _State(zeros, zeros)

    def step(self, batch: Batch, state: _State) -> tuple[Tensor, _State]:
        """Return the logits (B, K) of one more step and the state after it."""
        states, after = self.lstm(self.inputs(batch), tuple(state))  # (B, 1, H)
        return self.head(self.dropout(states[:, 0])), _State(*after)  # (B, K)
