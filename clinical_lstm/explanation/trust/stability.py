"""Do the attributions hold when the measurements shake a little?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.explanation.trust.asked import Asked, by_variable, cells, explained_by
from clinical_lstm.explanation.trust.ranks import cosine, spearman, used
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.inputs.disturbance import shake

LEAST, SHARE = 0.9, 0.9


def stability(
    model: SequenceModel,
    explainer: Explainer,
    batches: Sequence[Asked],
    deviation: float = 0.05,
    seed: int = 0,
) -> Verdict:
    """Return how alike attributions are when every measured value gets Gaussian noise.

    The noise has `deviation` train standard deviations, and is carried on with the value (`shake`). Per prediction:
    the cosine between the attributions of all cells, the rank correlation of the variables' contributions, and the
    change of the logit (what the model itself makes of the noise). Passed when the cosine is at least 0.9, four fifths
    of the squared attribution unchanged, in 90 % of the predictions: not in all, since noise turns what is near 0.
    """
    rule = f"cosine >= {LEAST} in at least {SHARE:.0%} of the predictions under noise of {deviation} sd"
    before = explained_by(explainer, model, batches)
    shaken = [_shaken(asked, deviation, seed + k) for k, asked in enumerate(batches)]
    after = explained_by(explainer, model, shaken)
    angle = _each(before, after, cells, cosine)
    ranks = _each(before, after, by_variable, lambda one, other: spearman(*used(one, other)))
    change = np.abs([b - a for old, new in zip(before, after) for a, b in zip(old.logit, new.logit)])
    known = angle[~np.isnan(angle)]
    if not len(known):
        return undecided(rule, "no prediction has attributions")
    (low, middle), alike = np.quantile(known, [0.1, 0.5]), float((known >= LEAST).mean())
    passed = alike >= SHARE
    finding = (
        f"Noise of {deviation} standard deviations on every measurement leaves the attributions "
        f"{'alike' if passed else f'unlike in {1 - alike:.0%} of the predictions'}: cosine {middle:.3f} in the median, "
        f"{low:.3f} or more in 90 % of them; logits move by {np.median(change):.2g}."
    )
    return verdict(
        passed,
        rule,
        finding,
        n=len(known),
        deviation=deviation,
        cosine_median=middle,
        cosine_p10=low,
        share_alike=alike,
        rank_correlation_median=np.nanmedian(ranks) if not np.isnan(ranks).all() else float("nan"),
        logit_change_median=np.median(change),
        logit_change_p95=np.quantile(change, 0.95),
    )


def _shaken(asked: Asked, deviation: float, seed: int) -> Asked:
    """Return the predictions with noise on their values, drawn on the CPU: the same bits on every device."""
    batch = asked.batch.to("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        values = shake(batch, deviation).values
    return asked._replace(batch=asked.batch._replace(values=values.to(asked.batch.values.device)))


def _each(
    before: Sequence[Explanation],
    after: Sequence[Explanation],
    vectors: Callable[[Explanation], Iterable[np.ndarray]],
    measure: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    """Return the measure of every prediction (n,) between its vectors before and after."""
    pairs = ((one, other) for old, new in zip(before, after) for one, other in zip(vectors(old), vectors(new)))
    return np.array([measure(one, other) for one, other in pairs])
