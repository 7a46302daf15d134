"""Expected gradients: why this risk, and not that of other stays at the same hour."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.paths import AdaptivePaths
from clinical_lstm.lookback import EDGE_HOURS
from clinical_lstm.models.base import SequenceModel

SAME_TIME_HOURS = 1e-3  # hours are 32-bit numbers
SHARES = ["values", "mask", "delta", "static"]


class ExpectedGradients:
    """Attribute a logit F(x) to the inputs x against the stays x'_1 ... x'_R of a reference cohort.

        A_i = mean over r of A_i(x'_r -> x),   A_i(x' -> x) by the refined straight path (`paths`)                   (1)
        sum_i A_i = F(x) - mean over r of F(x'_r)                                                                    (2)

    Each path is refined until it is complete by itself; the gap is the mean of its R bounds, and `baseline_logit` the
    mean in (2). The published method draws one random point of each of many paths, for which (2) holds on average only.

    A reference is read at the hours since admission of the stay that is explained: its value, whether it was observed
    since the stay's step before, and the time since. A reference that ended before is held as it was: values carried
    on, masks 0, the time since growing; before its first step it has nothing observed. A variable that the stay never
    measured has a share when the references measured it: not measuring it is then a difference.

    Source: Erion et al., Improving performance of deep learning models with axiomatic attribution priors and expected
    gradients, Nature Machine Intelligence 3:620-631 (2021), doi 10.1038/s42256-021-00343-w.

    Args:
        references: number of reference stays R; the cost is R times that of integrated gradients.
        seed: of their choice.
        tolerance: largest gap in logits that counts as explained.
        nodes: Gauss-Legendre nodes of a part.
        min_depth: halvings that every path gets.
        max_depth: halvings (32-bit inputs resolve 16) after which a part is taken as it is, its prediction unexplained.
        max_evaluations: model evaluations after which a path gets one more round and is given up in the same way.
        batch_steps: rows x steps of one backward pass; 3072 stay in the cache of a core, a GPU wants 100 times more.

    """

    def __init__(
        self,
        references: int = 16,
        seed: int = 0,
        tolerance: float = 0.01,
        nodes: int = 4,
        min_depth: int = 3,
        max_depth: int = 16,
        max_evaluations: int = 4000,
        batch_steps: int = 3072,
    ) -> None:
        if references < 1 or seed < 0:
            raise InputError(f"references = {references} must be at least 1 and seed = {seed} at least 0")
        self.references, self.seed, self.tolerance = references, seed, tolerance
        self.paths = AdaptivePaths(tolerance, nodes, min_depth, max_depth, max_evaluations, batch_steps)
        self.cohort: Batch | None = None
        self.lookback_hours = math.inf

    def inform(self, lookback_hours: float | None, stays: int, show: Callable[[np.ndarray], Batch]) -> None:
        """Draw the reference stays, all of them where there are fewer than `references`; see `base.Informed`.

        With a lookback the references, too, show only what was measured in it. Raises InputError without any stay.
        """
        if stays < 1:
            raise InputError("there is no stay to compare with; expected_gradients needs at least 1 reference stay")
        drawn = np.random.default_rng(self.seed).choice(stays, min(self.references, stays), replace=False)
        self.cohort = show(np.sort(drawn))
        self.lookback_hours = math.inf if lookback_hours is None else lookback_hours

    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        """Return the attributions of the logits `model(batch)[b, step[b], target[b]]`, as `Explainer` asks.

        Raises InputError before `inform`, when the references have other variables than the batch, when the model is in
        training mode, or when its logits are not finite.
        """
        if self.cohort is None:
            raise InputError("expected_gradients has no reference stays yet; call inform with them first")
        cohort = self.cohort.to(batch.hours.device)
        sizes = [(part.values.shape[2], part.static.shape[1]) for part in (cohort, batch)]
        if sizes[0] != sizes[1]:
            raise InputError(f"the reference stays have {sizes[0]} (variables, statics), the explained ones {sizes[1]}")
        since = batch.hours.double().gather(1, step.to(batch.hours.device)[:, None]) - self.lookback_hours  # (B, 1)
        total = None
        for row in range(len(cohort.lengths)):
            found = self.paths(model, batch, _read(cohort, row, batch, since), step, target)
            total = found if total is None else _added(total, found)
        assert total is not None  # inform has seen to it
        return self._mean(total, len(cohort.lengths))

    def _mean(self, total: Explanation, count: int) -> Explanation:
        """Return (1) from the sum over the references; of the evaluations the sum is left."""
        summed = [*SHARES, "baseline_logit", "gap"]
        found = total._replace(**{name: getattr(total, name) / count for name in summed})
        return found._replace(explained=found.gap < self.tolerance)


def _added(total: Explanation, found: Explanation) -> Explanation:
    summed = [*SHARES, "baseline_logit", "gap", "evaluations"]
    return total._replace(**{name: getattr(total, name) + getattr(found, name) for name in summed})


def _read(cohort: Batch, row: int, batch: Batch, since: Tensor) -> Batch:
    """Return `batch` with the inputs of the reference `row`, read at its hours (B, T).

        u_t = last step of the reference that ends at or before hour t                 before its first: nothing     (1)
        value_t = value_{u_t},   delta_t = delta_{u_t} + (t - hours_{u_t})                                           (2)
        mask_t = 1 where a step in (u_{t-1}, u_t] had an observation                                                 (3)

    Only what was stamped after `since` (B, 1; hours) is seen, as in a window of the stay that is explained.
    """
    length = int(cohort.lengths[row])
    values, mask, delta, ends = (part[row, :length] for part in cohort[:4])  # (U, V), ends (U,)
    hours = batch.hours.double()  # (B, T)
    inside = torch.arange(hours.shape[1], device=hours.device) < batch.lengths[:, None]  # (B, T)
    count = torch.searchsorted(ends.double(), hours + SAME_TIME_HOURS, right=True) * inside  # (B, T): u_t + 1
    at = (count - 1).clamp_min(0)  # 1
    waited = delta[at] + (hours - ends[at].double()).clamp_min(0).float()[:, :, None]  # (B, T, V): 2
    made = torch.cat([torch.zeros_like(mask[:1]), mask.cumsum(0)])  # (U + 1, V) observations so far
    before = torch.cat([torch.zeros_like(count[:, :1]), count[:, :-1]], dim=1)
    fresh = made[count] > made[before]  # 3
    seen = (made[count] > 0) & (hours[:, :, None] - waited > since[:, :, None] + EDGE_HOURS)
    never = (hours * inside).float()[:, :, None].expand_as(waited)
    return batch._replace(
        values=torch.where(seen, values[at], 0),
        mask=(seen & fresh).to(batch.mask),
        delta=torch.where(seen, waited, never),
        static=cohort.static[row].expand_as(batch.static),
    )
