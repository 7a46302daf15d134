"""AUROC, its beginning and average precision of many replicates: exact."""

from __future__ import annotations

import numpy as np

from clinical_lstm.metrics.discrimination import MAX_FPR, Areas, Ranking, areas_of, require_rate
from clinical_lstm.metrics.replicates.family import CellSums, Family


class Discrimination(Family):
    """auroc, auroc_partial (false positive rate up to `max_fpr`) and auprc from the cells of a `Ranking`.

    >>> family = Discrimination(np.array([0, 0, 1]), np.array([0.1, 0.5, 0.4]), patient=np.array([0, 1, 2]), patients=3)
    >>> family(np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 1.0]]))["auroc"].tolist()
    [0.5, 1.0]
    """

    def __init__(
        self, label: np.ndarray, risk: np.ndarray, patient: np.ndarray, patients: int, max_fpr: float = MAX_FPR
    ) -> None:
        require_rate(max_fpr)
        self.ranking, self.max_fpr = Ranking(label, risk), max_fpr
        sizes = self.ranking.groups, self.ranking.groups + 1, self.ranking.groups
        kinds = self.ranking.positive, self.ranking.between, self.ranking.tied
        self.sums = [
            CellSums(self.ranking.slot[rows], size, patient[rows], patients) for rows, size in zip(kinds, sizes)
        ]

    def point(self) -> dict[str, float]:
        """Return the areas of the rows."""
        found = areas_of(*self.ranking.counts(), max_fpr=self.max_fpr)
        return {name: float(value) for name, value in _named(found).items()}

    def replicates(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the areas of every replicate."""
        positive, between, tied = (sums.of(counts) for sums in self.sums)
        return _named(areas_of(positive, between, tied, self.max_fpr))


def _named(areas: Areas) -> dict[str, np.ndarray]:
    return {"auroc": areas.auroc, "auroc_partial": areas.partial, "auprc": areas.average_precision}
