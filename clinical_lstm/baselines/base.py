"""The contract of a baseline: rows of features in, one logit per row out, each row on its own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.scores.base import SAME_HOURS

BLOCK = 65_536  # rows at once


class Labelled(NamedTuple):
    """Rows (R, F) of other patients, their labels (R,) and weights (R,), which choose what a fit leaves open."""

    rows: np.ndarray
    label: np.ndarray
    weight: np.ndarray


class Baseline(ABC):
    """A predictor of one target from rows (R, F) of the matrix that `features` names (see `features.row_matrix`).

    `learns` is False where the labels change nothing.
    """

    features: str
    learns: ClassVar[bool] = True
    constant: float | None = None

    def fit(
        self,
        rows: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None = None,
        validation: Sequence[np.ndarray] | None = None,
        seed: int = 0,
    ) -> Baseline:
        """Fit to rows (R, F) with labels (R,) and weights (R,); return self.

        `validation` = (rows, labels[, weights]) of other patients chooses what the fit leaves open (penalty, number of
        trees) by the weighted log loss: what is fitted with weights must stop by them too.
        With one class among the labels every logit is that of (positives + 1/2) / (R + 1), of a baseline that learns.
        Raises InputError on lengths that do not match.
        """
        lengths = [len(rows), len(label), *([] if weight is None else [len(weight)])]
        if len(set(lengths)) > 1 or not lengths[0]:
            raise InputError(f"a baseline needs as many labels and weights as rows, at least one; found {lengths}")
        positives = int((label == 1).sum())
        self.constant = None
        if self.learns and positives in (0, len(label)):
            self.constant = math.log((positives + 0.5) / (len(label) - positives + 0.5))
            return self
        weight = np.ones(len(label)) if weight is None else weight.astype(np.float64)
        self._fit(rows, label, weight, _held(validation), seed)
        return self

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits (R,) float64 of rows (R, F), in blocks that bound the memory of their float64 copies."""
        if self.constant is not None:
            return np.full(len(rows), self.constant)
        parts = [self._logits(rows[begin : begin + BLOCK]) for begin in range(0, len(rows), BLOCK)]
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

    @abstractmethod
    def _fit(
        self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, validation: Labelled | None, seed: int
    ) -> None:
        """Fit to rows of two classes."""

    @abstractmethod
    def _logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of rows after a fit to two classes."""


def _held(validation: Sequence[np.ndarray] | None) -> Labelled | None:
    """Return the validation rows with weights; None where they have not both classes."""
    if not validation:
        return None
    rows, label, weight = [*validation, np.ones(len(validation[1]))][:3]
    return Labelled(rows, label, weight) if len(np.unique(label[weight > 0])) == 2 else None


class BedsideScore(Baseline):
    """A printed table of points, hour by hour: nothing is learnt, the total is the logit that calibration makes a risk.

    ```
        hours    0         1         2         3
                 |---------|---------|---------|---    score s_k of hour k: from what is stamped <= k
        at t:         0         s_1       s_2    s_3   that of the last whole hour <= t; 0 before the first
    ```
    A component that is not measured counts 0. The score's own windows say how long a value counts, whatever the
    lookback of the task.

    Attributes:
        score: the function of `clinical_lstm.scores`. variables: what it reads. options: its keyword arguments.

    """

    features = "score"
    learns = False
    score: ClassVar[Callable[..., pl.DataFrame]]
    variables: ClassVar[tuple[str, ...]]

    def __init__(self, **options: Any) -> None:
        self.options = options

    def known_at(self, steps: pl.DataFrame, stays: pl.DataFrame, observations: pl.DataFrame) -> pl.DataFrame:
        """Return `steps` (stay_id, hours; ascending in a stay) with `points` and `measured`, as they are known then.

        Args:
            stays: stay_id, length_hours. observations: of these stays, of any variables.

        """
        hourly = self.score(stays, observations, **self.options)
        hour = pl.col("hours") - SAME_HOURS  # a step that ends at 2.9999999 is meant to end at 3
        hourly = hourly.select("stay_id", hour, pl.col(self.score.__name__).alias("points"), "measured")
        known = steps.join_asof(hourly, on="hours", by="stay_id", check_sortedness=False)  # both are sorted by stay
        return known.with_columns(pl.col("points", "measured").fill_null(0))

    def _fit(
        self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, validation: Labelled | None, seed: int
    ) -> None:
        """Learn nothing."""

    def _logits(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0]


def thinned(label: np.ndarray, weight: np.ndarray, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (index, weight) of about `rows` rows: every positive one, and negatives at random that weigh more.

    The weights keep the base rate, so that the logits stay those of all rows. At least as many negatives as positives
    stay, and the order of the rows.

    >>> index, weight = thinned(np.array([0, 1, 0, 0, 0]), np.ones(5), rows=3, seed=0)
    >>> len(index), weight.sum().item()
    (3, 5.0)
    """
    positive = np.flatnonzero(label == 1)
    negative = np.flatnonzero(label != 1)
    kept = max(rows - len(positive), len(positive))
    if kept >= len(negative):
        return np.arange(len(label)), weight
    drawn = np.sort(np.random.default_rng(seed).choice(negative, kept, replace=False))
    heavier = weight.copy()
    heavier[drawn] *= weight[negative].sum() / weight[drawn].sum()
    index = np.sort(np.concatenate([positive, drawn]))
    return index, heavier[index]
