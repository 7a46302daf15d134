"""The variables of a step as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Flat(nn.Module):
    """Concatenate the channels of all variables: values first, then masks and log deltas; no weights."""

    def __init__(self, n_variables: int, n_channels: int) -> None:
        super().__init__()
        self.width = n_variables * n_channels

    def forward(self, channels: list[Tensor]) -> Tensor:
        """Return the channels (B, T, V) side by side (B, T, E)."""
        return torch.cat(channels, dim=2)

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Learn nothing: the scale is the scaler's."""
