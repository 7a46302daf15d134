"""What a block sees of a stay: the values of now, those of the last hours, and what is remembered of all steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.variables import vocabulary

REACH_HOURS = 24.0  # no window is longer
LEAST = 0.01  # in a native unit: what a quotient divides by is at least that


@dataclass(frozen=True)
class Vocabulary:
    """The names behind the axes of a batch, and the width of its steps in hours."""

    variables: tuple[str, ...]
    statics: tuple[str, ...]
    step_hours: float

    @staticmethod
    def of(spec: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary that `model.json` wrote down."""
        return Vocabulary(tuple(spec["variables"]), tuple(spec["statics"]), float(spec["step_hours"]))

    def steps(self, hours: float) -> int:
        """Return how many steps the window (t - hours, t] holds, at least one."""
        return max(1, round(hours / self.step_hours))

    def indices(self, *kinds: str) -> list[int]:
        """Return the places of the variables of these kinds (vital, lab, treatment)."""
        known = vocabulary()
        return [place for place, name in enumerate(self.variables) if name in known and known[name].kind in kinds]

    def first(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` that is measured here."""
        return next((name for name in names if name in self.variables), None)


class Memory(NamedTuple):
    """What is remembered of the steps so far, per stay and variable: (B, V), `values` and `mask` (B, P, V)."""

    values: Tensor  # of the last P steps, NaN before the first measurement
    mask: Tensor  # of the last P steps
    number: Tensor  # of steps at which it was measured
    total: Tensor  # of the measured values
    lowest: Tensor  # +inf before the first measurement
    highest: Tensor  # -inf before the first measurement
    first: Tensor
    change: Tensor  # between the last two measurements


class Course:
    """The course of B stays over T steps.

    Attributes:
        batch: the steps. seen: (B, T, V) bool, measured at or before the step.
        number, total, lowest, highest, first, change: (B, T, V) as in `Memory`, after each step.
        long: (B, P + T, V) values with the P steps before the batch; before its first measurement a variable has the
            value of that measurement, so that a window that begins earlier is not disturbed by the train median. Only
            where `seen`, a function of it may be used: before, it would tell the future.
        plain: (B, P + T, V) the same, the train median before the first measurement.
        long_mask: (B, P + T, V).

    """

    def __init__(self, vocabulary: Vocabulary, batch: Batch, before: Memory, native: tuple[Tensor, Tensor, Tensor]):
        self.vocabulary, self.batch, self.before, self._native = vocabulary, batch, before, native
        earlier = Memory(*(part if part.ndim == 3 else part[:, None] for part in before))  # (B, 1, V)
        values, mask = batch.values, batch.mask
        here = mask > 0
        self.number = earlier.number + mask.cumsum(1)
        self.seen = self.number > 0
        self.total = earlier.total + (mask * values).cumsum(1)
        self.lowest = torch.minimum(earlier.lowest, torch.where(here, values, torch.inf).cummin(1).values)
        self.highest = torch.maximum(earlier.highest, torch.where(here, values, -torch.inf).cummax(1).values)
        earliest = values.gather(1, here.int().argmax(dim=1, keepdim=True))  # (B, 1, V), of the batch
        first = torch.where(earlier.number > 0, earlier.first, torch.where(self.seen[:, -1:], earliest, 0.0))
        self.first = first.expand_as(values)
        past = torch.where(before.values.isnan(), first, before.values)  # (B, P, V)
        self.long = torch.cat([past, torch.where(self.seen, values, first)], dim=1)
        self.plain = torch.cat([before.values.nan_to_num(nan=0.0), values], dim=1)
        self.long_mask = torch.cat([before.mask, mask], dim=1)
        self.change = self._changes(earlier, here)

    def _changes(self, earlier: Memory, here: Tensor) -> Tensor:
        """Return the change (B, T, V) between the last two measurements, 0 before the second one.

            c_t = m_t (v_t - v_{t-1}) + (1 - m_t) c_{t-1}        v_{t-1} was measured last, as values are carried on

        Linear in the mask: a path along which measurements come and go has no jump. By doubling, in log T passes.
        """
        before = self.plain[:, -here.shape[1] - 1 : -1]
        again = here & (self.number > self.batch.mask)
        found = torch.where(again, self.batch.mask * (self.batch.values - before), 0.0)
        kept = 1 - self.batch.mask
        found = torch.cat([found[:, :1] + kept[:, :1] * earlier.change, found[:, 1:]], dim=1)
        lag = 1
        while lag < here.shape[1]:
            found = torch.cat([found[:, :lag], found[:, lag:] + kept[:, lag:] * found[:, :-lag]], dim=1)
            kept = torch.cat([kept[:, :lag], kept[:, lag:] * kept[:, :-lag]], dim=1)
            lag *= 2
        return found

    def after(self) -> Memory:
        """Return what is remembered after the last step."""
        unseen = torch.where(self.seen, self.batch.values, torch.nan)
        kept = self.before.values.shape[1]
        return Memory(
            values=torch.cat([self.before.values, unseen], dim=1)[:, -kept:],
            mask=self.long_mask[:, -kept:],
            **{name: getattr(self, name)[:, -1] for name in Memory._fields[2:]},
        )

    def native(self, name: str, values: Tensor | None = None) -> Tensor:
        """Return the values (B, T) of a variable, or of `values` (..., V), in its unit; at least `LEAST`."""
        place = self.vocabulary.variables.index(name)
        shown = (self.batch.values if values is None else values)[..., place]
        return self._unscaled(shown, place).clamp_min(LEAST)

    def static(self, name: str) -> Tensor:
        """Return a static variable (B, 1) in its unit."""
        place = self.vocabulary.statics.index(name)
        return self._unscaled(self.batch.static[:, place], len(self.vocabulary.variables) + place)[:, None]

    def _unscaled(self, scaled: Tensor, place: int) -> Tensor:
        """Return the inverse of `Scaler.measured`: f^-1(location + scale z)."""
        log, location, scale = (part[place] for part in self._native)
        seen = location + scale * scaled
        skewed = log > 0
        return torch.where(skewed, torch.expm1(torch.where(skewed, seen, 0.0)), seen)  # e^120 would have no gradient


def initial(vocabulary: Vocabulary, static: Tensor) -> Memory:
    """Return what is remembered before the first step of stays with `static` (B, S)."""
    zero = static.new_zeros(len(static), len(vocabulary.variables))
    past = zero[:, None].repeat(1, max(1, vocabulary.steps(REACH_HOURS) - 1), 1)
    return Memory(
        values=past + torch.nan,
        mask=past,
        number=zero,
        total=zero,
        lowest=zero + torch.inf,
        highest=zero - torch.inf,
        first=zero,
        change=zero,
    )


def over(long: Tensor, steps: int, length: int, combine: Any) -> Tensor:
    """Return `combine` (torch.minimum, maximum, add) over the last `steps` values at each of the last `length` steps.

    Windows of 2^k steps are made by doubling; a window is put together from those its length is the sum of. Every sum
    has one order, so that a batch and a stream have the same bits.

    >>> over(torch.tensor([[[1.0], [5.0], [2.0], [3.0]]]), 3, 2, torch.maximum).flatten().tolist()
    [5.0, 5.0]
    """
    if long.shape[1] < length + steps - 1:
        raise InputError(f"a window of {steps} steps needs a memory of {steps - 1}, not {long.shape[1] - length}")
    level, width, found, offset = long, 1, None, 0  # level[s]: over s - width + 1 .. s
    while True:
        if steps & width:
            part = level[:, level.shape[1] - length - offset : level.shape[1] - offset]
            found, offset = part if found is None else combine(found, part), offset + width
        if 2 * width > steps:
            assert found is not None
            return found
        level, width = combine(level[:, width:], level[:, :-width]), 2 * width
