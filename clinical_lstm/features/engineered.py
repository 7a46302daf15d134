"""Blocks side by side: their features, standardised on train rows for a net, as they are for trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.features.course import Course, Memory, Vocabulary, initial

REACH = 4.0  # standard deviations: what lies beyond counts as that
SAME_STEP = 1e-3  # of a step: what is so close to the grid lies on it


class Feature(NamedTuple):
    """A column: its name, and the variables that must have been measured for it to say anything."""

    name: str
    sources: tuple[str, ...] = ()


class Block(Protocol):
    """What a file of this folder holds: which columns it makes of a vocabulary, and their values."""

    observation_process: bool  # whether it tells when or how often something was measured

    def __init__(self, vocabulary: Vocabulary) -> None: ...

    @property
    def features(self) -> list[Feature]:
        """The columns, in order."""

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, F)."""


class Engineered(nn.Module):
    """Compute blocks from a batch and what is remembered of the steps before it.

        f_t = [block_1 ; block_2 ; ...]                                              in scaled or native units     (1)
        x_t = clip((f_t - mean) / sd, -4, 4)                                         mean, sd of train rows        (2)

    Attributes:
        features: the columns. width: how many.

    """

    log: Tensor
    location: Tensor
    scale: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, blocks: Sequence[str], vocabulary: Vocabulary, observation_process: bool = True) -> None:
        super().__init__()
        self.vocabulary, self.observation_process = vocabulary, observation_process
        made: list[Block] = [plugins.load("features", name)(vocabulary) for name in _listed(blocks)]  # type: ignore[operator]
        self.blocks = [block for block in made if observation_process or not block.observation_process]
        self.features = [feature for block in self.blocks for feature in block.features]
        self.width = len(self.features)
        if not self.width:
            hidden = "" if self.blocks else " (observation_process=false hides when and how often)"
            raise InputError(
                f"engineered={list(blocks)}: nothing that these blocks compute from is measured here{hidden}; "
                "choose others, or none"
            )
        for name in ("log", "location"):
            self.register_buffer(name, torch.zeros(len(vocabulary.variables) + len(vocabulary.statics)))
        self.register_buffer("scale", torch.ones(len(vocabulary.variables) + len(vocabulary.statics)))
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("deviation", torch.ones(self.width))

    def initial(self, static: Tensor) -> Memory:
        """Return what is remembered before the first step of stays with `static` (B, S)."""
        return initial(self.vocabulary, static)

    def forward(self, batch: Batch, before: Memory) -> tuple[Tensor, Memory]:
        """Return equation 2 (B, T, F) and what is remembered after the last step."""
        found, course = self.plain(batch, before)
        return self.standardised(found), course.after()

    def standardised(self, found: Tensor) -> Tensor:
        """Return equation 2 of equation 1 (..., F)."""
        return ((found - self.mean) / self.deviation).clamp(-REACH, REACH)

    def plain(self, batch: Batch, before: Memory | None = None) -> tuple[Tensor, Course]:
        """Return equation 1 (B, T, F) and the course that it was computed from."""
        before = self.initial(batch.static) if before is None else before
        course = Course(self.vocabulary, batch, before, (self.log, self.location, self.scale))
        return torch.cat([block(course) for block in self.blocks], dim=2), course

    def matrix(self, batch: Batch) -> np.ndarray:
        """Return equation 1 (B, T, F) of a (numpy) batch for a table.

        NaN where a source was not yet measured. Without the observation process, which that would tell, a number: that
        of a stay in which every variable is measured anew at every step, as a model without it is shown.
        """
        if not self.observation_process:
            batch = batch._replace(mask=np.ones_like(batch.mask), delta=np.zeros_like(batch.delta))
        with torch.inference_mode():
            found, course = self.plain(batch.tensors())
            for column, feature in enumerate(self.features if self.observation_process else []):
                for source in feature.sources:
                    unseen = ~course.seen[:, :, self.vocabulary.variables.index(source)]
                    found[:, :, column].masked_fill_(unseen, torch.nan)
        return found.numpy()

    def know(self, scaler: Scaler) -> None:
        """Take over how the values of a batch were scaled."""
        for name in ("log", "location", "scale"):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(getattr(scaler, name), np.float32)))

    @torch.no_grad()
    def learn(self, batches: Iterable[Batch]) -> Tensor:
        """Set mean and sd to those of the steps of (torch) batches of train stays; return equation 1 of them (R, F)."""
        parts = []
        for batch in batches:
            inside = torch.arange(batch.hours.shape[1]) < batch.lengths[:, None]  # (B, T)
            parts.append(self.plain(batch)[0][inside])
        rows = torch.cat(parts)
        spread = rows.double().std(dim=0, correction=0)
        self.mean.copy_(rows.double().mean(dim=0))
        self.deviation.copy_(torch.where(spread > 1e-6, spread, 1.0))
        return rows


def grid_hours(hours: np.ndarray) -> float:
    """Return the width of the steps whose ends are `hours` (N,); raises InputError where they lie on no grid.

    >>> grid_hours(np.array([1.0, 2.0, 3.0, 1.0, 2.0]))
    1.0
    """
    apart = np.diff(hours)
    apart = apart[apart > 0]
    if not len(apart):
        return 1.0
    width = float(apart.min())
    beside = np.abs(hours / width - np.round(hours / width)) > SAME_STEP
    if beside.any() or (apart > 1.5 * width).mean() > 0.5:  # between stays the clock may jump
        raise InputError("engineered blocks count hours in steps of a grid: give the task a width, task.step_hours=1")
    return width


def _listed(blocks: Sequence[str]) -> list[str]:
    """Return the names of the blocks; raises InputError where they are no list of names, each once."""
    known = ", ".join(plugins.names("features"))
    if isinstance(blocks, str) or not all(isinstance(name, str) for name in blocks):
        raise InputError(f"engineered={blocks} must be a list of names, of {known}")
    if not blocks:
        raise InputError(f"engineered=[] names no block; there are {known}")
    if twice := sorted({name for name in blocks if list(blocks).count(name) > 1}):
        raise InputError(f"engineered={list(blocks)} names {', '.join(twice)} twice")
    return list(blocks)


def resolved(spec: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's specification with the names that its blocks compute from; also of an ensemble's members."""
    spec = dict(spec)
    if members := spec.get("members"):
        spec["members"] = [resolved(member, manifest) for member in members]
    inputs = dict(spec.get("inputs") or {})
    if inputs.get("engineered"):
        step = manifest["task"]["step_hours"]
        if step is None:
            raise InputError(
                "model.inputs.engineered counts hours in steps of a grid, and this cohort has native event times: "
                "prepare it with task.step_hours=1, or leave the blocks out"
            )
        names = {key: list(manifest[key]) for key in ("variables", "statics")}
        spec["inputs"] = {**inputs, "vocabulary": {**names, "step_hours": float(step)}}
    return spec
