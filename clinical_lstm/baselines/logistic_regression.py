"""Ridge logistic regression on the window statistics: the strongest model that fits on one page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression as Fitter
from sklearn.metrics import log_loss

from clinical_lstm.baselines.base import Baseline, Labelled, thinned
from clinical_lstm.baselines.features import matrix_of


class LogisticRegression(Baseline):
    """Standardise, impute the mean, fit; the penalty with the lowest log loss on the validation rows stays.

        z = clip((x - mean) / sd, -5, 5), 0 where unknown;    logit P = a + b z,    minimise log loss + |b|^2 / (2 C)

    It fits to at most `max_rows` rows (all positives, negatives at random that weigh more): hundreds of thousands of
    hourly rows of few patients carry little more. Without validation rows the middle `strengths` (C) is taken, without
    `observation_process` no column that tells whether, when or how often something was measured, without `hours` none
    that is the time since admission.
    """

    features = "window"

    def __init__(
        self,
        strengths: Sequence[float] = (1e-4, 1e-3, 1e-2),
        max_rows: int = 200_000,
        max_iter: int = 200,
        observation_process: bool = True,
        hours: bool = True,
        engineered: Sequence[str] = (),
    ) -> None:
        self.features = matrix_of(engineered, observation_process, hours)
        self.strengths, self.max_rows, self.max_iter = sorted(strengths), max_rows, max_iter

    def _fit(
        self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, validation: Labelled | None, seed: int
    ) -> None:
        index, heavier = thinned(label, weight, self.max_rows, seed)
        kept, outcome = rows[index], label[index]
        self._standardise(kept, heavier)
        z = self._scaled(kept)
        strengths = self.strengths if validation else [self.strengths[len(self.strengths) // 2]]
        model = Fitter(max_iter=self.max_iter, tol=1e-3, warm_start=True)
        losses, fits = [], []
        for strength in strengths:  # ascending: each fit starts at the solution of the stronger penalty
            model.set_params(C=strength).fit(z, outcome, sample_weight=heavier)
            fits.append((model.coef_[0].astype(np.float64), float(model.intercept_[0])))
            self.slopes, self.intercept = fits[-1]
            losses.append(self._loss(validation) if validation else 0.0)
        self.slopes, self.intercept = fits[int(np.argmin(losses))]
        self.strength = strengths[int(np.argmin(losses))]

    def _logits(self, rows: np.ndarray) -> np.ndarray:
        # a sum over each row alone: a matrix product may round differently with the number of rows
        return (self._scaled(rows) * self.slopes).sum(axis=1) + self.intercept

    def _loss(self, validation: Labelled) -> float:
        risk = 1 / (1 + np.exp(-np.clip(self.logits(validation.rows), -30, 30)))
        return float(log_loss(validation.label, risk, sample_weight=validation.weight, labels=[0, 1]))

    def _standardise(self, rows: np.ndarray, weight: np.ndarray) -> None:
        """Set mean and sd (F,) of the known values; a column without spread or values keeps sd 1."""
        self.mean, self.deviation = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        for f in range(rows.shape[1]):
            known = np.isfinite(rows[:, f])
            value, mass = rows[known, f].astype(np.float64), weight[known]
            if mass.sum() > 0:
                self.mean[f] = (mass * value).sum() / mass.sum()
                spread = np.sqrt((mass * (value - self.mean[f]) ** 2).sum() / mass.sum())
                self.deviation[f] = spread if spread > 1e-6 else 1.0

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        z = (rows - self.mean.astype(np.float32)) / self.deviation.astype(np.float32)
        return np.nan_to_num(np.clip(z, -5, 5), nan=0.0).astype(np.float32)
