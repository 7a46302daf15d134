"""Long short-term memory: the heart of the house."""

from __future__ import annotations

from torch import nn

from clinical_lstm.models.recurrent import HiddenAndCell, Recurrent


class LSTM(Recurrent):
    """Stacked LSTM with forget gates.

        i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)                                                       (1) input gate
        f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)                                                       (2) forget gate
        o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)                                                       (3) output gate
        c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)                                    (4) cell
        h_t = o_t * tanh(c_t)                                                                            (5) hidden

    Forget biases start at 1 (Jozefowicz et al. 2015), recurrent weights orthogonal.
    Source: Hochreiter & Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735; Gers et al. 2000, doi
    10.1162/089976600300015015.
    """

    kernel = nn.LSTM  # equations 1 to 5
    State = HiddenAndCell
