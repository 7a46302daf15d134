"""Vital signs over the last hours."""

from __future__ import annotations

import torch
from torch import Tensor

from clinical_lstm.features.course import Course, Vocabulary, over
from clinical_lstm.features.engineered import Feature

SHORT, MIDDLE, LONG = 6.0, 12.0, 24.0
COLUMNS = ["mean_6h", "sd_12h", "min_6h", "max_6h", "min_24h", "max_24h", "from_own_mean", "change_6h"]
SOFTENING = 1e-2  # of a standard deviation, so that its slope at 0 is finite


class Windows:
    """Level, spread and direction of every vital sign, in train standard deviations, over windows (t - w, t].

        mean_6h, min, max    of the values at the steps of the window                                           (1)
        sd_12h = sqrt(mean (v_s - mean v)^2 + 0.01^2) - 0.01                                                    (2)
        from_own_mean = v_t - mean of the patient's measurements so far                                         (3)
        change_6h = v_t - v_{t - 6 h}                                                                           (4)

    0 before the first measurement.
    """

    observation_process = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.places = vocabulary.indices("vital")
        self.names = [vocabulary.variables[place] for place in self.places]
        self.short, self.middle, self.long = (vocabulary.steps(hours) for hours in (SHORT, MIDDLE, LONG))

    @property
    def features(self) -> list[Feature]:
        """The columns, statistic by statistic."""
        return [Feature(f"{name}:{column}", (name,)) for column in COLUMNS for name in self.names]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, 8 x vitals)."""
        at = self.places
        now, seen, long = course.batch.values[..., at], course.seen[..., at], course.long[..., at]
        length = now.shape[1]
        own = course.total[..., at] / course.number[..., at].clamp_min(1)
        columns = [over(long, self.short, length, torch.add) / self.short, _sd(long, self.middle, length)]
        for steps in (self.short, self.long):
            columns += [over(long, steps, length, extreme) for extreme in (torch.minimum, torch.maximum)]
        columns += [now - own, now - _earlier(long, self.short, length)]
        return torch.cat([torch.where(seen, column, 0.0) for column in columns], dim=2)


def _earlier(long: Tensor, steps: int, length: int) -> Tensor:
    """Return the values (B, T, V) of `steps` steps before each, of the oldest that is remembered at the most."""
    steps = min(steps, long.shape[1] - length)
    return long[:, long.shape[1] - length - steps : long.shape[1] - steps]


def _sd(long: Tensor, steps: int, length: int) -> Tensor:
    """Return equation 2; differences from the last value, so that nothing cancels."""
    now = long[:, -length:]
    total, squares = torch.zeros_like(now), torch.zeros_like(now)
    for lag in range(1, steps):
        apart = _earlier(long, lag, length) - now
        total, squares = total + apart, squares + apart**2
    variance = (squares / steps - (total / steps) ** 2).clamp_min(0)
    return torch.sqrt(variance + SOFTENING**2) - SOFTENING
