"""What can be minimised: masked, weighted SUMS over rows, which the caller divides by a constant."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def weighted_bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted SUM of the cross-entropies of all rows and targets, a scalar.

        L = sum_btk w_btk [ -y log sigmoid(l) - (1 - y) log(1 - sigmoid(l)) ]

    Padding and rows outside the risk set have w = 0. The sum is divided by the expected weight of a batch, a constant,
    not by the batch's own weight: batches of other lengths would otherwise weigh a row differently.

    Args:
        logits, target, weight: (B, T, K); targets may be soft.

    """
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (B, T, K)
    return (losses * weight).sum()


def weighted_focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float) -> Tensor:
    """Return the weighted SUM of the focal losses, in which rows that are already right count less; a scalar.

        L = sum_btk w_btk |y - sigmoid(l)|^gamma BCE(l, y)

    For hard labels this is (1 - p_t)^gamma (-log p_t); the form with |y - p| serves soft targets too.
    Source: Lin et al., ICCV 2017, arXiv 1708.02002 (equation 4); soft targets: Li et al. 2020, arXiv 2006.04388.

    Args:
        logits, target, weight: (B, T, K). gamma: 0 is the cross-entropy.

    """
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (B, T, K)
    # A base of exactly 0 would have an infinite slope for gamma < 1.
    wrong = (target - torch.sigmoid(logits)).abs().clamp_min(1e-6)
    return (wrong**gamma * losses * weight).sum()


def survival_loss(hazards: Tensor, hours: Tensor, event: Tensor) -> Tensor:
    """Return the SUM of the negative log-likelihoods of all landmarks (rows x complications), a scalar.

        an event in hour j:               -log h_j - sum_{i<j} log(1 - h_i)                                         (1)
        none in c hours, then unknown:    -sum_{i<=c} log(1 - h_i)                                                  (2)

    with h = sigmoid(a). Both are one masked cross-entropy: over the hours i <= `hours`, with target 1 in the last one
    where `event`. A landmark that is not at risk has `hours` = 0.
    Source: Tutz & Schmid, Modeling Discrete Time-to-Event Data (2016), doi 10.1007/978-3-319-28158-2, chapter 3;
    at every landmark: van Houwelingen, Scand. J. Stat. 34:70-85 (2007), doi 10.1111/j.1467-9469.2006.00529.x.

    Args:
        hazards: logits a (..., C, J). hours: (..., C), j or c, at most J. event: (..., C), 0 or 1.

    """
    hour = torch.arange(1, hazards.shape[-1] + 1, device=hazards.device)  # (J,)
    lived = (hour <= hours[..., None]).to(hazards.dtype)  # (..., C, J)
    target = (hour == hours[..., None]).to(hazards.dtype) * event[..., None]
    losses = functional.binary_cross_entropy_with_logits(hazards, target, reduction="none")  # (..., C, J)
    return (losses * lived).sum()


def masked_squares(found: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return the SUM over rows of the mean squared error of what is known in each, a scalar.

        L = sum_r ( sum_v m_rv (f_rv - y_rv)^2 / max(sum_v m_rv, 1) )

    Args:
        found, target, known: (..., V); `known` is 0 or 1, and what lies under 0 does not matter.

    """
    squares = (found - torch.where(known > 0, target, 0)) ** 2 * known  # (..., V)
    return (squares.sum(-1) / known.sum(-1).clamp_min(1)).sum()
