"""Values as the bins of the train quantiles that they have passed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Piecewise(nn.Module):
    """Encode each value piecewise linearly between the train quantiles q_0 (least) ... q_N (greatest) of its variable.

        e_n(v) = clip((v - q_{n-1}) / (q_n - q_{n-1}), 0, 1)                                                      (1)
        x_n(v) = e_n(v) - e_n(0)                                                                                  (2)

    By (2) the train median, which stands for a value never observed, is all zeros. A bin without width (more than a
    1/N of the values are equal) stays 0, and so does a variable that train never saw, or always at one value. Values
    beyond the train range count as its ends (the paper lets the outer bins go on). Masks and deltas stand as they are.
    Until `learn_scale` the edges are evenly spaced between -`REACH` and `REACH`.
    Source: Gorishniy, Rubachev & Babenko, On embeddings for numerical features in tabular deep learning (2022),
    arXiv 2203.05556, equation 1.
    """

    REACH = 2.5  # in train standard deviations
    LEAST = 1e-6  # a narrower bin has no width: edges are 32-bit numbers

    edges: Tensor

    def __init__(self, n_variables: int, n_channels: int, bins: int = 8) -> None:
        super().__init__()
        self.register_buffer("edges", torch.linspace(-self.REACH, self.REACH, bins + 1).repeat(n_variables, 1))
        self.width = n_variables * (bins + n_channels - 1)

    def forward(self, channels: list[Tensor]) -> Tensor:
        """Return the encoded values and the other channels side by side (B, T, E)."""
        values, *others = channels
        passed = self._passed(values[..., None]) - self._passed(values.new_zeros(()))  # (B, T, V, N), equation 2
        return torch.cat([passed.flatten(2), *others], dim=2)

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Set the edges to the quantiles of the scaled train values (M,), `variable` (M,) the index of each."""
        n_variables, edges = self.edges.shape
        order = np.argsort(variable, kind="stable")
        begin = np.searchsorted(variable[order], np.arange(n_variables + 1))
        found = np.zeros((n_variables, edges), np.float32)
        for v in range(n_variables):
            own = scaled_values[order[begin[v] : begin[v + 1]]]
            if len(own):
                found[v] = np.quantile(own.astype(np.float64), np.linspace(0, 1, edges))
        self.edges.copy_(torch.from_numpy(found))

    def _passed(self, values: Tensor) -> Tensor:
        """Return equation 1 (..., V, N) of values (..., V, 1)."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)  # (V, N)
        slope = torch.where(width > self.LEAST, 1 / width.clamp_min(self.LEAST), 0.0)
        return ((values - low) * slope).clamp(0, 1)
