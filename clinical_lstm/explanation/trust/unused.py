"""Does what a prediction cannot have used get exactly nothing?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explanation.trust.asked import Asked
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict


def unused(
    batches: Sequence[Asked], found: Sequence[Explanation], causal: bool = True, others: bool = False
) -> Verdict:
    """Return how many variables never observed up to the prediction, and steps after it, have an attribution.

    Passed when there is none: 0 to the last bit. A model that is not `causal` may use every step it is shown. Where
    `others` (the stays of a cohort) are compared with, a variable never observed may count: they had it. Then steps
    alone are judged.
    """
    rule = "0 variables never observed up to the prediction, and 0 steps after it, with an attribution other than 0"
    pairs = variables = steps = 0
    for asked, explanation in zip(batches, found):
        moved = (explanation.values != 0) | (explanation.mask != 0) | (explanation.delta != 0)  # (B, T, V)
        step = torch.arange(moved.shape[1], device=asked.step.device)
        before = ((step <= asked.step[:, None]) if causal else (step < asked.batch.lengths[:, None])).cpu().numpy()
        seen = (asked.batch.mask > 0).cpu().numpy() & before[:, :, None]
        never = ~seen.any(axis=1)  # (B, V)
        pairs += int(never.sum())
        variables += int((never & moved.any(axis=1)).sum())
        steps += int((moved.any(axis=2) & ~before).sum())
    if not batches:
        return undecided(rule, "no prediction was explained")
    finding = f"Of {pairs} variables never observed before a prediction, {variables} have an attribution"
    finding += f"; so have {steps} steps after a prediction." if steps else "."
    if others:
        rule = "0 steps after the prediction with an attribution other than 0"
        finding = (
            f"{steps} steps after a prediction have an attribution. Of {pairs} variables never observed {variables} "
            "have one: the stays compared with had measured them."
        )
    n, violations = sum(len(asked.step) for asked in batches), steps + (0 if others else variables)
    return verdict(violations == 0, rule, finding, n=n, n_never_observed=pairs, violations=violations)
