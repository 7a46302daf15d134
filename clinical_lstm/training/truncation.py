"""Truncated backpropagation through time: the state is carried over a long stay, the gradient is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel


class Proceeds(Protocol):
    """A model that can go on from a state over several steps at once."""

    def proceed(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return the states (B, T, H) of the steps after `state` from their features (B, T, F), and the state then."""


def proceeds(model: SequenceModel) -> bool:
    """Say whether a model can go on from a state over several steps: it has `proceed`, and it is that of its `states`.

    A subclass that changes `states` alone has another meaning than the `proceed` it inherits.
    """
    own = next(vars(kind) for kind in type(model).__mro__ if {"states", "proceed"} & vars(kind).keys())
    return "proceed" in own


@contextmanager
def truncated(model: SequenceModel, steps: int) -> Iterator[None]:
    """Let gradients of `model` reach back to the start of a chunk of n = `steps` steps only; 0: all the way.

        chunk k = steps k n + 1 .. (k + 1) n,    h_t = proceed(x_t, detach(state after chunk k - 1))

    The values are those of the whole pass, and so is the memory of a step. Batches of at most n steps are not cut.
    Source: Williams & Peng 1990, doi 10.1162/neco.1990.2.4.490.
    """
    if not steps:
        yield
        return
    setattr(model, "states", partial(_in_chunks, model, model.states, steps))  # noqa: B010 - shadows the method
    try:
        yield
    finally:
        del model.states


def _in_chunks(
    model: SequenceModel, whole: Callable[[Tensor, Batch], Tensor], steps: int, features: Tensor, batch: Batch
) -> Tensor:
    """Return the states (B, T, H) of `whole`, made chunk by chunk."""
    length = features.shape[1]
    if length <= steps:
        return whole(features, batch)
    state, parts = model.initial_state(batch.static), []
    for begin in range(0, length, steps):
        chunk = _chunk(batch, begin, steps)
        found, state = cast("Proceeds", model).proceed(features[:, begin : begin + steps], chunk, state)
        state = type(state)(*(part.detach() for part in state))
        parts.append(found)
    return torch.cat(parts, dim=1)  # (B, T, H)


def _chunk(batch: Batch, begin: int, steps: int) -> Batch:
    """Return the steps begin .. begin + steps of a batch."""
    part = slice(begin, begin + steps)
    return batch._replace(
        values=batch.values[:, part],
        mask=batch.mask[:, part],
        delta=batch.delta[:, part],
        hours=batch.hours[:, part],
        lengths=(batch.lengths - begin).clamp(0, steps),
    )
