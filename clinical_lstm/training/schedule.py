"""How the learning rate runs over the planned steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def scheduler(
    optimiser: torch.optim.Optimizer, schedule: str, rate: float, steps: int, warmup_share: float
) -> LRScheduler:
    """Return the scheduler of `optimiser`, to be advanced after every step.

    - `cosine`: a warm-up from rate / 25 over `warmup_share` of the steps, then a fall to nothing, both half a cosine.
    - `one_cycle`: the same rates, and the momentum (Adam's first beta) mirrors them between .95 and .85.
    - `constant`: a linear warm-up, then `rate`.

    Source: Smith & Topin 2019, arXiv 1708.07120 (one cycle).
    """
    if schedule == "constant":
        warmup = max(round(warmup_share * steps), 1)
        return LambdaLR(optimiser, lambda step: min((step + 1) / warmup, 1.0))
    # OneCycleLR divides by zero in a warm-up of exactly one step, and the rate of a lone step would be 0.
    steps, share = max(steps, 2), warmup_share
    more: dict[str, Any] = {} if schedule == "one_cycle" else {"cycle_momentum": False}
    pct = math.nextafter(share, 0) if share * steps == 1 else share
    return OneCycleLR(optimiser, max_lr=rate, total_steps=steps, pct_start=pct, **more)
