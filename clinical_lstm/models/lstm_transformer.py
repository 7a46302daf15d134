"""LSTM and transformer: a memory without bounds, and attention to its last states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import initialise_gates
from clinical_lstm.models.transformer_layers import Cache, TransformerLayers


class _Memory(NamedTuple):
    """The streaming state: of the LSTM, then the cache of the attention."""

    hidden: Tensor  # (B, H)
    cell: Tensor  # (B, H)
    keys: Tensor  # (B, L, heads, W - 1, D)
    values: Tensor  # (B, L, heads, W - 1, D)
    filled: Tensor  # (B, W - 1)


class LSTMTransformer(SequenceModel):
    """Causal transformer layers over the states of an LSTM; both beside a direct path.

        e_t   = W x_t + b                                                                                (1)
        r^0_t = e_t + LSTM(LN(e))_t                                                                      (2)
        r^l   = layer_l(r^{l-1}),   step t sees the steps t - window_steps + 1 ... t                     (3)
        h_t   = LN(r^L_t)                                                                                (4)

    The LSTM carries what is older than the window; attention finds single hours in it again.
    Source: attention over LSTM states, Lim et al. 2021 (TFT), doi 10.1016/j.ijforecast.2021.03.012; the layers, Vaswani
    et al. 2017, arXiv 1706.03762, pre-norm (Xiong et al. 2020, arXiv 2002.04745).
    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        heads: int = 4,
        expansion: int = 2,
        window_steps: int = 48,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        self.encoder, self.norm = nn.Linear(self.inputs.width, hidden), nn.LayerNorm(hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        initialise_gates(self.lstm)
        self.layers = TransformerLayers(hidden, layers, heads, expansion, window_steps, dropout)
        self.attach_head(hidden, targets, dropout, head)

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H)."""
        encoded = self.encoder(features)  # (B, T, H)
        recurrent = self.lstm(self.norm(encoded))[0]
        return self.layers(encoded + self.dropout(recurrent), batch.hours)

    def initial_state(self, static: Tensor) -> _Memory:
        """Return a zero LSTM and an empty cache."""
        zeros = static.new_zeros(len(static), self.lstm.hidden_size)
        return _Memory(zeros, zeros, *self.layers.empty(len(static)))

    def advance(self, features: Tensor, batch: Batch, state: _Memory) -> tuple[Tensor, _Memory]:
        """Return the states (B, H) of one more step and what is remembered after it."""
        encoded = self.encoder(features)  # (B, 1, H)
        recurrent, (hidden, cell) = self.lstm(self.norm(encoded), (state.hidden[None], state.cell[None]))
        past = Cache(state.keys, state.values, state.filled)
        rows, after = self.layers.advance(encoded + self.dropout(recurrent), batch.hours, past)  # (B, 1, H)
        return rows[:, 0], _Memory(hidden[0], cell[0], *after)
