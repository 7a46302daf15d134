"""Normalised utilities of many replicates: exact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clinical_lstm.metrics.replicates.family import CellSums, Family
from clinical_lstm.metrics.utility import normalised_utility
from clinical_lstm.metrics.weights import ratio

ALL = 0  # the one cell that all rows share


class Utility(Family):
    """One `normalised_utility` for each of `gains` {metric: gain of an alarm (N,)}, alarming where `alarm` (N,).

    >>> family = Utility({"utility": np.array([-0.5, 1.0])}, np.array([True, True]), np.array([0, 1]), 2)
    >>> family(np.array([[1.0], [2.0]]))["utility"].tolist()
    [0.75]
    """

    def __init__(self, gains: Mapping[str, np.ndarray], alarm: np.ndarray, patient: np.ndarray, patients: int) -> None:
        self.gains, self.alarm = gains, alarm
        cell = np.full(len(alarm), ALL)
        self.sums = {
            name: [CellSums(cell, 1, patient, patients, term) for term in (gain * alarm, np.maximum(gain, 0.0))]
            for name, gain in gains.items()
        }

    def point(self) -> dict[str, float]:
        """Return the utilities of the rows."""
        return {name: normalised_utility(gain, self.alarm) for name, gain in self.gains.items()}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the utilities of every replicate."""
        return {name: ratio(won.of(counts)[:, 0], best.of(counts)[:, 0]) for name, (won, best) in self.sums.items()}
