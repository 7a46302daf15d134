"""The plain recurrent net: what the gates of the others have to beat."""

from __future__ import annotations

from torch import nn

from clinical_lstm.models.recurrent import Hidden, Recurrent


class RNN(Recurrent):
    """Stacked recurrent net without gates.

        h_t = tanh(W x_t + U h_{t-1} + b)                                                                (1)

    Source: Elman 1990, doi 10.1207/s15516709cog1402_1.
    """

    kernel = nn.RNN  # equation 1
    State = Hidden
