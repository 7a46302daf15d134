"""Gated recurrent unit: two gates instead of three, and no cell."""

from __future__ import annotations

from torch import nn

from clinical_lstm.models.recurrent import Hidden, Recurrent


class GRU(Recurrent):
    """Stacked GRU.

        r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)                                                       (1) reset gate
        z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)                                                       (2) update gate
        n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + d_n))                                            (3) candidate
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}                                                            (4) hidden

    The reset gate acts after the recurrent product, as in torch and cuDNN.
    Source: Cho et al., EMNLP 2014, doi 10.3115/v1/D14-1179.
    """

    kernel = nn.GRU  # equations 1 to 4
    State = Hidden
