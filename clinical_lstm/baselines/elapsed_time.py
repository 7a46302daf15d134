"""How far does the clock alone go? The risk by hours since admission, and nothing else."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer

from clinical_lstm.baselines.base import Baseline, Labelled


class ElapsedTime(Baseline):
    """Logistic regression on a cubic spline of the hours since admission, constant outside the hours of training.

        logit P = a + sum_j b_j B_j(t)

    A model that does not beat it has learned when predictions are made, not who deteriorates.
    """

    features = "elapsed"

    def __init__(self, knots: int = 8, penalty: float = 1.0) -> None:
        self.knots, self.penalty = knots, penalty

    def _fit(
        self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, validation: Labelled | None, seed: int
    ) -> None:
        # Rows of equal hour and label are one row that weighs more: the same likelihood from a few hundred rows.
        pairs = np.stack([rows[:, 0].astype(np.float64), label == 1], axis=1)
        cells, cell = np.unique(pairs, axis=0, return_inverse=True)
        mass = np.bincount(cell.ravel(), weight)
        hours, outcome = cells[:, :1], cells[:, 1]
        knots = np.unique(np.quantile(rows[:, 0].astype(np.float64), np.linspace(0, 1, self.knots)))
        if len(knots) < 2:
            knots = np.array([knots[0] - 0.5, knots[0] + 0.5])
        spline = SplineTransformer(knots=knots[:, None], extrapolation="constant", include_bias=False)
        line = LogisticRegression(C=1 / self.penalty, max_iter=1000, tol=1e-8)
        self.model: Pipeline = make_pipeline(spline, line)
        self.model.fit(hours, outcome, logisticregression__sample_weight=mass)

    def _logits(self, rows: np.ndarray) -> np.ndarray:
        return self.model.decision_function(rows[:, :1].astype(np.float64))
