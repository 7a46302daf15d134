"""Integrated gradients against three baselines: nothing observed, the median patient, the same stay hours ago."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError, closest
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.hiding import unobserve
from clinical_lstm.explainers.paths import AdaptivePaths
from clinical_lstm.models.base import SequenceModel

BASELINES = ["nothing", "median", "earlier"]
SAME_TIME_HOURS = 1e-3  # hours are 32-bit numbers


class IntegratedGradients:
    """Attribute a logit F(x) to the inputs x against a baseline x' along the straight path between them (`paths`).

        A_i = (x_i - x'_i) * integral over 0 <= a <= 1 of dF/dx_i at x' + a (x - x'),    sum_i A_i = F(x) - F(x')

    The hours and lengths are the stay's own. What is the same in x and x' gets exactly 0, so a variable that was never
    observed does with every baseline. x' is the same stay

        nothing   with nothing observed: values and static variables at the train median (0), masks 0, time since the
                  last observation = time since admission. Why is this risk not that of an unknown patient?
        median    with every measured value and static variable at the train median, measured when they were. What do
                  the values say, apart from how often they were taken? Only values and static variables have a share.
        earlier   had nothing been measured in the last k hours, in the steps that end in (t - k, t]: values carried on,
                  masks 0, the time since growing. What did the last k hours change? Cells before t - k and the static
                  variables get exactly 0. Where the last k hours hold the whole stay, nothing was ever measured.

    Source: Sundararajan, Taly & Yan, Axiomatic attribution for deep networks, PMLR 70:3319-3328 (2017),
    doi 10.48550/arXiv.1703.01365.

    Args:
        baseline: nothing, median or earlier.
        hours_back: k of `earlier`. 4 by convention: vital signs are taken several times in 4 h, so that x and x'
            differ, and it is short enough to be what happened since one last looked.
        tolerance: largest gap in logits that counts as explained.
        nodes: Gauss-Legendre nodes of a part.
        min_depth: halvings that every path gets.
        max_depth: halvings (32-bit inputs resolve 16) after which a part is taken as it is, its prediction unexplained.
        max_evaluations: model evaluations after which a prediction gets one more round and is given up in the same way.
        batch_steps: rows x steps of one backward pass; 3072 stay in the cache of a core, a GPU wants 100 times more.

    """

    def __init__(
        self,
        baseline: str = "nothing",
        hours_back: float = 4.0,
        tolerance: float = 0.01,
        nodes: int = 4,
        min_depth: int = 3,
        max_depth: int = 16,
        max_evaluations: int = 4000,
        batch_steps: int = 3072,
    ) -> None:
        if baseline not in BASELINES:
            raise InputError(f"baseline={baseline}: {closest(str(baseline), BASELINES)}")
        if not 0 < hours_back < math.inf:
            raise InputError(f"hours_back = {hours_back} must be a number of hours above 0")
        self.baseline, self.hours_back, self.tolerance = baseline, hours_back, tolerance
        self.paths = AdaptivePaths(tolerance, nodes, min_depth, max_depth, max_evaluations, batch_steps)

    def inform(self, lookback_hours: float | None, stays: int, show: Callable[[np.ndarray], Batch]) -> None:
        """Raise InputError when the windows of `lookback_hours` hold nothing from before the last `hours_back` hours.

        No other stay is needed: `stays` and `show` are not used.
        """
        if self.baseline == "earlier" and lookback_hours is not None and lookback_hours <= self.hours_back:
            raise InputError(
                f"baseline=earlier hours_back={self.hours_back:g}: the model looks back {lookback_hours:g} hours, so "
                "nothing would be left of any stay; give fewer hours_back, or baseline=nothing"
            )

    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        """Return the attributions of the logits `model(batch)[b, step[b], target[b]]`, as `Explainer` asks.

        Raises InputError when the model is in training mode (dropout would be attributed) or its logits are not finite.
        """
        starts = {"nothing": _nothing, "median": _median, "earlier": lambda whole: self._earlier(whole, step)}
        return self.paths(model, batch, starts[self.baseline](batch), step, target)

    def _earlier(self, batch: Batch, step: Tensor) -> Batch:
        """Return the batch as if no step that ends after t - k had brought a measurement."""
        hours = batch.hours.double()  # (B, T)
        now = hours.gather(1, step.to(hours.device)[:, None])  # (B, 1)
        recent = hours > now - self.hours_back + SAME_TIME_HOURS
        return unobserve(batch, recent[:, :, None].expand_as(batch.mask))


def _nothing(batch: Batch) -> Batch:
    inside = torch.arange(batch.hours.shape[1], device=batch.hours.device) < batch.lengths[:, None]  # (B, T)
    waited = (batch.hours.clamp(min=0) * inside)[:, :, None].expand_as(batch.delta)  # (B, T, V)
    values, mask, static = (torch.zeros_like(part) for part in (batch.values, batch.mask, batch.static))
    return batch._replace(values=values, mask=mask, delta=waited, static=static)


def _median(batch: Batch) -> Batch:
    return batch._replace(values=torch.zeros_like(batch.values), static=torch.zeros_like(batch.static))
