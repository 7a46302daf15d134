"""What the gated and plain recurrent nets share: stacked layers, their states, and how the gates begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target


class Hidden(NamedTuple):
    """The streaming state of a net with a hidden state alone."""

    hidden: Tensor  # (L, B, H)


class HiddenAndCell(NamedTuple):
    """The streaming state of an LSTM."""

    hidden: Tensor  # (L, B, H)
    cell: Tensor  # (L, B, H)


class Before(nn.Module):
    """The states of L layers before the first step: zeros, or what the static variables say of a patient.

        h_0 = tanh(W s + b)                                   if `learnt`; W and b per layer and tensor of the state

    What is fixed for a patient need not stand in every step.
    """

    def __init__(self, n_static: int, tensors: int, layers: int, hidden: int, learnt: bool) -> None:
        super().__init__()
        self.shape = (tensors, layers, hidden)
        self.linear = nn.Linear(n_static, tensors * layers * hidden) if learnt and n_static else None

    def forward(self, static: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors (L, B, H) of the state of stays with `static` (B, S)."""
        if self.linear is None:
            return static.new_zeros(self.shape[0], self.shape[1], len(static), self.shape[2]).unbind(0)
        found = torch.tanh(self.linear(static)).view(-1, *self.shape)  # (B, N, L, H)
        return found.permute(1, 2, 0, 3).contiguous().unbind(0)


class Recurrent(SequenceModel):
    """Stacked recurrent layers of one of torch's kernels over the features; `kernel` and `State` make it a model.

    Padding on the right never reaches an earlier step, so nothing is packed (packing leaves the fast CPU kernels).
    With `inputs.static = state` the static variables set the state before the first step, tanh(W s + b), and stand in
    no other place.
    """

    takes_static = True
    kernel: ClassVar[type[nn.RNNBase]]
    State: ClassVar[type[Any]]

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
        between = dropout if layers > 1 else 0.0
        self.layers = self.kernel(self.inputs.width, hidden, layers, batch_first=True, dropout=between)
        self.attach_head(hidden, targets, dropout, head)
        initialise_gates(self.layers)
        self.before = Before(n_static, len(self.State._fields), layers, hidden, self.inputs.static == "state")

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H) of the last layer."""
        return self._through(features, self.initial_state(batch.static))[0]

    def initial_state(self, static: Tensor) -> Any:
        """Return the states (L, B, H) before the first step: zeros, or those of the static variables."""
        return self.State(*self.before(static))

    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, H) of one more step and the state after it."""
        found, after = self._through(features, state)  # (B, 1, H)
        return found[:, 0], after

    def proceed(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, T, H) of several more steps (features (B, T, F)) and the state after them."""
        return self._through(features, state)

    def _through(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
        if len(state) == 1:
            found, after = self.layers(features, state[0])  # (B, T, H)
            return found, self.State(after)
        found, after = self.layers(features, tuple(state))
        return found, self.State(*after)


@torch.no_grad()
def initialise_gates(layers: nn.RNNBase) -> None:
    """Make the recurrent weights of every gate orthogonal, the forget biases of an LSTM 1 and all other biases 0.

    Source: Jozefowicz et al., ICML 2015 (forget bias); Saxe et al. 2014, arXiv 1312.6120 (orthogonal weights).
    """
    width = layers.hidden_size
    for name, weight in layers.named_parameters():
        if name.startswith("weight_hh"):
            for gate in weight.split(width):
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            weight.zero_()
            if name.startswith("bias_ih") and isinstance(layers, nn.LSTM):
                weight[width : 2 * width] = 1.0  # torch orders the gates i, f, c, o
