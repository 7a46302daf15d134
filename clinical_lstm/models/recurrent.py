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


class Recurrent(SequenceModel):
    """Stacked recurrent layers of one of torch's kernels over the features; `kernel` and `State` make it a model.

    Padding on the right never reaches an earlier step, so nothing is packed (packing leaves the fast CPU kernels).
    With `inputs.static = state` the static variables set the state before the first step, tanh(W s + b), and stand in
    no other place.
    """

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

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H) of the last layer."""
        return self.layers(features)[0]

    def initial_state(self, static: Tensor) -> Any:
        """Return zero states (L, B, H)."""
        zeros = static.new_zeros(self.layers.num_layers, len(static), self.layers.hidden_size)
        return self.State(*(zeros for _ in self.State._fields))

    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, H) of one more step and the state after it."""
        before = tuple(state) if len(state) > 1 else state[0]
        found, after = self.layers(features, before)  # (B, 1, H)
        return found[:, 0], self.State(*after) if len(state) > 1 else self.State(after)


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
