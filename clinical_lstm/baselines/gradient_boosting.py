"""Gradient-boosted trees on the window statistics: what wins most tabular contests, and a fair bar for a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from clinical_lstm.baselines.base import Baseline, Labelled, thinned
from clinical_lstm.baselines.features import matrix_of


class GradientBoosting(Baseline):
    """Histogram gradient boosting with the log loss; unknown values have their own branch.

    Boosting stops when `patience` rounds have not lowered the log loss of the validation rows (other patients; never a
    random split of rows, which would share patients); without them it runs `rounds_without_validation` rounds. It fits
    to at most `max_rows` rows: all positives, and negatives at random that weigh more. Without `observation_process` no
    column tells whether, when or how often something was measured, and unknown values are the train median; without
    `hours` none is the time since admission.
    Source: Ke et al., NeurIPS 2017 (LightGBM), the algorithm that scikit-learn implements.
    """

    features = "window"

    def __init__(
        self,
        learning_rate: float = 0.1,
        max_rounds: int = 400,
        leaves: int = 16,
        min_leaf: int = 100,
        l2: float = 20.0,
        features_per_split: float = 0.3,
        bins: int = 63,
        patience: int = 20,
        rounds_without_validation: int = 100,
        max_rows: int = 150_000,
        observation_process: bool = True,
        hours: bool = True,
        engineered: Sequence[str] = (),
    ) -> None:
        self.features = matrix_of(engineered, observation_process, hours)
        self.patience, self.max_rows, self.max_rounds = patience, max_rows, max_rounds
        self.rounds_without_validation = rounds_without_validation
        self.settings = {
            "learning_rate": learning_rate,
            "max_leaf_nodes": leaves,
            "min_samples_leaf": min_leaf,
            "l2_regularization": l2,
            "max_features": features_per_split,
            "max_bins": bins,
        }

    def _fit(
        self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, validation: Labelled | None, seed: int
    ) -> None:
        index, heavier = thinned(label, weight, self.max_rows, seed)
        fitted = rows[index]
        self.known = np.flatnonzero(~np.isnan(fitted).all(axis=0))  # scikit-learn cannot bin a column without a value
        self.model = HistGradientBoostingClassifier(
            **self.settings,
            max_iter=self.max_rounds if validation else self.rounds_without_validation,
            early_stopping=validation is not None,
            scoring="loss",
            n_iter_no_change=self.patience,
            random_state=seed,
        )
        held = {}
        if validation:
            held = {"X_val": self._columns(validation.rows), "y_val": validation.label}
            held["sample_weight_val"] = validation.weight
        self.model.fit(self._columns(fitted), label[index], sample_weight=heavier, **held)

    def _logits(self, rows: np.ndarray) -> np.ndarray:
        return self.model.decision_function(self._columns(rows))

    def _columns(self, rows: np.ndarray) -> np.ndarray:
        return rows if len(self.known) == rows.shape[1] else rows[:, self.known]
