"""A teacher for distillation: a baseline cross-fitted inside train, so that it never saw whom it teaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clinical_lstm import plugins
from clinical_lstm.baselines.features import row_matrix
from clinical_lstm.training.data import TrainingData


def teacher_risks(
    data: TrainingData,
    patients: np.ndarray,
    spec: Mapping[str, Any],
    folds: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> np.ndarray:
    """Return the teacher's out-of-fold risks q (N, K) float32 of the train rows that weigh anything; NaN elsewhere.

    The patients of train fall into F folds at random. The teacher of fold f is fitted on the others; the fold after f
    chooses what the fit leaves open (rounds, penalty):

        fold      f             f + 1       all others
        role      is taught     chooses     fit

    So q of a patient depends on no label of that patient's fold, and on no label of val, calib or test.

    Args:
        patients: (stays,) patient of each stay. spec: a plug-in of `baselines/`. folds: at least 3.

    """
    which = plugins.build("baselines", spec).features
    at = data.seen.answered(data.seen.of(data.train))[2]  # (R,)
    matrix = row_matrix(data.seen, data.train, data.scaler, which)  # (R, F)
    fold = fold_of(patients, data.train, folds, seed)[data.tensors.place(at)[0]]  # (R,)
    risks = np.full(data.label.shape, np.nan, np.float32)
    for k in range(data.label.shape[1]):
        target, weight = data.target[at, k], data.weight[at, k]
        for f in range(folds):
            say(f"train: teacher {spec['name']}, target {k + 1}/{data.label.shape[1]}, fold {f + 1}/{folds}")
            taught, choosing = fold == f, (fold == (f + 1) % folds) & (weight > 0)
            fitted = ~taught & (fold != (f + 1) % folds) & (weight > 0)
            asked = taught & (weight > 0)
            if not asked.any() or not fitted.any():
                continue
            held = (matrix[choosing], target[choosing], weight[choosing]) if choosing.any() else None
            model = plugins.build("baselines", spec)
            model.fit(matrix[fitted], target[fitted], weight=weight[fitted], validation=held, seed=seed)
            risks[at[asked], k] = 1 / (1 + np.exp(-model.logits(matrix[asked])))
    return risks


def fold_of(patients: np.ndarray, train: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold (stays,) of each stay, -1 outside train; the stays of a patient share one.

    >>> fold_of(np.array(["a", "b", "a", "c"]), np.array([0, 1, 2]), folds=2, seed=0).tolist()
    [0, 1, 0, -1]
    """
    names, who = np.unique(patients[train], return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(names)) % folds
    fold = np.full(len(patients), -1)
    fold[train] = drawn[who]
    return fold
