"""A vector for every variable of a step, pooled by attention."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """Embed each variable by what it is and how it stands, and pool the variables of a step by K attention heads.

        z_v = ReLU(A_v c_v + e_v),    c_v = [value ; mask ; log delta],    e_v = identity of v                    (1)
        a_kv = softmax over v of q_k z_v / sqrt(D)                                                                (2)
        x = [ sum_v a_1v z_v ; ... ; sum_v a_Kv z_v ]                                                             (3)

    A variable that was not observed takes part: that it is missing says something too. The size of x does not grow with
    the number of variables.
    Source: the idea, Liu et al., Early prediction of sepsis from clinical data via heterogeneous event aggregation
    (PhysioNet/CinC 2019); pooling by learned queries, Lee et al., Set Transformer (2019), arXiv 1810.00825.
    """

    def __init__(self, n_variables: int, n_channels: int, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_variables, n_channels, width) / math.sqrt(n_channels + 1))  # A
        self.identity = nn.Parameter(torch.randn(n_variables, width) / math.sqrt(n_channels + 1))  # e
        self.query = nn.Parameter(torch.randn(heads, width))  # q
        self.width = heads * width

    def forward(self, channels: list[Tensor]) -> Tensor:
        """Return the pooled embedding (B, T, K D) of the channels (B, T, V)."""
        stays, steps, _ = channels[0].shape
        seen = torch.stack(channels, dim=3).flatten(0, 1).transpose(0, 1)  # (V, B T, C): one matrix per variable
        embedded = torch.relu(torch.baddbmm(self.identity[:, None], seen, self.weight))  # (V, B T, D), equation 1
        weight = (embedded @ self.query.T / math.sqrt(self.query.shape[1])).softmax(dim=0)  # (V, B T, K), equation 2
        pooled = [(head * embedded).sum(dim=0) for head in weight.split(1, dim=2)]  # K of (B T, D), equation 3
        return torch.cat(pooled, dim=1).view(stays, steps, -1)  # (B, T, K D)

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Learn nothing: the scale is the scaler's."""
