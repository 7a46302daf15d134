"""The Brier score, its parts, and the error over bins of equal width, of many replicates: exact."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.calibration.binned import BINS, ece_equal_width, equal_width_bin
from clinical_lstm.metrics.calibration.proper import BrierParts, brier_parts, brier_parts_of
from clinical_lstm.metrics.replicates.family import CellSums, Family
from clinical_lstm.metrics.weights import ratio


class Reliability(Family):
    """brier, brier_reliability, _resolution, _uncertainty, _within_bin, _skill and ece_equal_width, from sums by bin.

    >>> family = Reliability(np.array([0, 1]), np.array([0.5, 0.5]), patient=np.array([0, 1]), patients=2)
    >>> family(np.array([[1.0], [3.0]]))["brier_uncertainty"].tolist()
    [0.1875]
    """

    def __init__(
        self, label: np.ndarray, risk: np.ndarray, patient: np.ndarray, patients: int, bins: int = BINS
    ) -> None:
        self.label, self.risk, self.bins = label, risk, bins
        terms = (None, label, risk, risk**2, risk * label)
        which = equal_width_bin(risk, bins)
        self.sums = [CellSums(which, bins, patient, patients, term) for term in terms]

    def point(self) -> dict[str, float]:
        """Return the scores of the rows."""
        parts = _named(brier_parts(self.label, self.risk, bins=self.bins))
        found = {name: float(value) for name, value in parts.items()}
        return found | {"ece_equal_width": ece_equal_width(self.label, self.risk, bins=self.bins)}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the scores of every replicate."""
        rows, positives, risks, squares, products = (sums.of(counts) for sums in self.sums)
        error = ratio(np.abs(risks - positives).sum(axis=1), rows.sum(axis=1))
        return _named(brier_parts_of(rows, positives, risks, squares, products)) | {"ece_equal_width": error}


def _named(parts: BrierParts) -> dict[str, np.ndarray]:
    return {name if name == "brier" else f"brier_{name}": value for name, value in parts._asdict().items()}
