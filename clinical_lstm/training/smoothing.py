"""Temporal label smoothing: a target that fades with the hours to the onset instead of jumping at the horizon."""

from __future__ import annotations

import numpy as np

SMOOTHINGS = ["none", "exponential", "step"]


def soft_label(until_onset: np.ndarray, horizon: float, kind: str, strength: float, least: float = 0.0) -> np.ndarray:
    """Return q(d) of the hours d to the next onset, in [0, 1], of the shape of `until_onset`.

        q(d) = 1  for d <= least,    0  for d > 2 horizon,    and between

        exponential:  (exp(-s d) - exp(-s 2h)) / (exp(-s least) - exp(-s 2h))        s per hour; s -> 0: a straight line
        step:         s                                                              0 < s < 1

    so that a row near the horizon, whose hard label is a matter of minutes, teaches little. Metrics keep hard labels.
    Source: Yeche et al., Temporal Label Smoothing for Early Event Prediction, ICML 2023, arXiv 2208.13764.

    >>> soft_label(np.array([0.0, 3.0, 6.0, 12.0, np.inf]), 6.0, "exponential", 0.2).round(3).tolist()
    [1.0, 0.504, 0.231, 0.0, 0.0]
    >>> soft_label(np.array([1.0, 12.0, 13.0]), 6.0, "step", 0.3, least=2.0).tolist()
    [1.0, 0.3, 0.0]
    """
    most = 2 * horizon
    if kind == "exponential":
        near = np.clip(until_onset, least, most)
        # e^(-s (d - least)) (1 - e^(-s (2h - d))) / (1 - e^(-s (2h - least))): digits kept for small and large s
        fallen = np.expm1(-strength * (most - near)) / np.expm1(-strength * (most - least))
        between = np.exp(-strength * (near - least)) * fallen
    else:
        between = np.full(until_onset.shape, strength)
    return np.where(until_onset <= least, 1.0, np.where(until_onset > most, 0.0, between))
