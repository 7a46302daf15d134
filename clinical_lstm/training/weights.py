"""What each row asks of a model, and how much it weighs in the loss."""

from __future__ import annotations

import numpy as np

from clinical_lstm.errors import InputError, closest
from clinical_lstm.metrics.utility import gain, hours_from_onset

WEIGHTINGS = ["uniform", "class", "cinc2019"]


def row_targets(
    weighting: str, label: np.ndarray, train: np.ndarray, step_offsets: np.ndarray, hours: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (target, weight), each (N, K) float32, of the labels (N, K); a label of -1 (not at risk) weighs 0.

    - `uniform`: every row at risk weighs 1.
    - `class`: positives weigh (negatives / positives) of the train rows, so that both classes weigh the same.
    - `cinc2019`: target = (gain > 0) and weight = |gain| / mean |gain|, where gain is what an alarm earns in
      the official utility; the weighted 0-1 loss is then the utility itself (Reyna et al. 2020).

    Args:
        train: (N,) whether the row is of the train split; statistics come from there only.
        step_offsets: (stays + 1,) rows of each stay. hours: (N,).

    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"there is no loss weighting {weighting!r}: {closest(weighting, WEIGHTINGS)}")
    valid = label >= 0
    target = np.where(valid, label, 0).astype(np.float32)
    weight = valid.astype(np.float32)
    if weighting == "class":
        positive = (target * valid)[train].sum(axis=0)
        negative = valid[train].sum(axis=0) - positive
        weight *= np.where(target == 1, (negative / np.maximum(positive, 1)).astype(np.float32), np.float32(1))
    if weighting == "cinc2019":
        stay = np.repeat(np.arange(len(step_offsets) - 1), np.diff(step_offsets))
        for k in range(label.shape[1]):
            gains = gain(hours_from_onset(stay, hours, target[:, k])) * valid[:, k]
            weight[:, k] = np.abs(gains) / np.abs(gains)[train & valid[:, k]].mean()
            target[:, k] = gains > 0
    return target, weight


def base_rates(target: np.ndarray, weight: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the weighted share of positives (K,) among the train rows: where the output bias starts."""
    total = weight[train].sum(axis=0, dtype=np.float64)
    return (target * weight)[train].sum(axis=0, dtype=np.float64) / np.maximum(total, 1e-12)
