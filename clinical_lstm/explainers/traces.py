"""What explainers read out of a model while it runs: the traces, and how they are caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.base import SequenceModel


class Gates(NamedTuple):
    """What the L LSTM layers of a model did until B predictions; float64. Steps after a prediction hold 0.

    Attributes:
        layers: L names, the module of the model and the layer in it.
        input, forget, output: (B, T, L, H) the gates, in 0..1. cell: (B, T, L, H) the state of the cells.
        retained: (B, T, L, H) share of what a cell held after the step that is left in it at the prediction.
        half_life_steps, half_life_hours: (B, L, H) memory of every unit by its mean forget gate.
        product_half_life_hours: (B, L, H) the same by the product of its forget gates.
        error: (B,) largest difference between the hidden states that follow from these gates and the model's own.

    """

    layers: list[str]
    input: np.ndarray
    forget: np.ndarray
    output: np.ndarray
    cell: np.ndarray
    retained: np.ndarray
    half_life_steps: np.ndarray
    half_life_hours: np.ndarray
    product_half_life_hours: np.ndarray
    error: np.ndarray


class AttentionWeights(NamedTuple):
    """Where the attention of B predictions lay, one array per layer, first layer first.

    Attributes:
        layers: the names of the modules of the model.
        weights: (B, heads, T) each, float64: >= 0, sum 1 over the steps that a prediction may see, 0 elsewhere.
        error: (B,) largest difference between what these weights pick out and the model's own.

    """

    layers: list[str]
    weights: list[np.ndarray]
    error: np.ndarray


class Call(NamedTuple):
    """One call of a module: its name in the model, itself, what it was given and what it answered."""

    name: str
    module: Any
    given: tuple[Any, ...]
    answer: Any


def require_eval(model: SequenceModel) -> None:
    """Raise InputError when the model is in training mode."""
    if model.training:
        raise InputError("the model is in training mode, so that dropout is on; call model.eval() first")


@torch.no_grad()
def calls(model: SequenceModel, batch: Batch, kinds: type[Any] | tuple[type[Any], ...]) -> list[Call]:
    """Return the calls of the modules of `kinds` while the model runs over the batch, in their order."""
    caught: list[Call] = []

    def catcher(name: str) -> Callable[..., None]:
        return lambda module, given, answer: caught.append(Call(name, module, given, answer))

    hooks = [
        part.register_forward_hook(catcher(name)) for name, part in model.named_modules() if isinstance(part, kinds)
    ]
    try:
        model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return caught


def models_with(fits: Callable[[SequenceModel], bool]) -> list[str]:
    """Return the names of the models for which `fits` is true, each built in its smallest form.

    >>> models_with(lambda model: not model.causal)
    ['bilstm']
    """
    sizes = {"n_variables": 1, "n_static": 0, "targets": [("death", 24.0)]}
    with torch.random.fork_rng(devices=[]):
        return [name for name in plugins.names("models") if fits(plugins.build("models", {"name": name}, **sizes))]


def has(model: nn.Module, kinds: type[Any] | tuple[type[Any], ...]) -> bool:
    """Say whether one of the modules of a model is of `kinds`."""
    return any(isinstance(part, kinds) for part in model.modules())


def until(step: Tensor, steps: int) -> Tensor:
    """Return which steps (B, T) are not after `step` (B,).

    >>> until(torch.tensor([1]), 3).tolist()
    [[True, True, False]]
    """
    return torch.arange(steps, device=step.device) <= step[:, None]
