"""Logits and back: ln(q / (1 - q)) of risks that may be exactly 0 or 1."""

from __future__ import annotations

import numpy as np

CLIP = 1e-6  # logits and logarithms are taken of risks within [CLIP, 1 - CLIP]


def logit(risk: np.ndarray) -> np.ndarray:
    """Return ln(q / (1 - q)) with q the risk clipped to [1e-6, 1 - 1e-6], any shape.

    >>> logit(np.array([0.5, 1.0])).round(4).tolist()
    [0.0, 13.8155]
    """
    clipped = np.clip(risk, CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow, any shape.

    >>> sigmoid(np.array([0.0, -1000.0])).round(4).tolist()
    [0.5, 0.0]
    """
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))
