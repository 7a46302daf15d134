"""The work that the speed benchmarks share: stays drawn at random, as ready tensors, and the models that learn them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel

STATICS = 4
OBSERVED = 0.2  # share of the cells that are not missing
TARGET = [("death", 6.0)]


def options(given: tuple[str, ...], defaults: Mapping[str, int]) -> dict[str, int]:
    """Return the defaults with what `key=value` arguments change; a key that is none of them ends the program."""
    found = dict(defaults)
    for key, _, value in (option.partition("=") for option in given):
        if key not in found:
            raise SystemExit(f"there is no option {key!r}; there are: {', '.join(found)}")
        found[key] = int(value)
    return found


def batches(stays: int, steps: int, variables: int, size: int, seed: int = 0) -> list[tuple[Batch, Tensor]]:
    """Return the stays in batches of `size`, each with labels (B, T, 1); every stay has as many hourly steps."""
    random = np.random.default_rng(seed)
    made = []
    for begin in range(0, stays, size):
        count = min(size, stays - begin)
        mask = random.random((count, steps, variables)) < OBSERVED  # (B, T, V)
        hours = np.broadcast_to(np.arange(1.0, steps + 1), (count, steps))  # (B, T)
        seen = np.maximum.accumulate(np.where(mask, np.arange(1, steps + 1)[:, None], 0), axis=1)
        drawn = np.concatenate([np.zeros((count, 1, variables)), random.normal(size=mask.shape)], axis=1)
        batch = Batch(
            values=np.take_along_axis(drawn, seen, axis=1).astype(np.float32),
            mask=mask.astype(np.float32),
            delta=(hours[:, :, None] - seen).astype(np.float32),
            hours=hours.astype(np.float32),
            static=random.normal(size=(count, STATICS)).astype(np.float32),
            lengths=np.full(count, steps, np.int64),
        )
        label = (random.random((count, steps, 1)) < 0.1).astype(np.float32)
        made.append((batch.tensors(), torch.from_numpy(label)))
    return made


def models(variables: int, hidden: int) -> Iterator[tuple[str, SequenceModel]]:
    """Yield every architecture of `clinical_lstm.models` with its own defaults but `hidden` units."""
    for name in [name for name in plugins.names("models") if name != "ensemble"]:
        sizes = {"n_variables": variables, "n_static": STATICS, "targets": TARGET}
        wide = {"hidden": hidden} if "hidden" in inspect.signature(plugins.load("models", name)).parameters else {}
        torch.manual_seed(0)
        yield name, plugins.build("models", {"name": name, **wide}, **sizes)
