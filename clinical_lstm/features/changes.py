"""Laboratory values between measurements, and against their extremes so far."""

from __future__ import annotations

import torch
from torch import Tensor

from clinical_lstm.features.course import Course, Vocabulary
from clinical_lstm.features.engineered import Feature

COLUMNS = ["change", "above_lowest", "below_highest"]


class Changes:
    """What a lab value did since the measurement before, and how far it is from the best and the worst of the stay.

        change = v_k - v_{k-1}           the last two measurements                                              (1)
        above_lowest = v_t - min_{k} v_k,    below_highest = max_{k} v_k - v_t                                  (2)

    In train standard deviations (of logarithms where the variable is skewed); 0 before the first measurement.
    """

    observation_process = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.places = vocabulary.indices("lab")
        self.names = [vocabulary.variables[place] for place in self.places]

    @property
    def features(self) -> list[Feature]:
        """The columns, statistic by statistic."""
        return [Feature(f"{name}:{column}", (name,)) for column in COLUMNS for name in self.names]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, 3 x labs)."""
        at = self.places
        now, seen = course.batch.values[..., at], course.seen[..., at]
        columns = [course.change[..., at], now - course.lowest[..., at], course.highest[..., at] - now]
        return torch.cat([torch.where(seen, column, 0.0) for column in columns], dim=2)
