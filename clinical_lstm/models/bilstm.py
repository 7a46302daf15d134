"""A window read from both ends: for one prediction at the end of a window that is already complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target
from clinical_lstm.models.recurrent import Before, initialise_gates


class BiLSTM(SequenceModel):
    """Stacked bidirectional LSTM over a window of L steps.

        f_t = LSTM_f(y^{l-1}_1 ... y^{l-1}_t)                                                            (1) forwards
        b_t = LSTM_b(y^{l-1}_L ... y^{l-1}_t)                                                            (2) backwards
        y^l_t = [f_t ; b_t],    y^0 = x                                                                  (3) layer l
        h_t = [f_t ; b_1]                                                                                (4) state

    A window is answered at its last step, where b_L has read one step and b_1 all of them: so (4) joins the two states
    that have read everything, instead of [f_L ; b_L]. Each window is turned within its own length (a gather, nothing is
    packed), so that padding is not read. There is no streaming form: the backward pass begins with the future.
    Source: Schuster & Paliwal, IEEE Trans. Signal Process. 45:2673 (1997), doi 10.1109/78.650093; Graves & Schmidhuber
    2005, doi 10.1016/j.neunet.2005.06.042.
    """

    causal = False
    takes_static = True

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.3,
        inputs: Mapping[str, Any] | None = None,
        head: str = "cumulative",
    ) -> None:
        super().__init__(n_variables, n_static, inputs)
        widths = [self.inputs.width] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width in widths)
        self.backwards = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width in widths)
        for lstm in (*self.forwards, *self.backwards):
            initialise_gates(lstm)
        self.between = nn.Dropout(dropout)
        self.attach_head(2 * hidden, targets, dropout, head)
        self.before = Before(n_static, 2, 2 * layers, hidden, self.inputs.static == "state")

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, 2H)."""
        turned, seen = _turned(features.shape[1], batch.lengths), features
        before = list(zip(*(part.split(1) for part in self.before(batch.static))))  # (1, B, H) hidden and cell, each
        for layer, (forwards, backwards) in enumerate(zip(self.forwards, self.backwards)):
            seen = self.between(seen) if layer else seen
            ahead = forwards(seen, before[2 * layer])[0]  # (B, T, H): equation 1
            behind = backwards(_taken(seen, turned), before[2 * layer + 1])[0]
            behind = _taken(behind, turned)  # (B, T, H): equation 2
            seen = torch.cat([ahead, behind], dim=2)  # (B, T, 2H): equation 3
        return torch.cat([ahead, behind[:, :1].expand_as(ahead)], dim=2)  # (B, T, 2H): equation 4

    def initial_state(self, static: Tensor) -> NoReturn:
        """Raise InputError: there is none."""
        raise InputError(
            "model bilstm cannot run step by step: it reads the window from its end as well; predict whole windows, or "
            "train a causal model such as lstm for a stream"
        )

    def advance(self, features: Tensor, batch: Batch, state: Any) -> NoReturn:
        """Raise InputError: there is no step."""
        self.initial_state(batch.static)


def _turned(steps: int, lengths: Tensor) -> Tensor:
    """Return where each step (B, T) lies when every stay is reversed within its own length; padding stays in place."""
    step = torch.arange(steps, device=lengths.device)
    return torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)


def _taken(rows: Tensor, step: Tensor) -> Tensor:
    """Return the steps (B, T) of `rows` (B, T, F)."""
    return rows.gather(1, step[:, :, None].expand_as(rows))
