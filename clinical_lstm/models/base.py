"""The contract of a model: a `Batch` in, logits per step and target out, causal, with an equal streaming form.

x_t = inputs(batch)_t           features of one step                      (`inputs`, shared by all models)
h_t = states(x_1 ... x_t)       what the model itself is                  (the file of the model)
h_t = [h_t ; y_t]               running statistics, where they are asked for (`inputs.statistics`)
l_t = head(dropout(h_t))        logits of every complication x horizon    (`heads`, shared by all models)

As a stream: `start` (the model's `initial_state`), then one `step` (the model's `advance`) after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.models.heads import Target, make_head
from clinical_lstm.models.inputs import Statistics, apart, make_inputs, together


class SequenceModel(nn.Module, ABC):
    """A module whose logits at step t depend on the steps up to t only (`causal`), whatever else is in the batch.

    A model begins with `super().__init__`, makes its layers, ends with `attach_head`, and writes `states`,
    `initial_state` and `advance`.
    """

    causal = True
    takes_static = False  # whether static variables may set the state before the first step (`inputs.static = state`)
    needs_observation_process = False  # whether it is built on when things were measured (`inputs.observation_process`)

    def __init__(self, n_variables: int, n_static: int, inputs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.inputs = make_inputs(n_variables, n_static, inputs)
        if self.inputs.static == "state" and not self.takes_static:
            known = {name: plugins.load("models", name) for name in plugins.names("models")}
            able = ", ".join(name for name, model in known.items() if getattr(model, "takes_static", False))
            raise InputError(
                f"model.inputs.static=state: {type(self).__name__} has no state that static variables could set; "
                f"choose inputs or none, or one of the models {able}"
            )
        if self.needs_observation_process and not self.inputs.observation_process:
            raise InputError(
                f"model.inputs.observation_process=false: {type(self).__name__} is built on when each variable was "
                "last measured; leave it true, or choose another model"
            )

    def attach_head(self, width: int, targets: Sequence[Target], dropout: float, head: str = "cumulative") -> None:
        """Put the statistics, where they are asked for, dropout and the head on states of `width`."""
        inputs = self.inputs
        self.statistics = Statistics(inputs.n_variables, inputs.observation_process) if inputs.statistics else None
        width += Statistics.SIZE if inputs.statistics else 0
        self.dropout = nn.Dropout(dropout)
        self.head = make_head(head, width, targets)

    @abstractmethod
    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the states (B, T, H) of whole stays from their features (B, T, F)."""

    @abstractmethod
    def initial_state(self, static: Tensor) -> Any:
        """Return the streaming state (a named tuple of tensors) before the first step of stays with `static` (B, S)."""

    @abstractmethod
    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, H) of one more step (features (B, 1, F), a batch with T = 1), and what comes after."""

    def hidden(self, batch: Batch) -> Tensor:
        """Return what the heads see (B, T, H)."""
        batch = self.inputs.disturb(self.inputs.visible(batch))
        found = self.states(self.inputs(batch), batch)  # (B, T, H)
        if self.statistics is not None:
            summary, _ = self.statistics(batch, self.statistics.initial(batch.static))
            found = torch.cat([found, summary], dim=2)
        return self.dropout(found)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, K) of a batch of whole stays."""
        return self.head(self.hidden(batch))

    def start(self, static: Tensor) -> Any:
        """Return what `step` needs before the first step of stays with `static` (B, S): a named tuple of tensors."""
        running = None if self.statistics is None else self.statistics.initial(static)
        return together(self.initial_state(static), running=running, memory=self.inputs.initial(static))

    def hidden_step(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return what the heads see (B, H) of one more step (a batch with T = 1) and the state after it."""
        batch = self.inputs.visible(batch)
        own, beside = apart(state)
        features, memory = self.inputs.proceed(batch, beside.get("memory"))
        found, own = self.advance(features, batch, own)  # (B, H)
        running = beside.get("running")
        if self.statistics is not None:
            summary, running = self.statistics(batch, running)
            found = torch.cat([found, summary[:, 0]], dim=1)
        return self.dropout(found), together(own, running=running, memory=memory)

    def step(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the logits (B, K) of one more step (a batch with T = 1) and the state after it."""
        found, after = self.hidden_step(batch, state)
        return self.head(found), after

    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the output biases to the base rates (K,) of the training rows."""
        self.head.start_at(base_rates)

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Fit what has a scale to the scaled values (M,) of the train cells, `variable` (M,) the index of each."""
        self.inputs.learn_scale(scaled_values, variable)

    def learn_engineered(self, scaler: Scaler, batches: Iterable[Batch]) -> None:
        """Let engineered inputs know how values were scaled, and see some batches of train stays; else do nothing."""
        self.inputs.learn_engineered(scaler, batches)
