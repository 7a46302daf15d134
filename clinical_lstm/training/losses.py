"""What is minimised: a masked, row-weighted binary cross-entropy divided by a constant."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def weighted_bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted SUM of the cross-entropies of all rows and targets, a scalar.

        L = sum_btk w_btk [ -y log sigmoid(l) - (1 - y) log(1 - sigmoid(l)) ]

    Padding and rows outside the risk set have w = 0. The sum is divided by the expected weight of a batch, a constant,
    not by the batch's own weight: batches of other lengths would otherwise weigh a row differently.

    Args:
        logits, target, weight: (B, T, K).

    """
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (B, T, K)
    return (losses * weight).sum()
