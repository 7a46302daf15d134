"""From hidden states to logits of every complication x horizon, monotone in the horizon by construction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Target = tuple[str, float]


class RiskHead(nn.Module):
    """Logits that cumulate over the horizons of a complication, as in Tomasev et al. 2019.

        l_1 = w_1 h + b_1,    l_k = l_{k-1} + softplus(w_k h + b_k)        for the horizons h_1 < h_2 < ... of one

    so that the risk of an onset within 12 h is never below the one within 6 h.
    Source: Tomasev et al., Nature 572:116-119 (2019), doi 10.1038/s41586-019-1390-1.
    """

    def __init__(self, width: int, targets: Sequence[Target]) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(targets))
        same = [k > 0 and targets[k][0] == targets[k - 1][0] for k in range(len(targets))]
        if any(s and targets[k][1] <= targets[k - 1][1] for k, s in enumerate(same)):
            raise ValueError("targets must be sorted by complication and horizon")
        self.continues = same

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., K) of hidden states (..., H)."""
        raw = self.linear(hidden)  # (..., K)
        if not any(self.continues):
            return raw
        logits = [raw[..., 0]]
        for k in range(1, raw.shape[-1]):
            logits.append(logits[-1] + functional.softplus(raw[..., k]) if self.continues[k] else raw[..., k])
        return torch.stack(logits, dim=-1)  # (..., K)

    @torch.no_grad()
    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the biases so that a hidden state of zeros gives the base rates (K,) of the training rows."""
        rates = np.clip(base_rates, 1e-4, 1 - 1e-4)
        logits = np.log(rates / (1 - rates))
        bias = logits.copy()
        for k in np.flatnonzero(self.continues):
            bias[k] = np.log(np.expm1(max(logits[k] - logits[k - 1], 1e-2)))
        self.linear.bias.copy_(torch.from_numpy(bias))
