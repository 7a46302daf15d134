"""Do the attributions depend on what the model has learned?"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.explanation.trust.asked import Asked, cells, explained_by
from clinical_lstm.explanation.trust.ranks import spearman, used
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict
from clinical_lstm.models.base import SequenceModel

SAME = 0.99  # rank correlation with the attributions under the same weights: 1 but for the order of sums
SIGNED = 0.5  # of signed attributions: 0 is expected, since new weights push a logit up as often as down
MARGIN, MOST = 0.15, 0.9  # of |attributions|: above what two untrained models have in common, and in any case


def redrawn(model: SequenceModel, seed: int, only: Iterable[str] | None = None) -> SequenceModel:
    """Return a copy of the model whose weights are dealt anew: every tensor keeps its numbers, in random places.

    So all layers keep their scale and lose what they learned. `only`: the children (`named_children`) to redraw.
    """
    copied, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    children = None if only is None else set(only)
    with torch.no_grad():
        for name, weight in copied.named_parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            if children is None or name.split(".")[0] in children:
                weight.copy_(weight.flatten()[order].view_as(weight))
    return copied.eval()


def randomisation(
    model: SequenceModel, explainer: Explainer, batches: Sequence[Asked], draws: int = 4, seed: int = 0
) -> Verdict:
    """Return how alike attributions are under the trained and under `draws` sets of re-drawn weights.

        rho(A, B) = rank correlation of |A| and |B| over all cells (step, variable, channel) that either uses        (1)
        same      = rho(A, A computed again under the same weights)                                                  (2)
        collapsed = mean over draws of rho(A, A under new weights)                                                   (3)
        floor     = mean over pairs of draws of rho(A under new weights, A under other new weights)                  (4)

    (3) does not fall to 0 in absolute size: an input that moved far from the baseline counts in any model. What inputs
    alone explain is (4), so (3) may be `MARGIN` above it, and below `MOST` in any case (an explainer that does not ask
    the model has 1 in all of them). With their signs, which inputs do not decide, attributions must lose all
    likeness. (2) must be 1. Medians over predictions. `cascade` redraws the model's children from the head down.

    Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, arXiv 1810.03292.
    """
    rule = (
        f"same weights >= {SAME}; re-drawn weights: rank correlation of |attribution| <= min({MOST}, that between two "
        f"re-drawn models + {MARGIN}), of signed attributions within +-{SIGNED}"
    )
    if not batches:
        return undecided(rule, "no prediction was explained")
    trained = _all(explainer, model, batches)
    same = _median([_alike(trained, _all(explainer, copy.deepcopy(model), batches))])
    drawn = [_all(explainer, redrawn(model, seed + k), batches) for k in range(draws)]
    collapsed, signed = (_median([_alike(trained, other, sign) for other in drawn]) for sign in (False, True))
    floor = _median([_alike(one, other) for k, one in enumerate(drawn) for other in drawn[:k]])
    if np.isnan([same, collapsed, signed, floor]).any():
        return undecided(rule, "too few cells are attributed anything", n=len(trained))
    one_sided = all((prediction >= 0).all() for prediction in trained)  # then signs say nothing
    limit = min(MOST, floor + MARGIN)
    passed = same >= SAME and collapsed <= limit and (one_sided or abs(signed) <= SIGNED)
    finding = (
        f"Under re-drawn weights the attributions keep a rank correlation of {collapsed:.2f} with those of the trained "
        f"model ({signed:.2f} with signs); inputs alone explain {floor:.2f}. Under the same weights it is {same:.2f}."
    )
    return verdict(
        bool(passed),
        rule,
        finding,
        n=len(trained),
        draws=draws,
        same_weights=same,
        redrawn=collapsed,
        redrawn_signed=signed,
        between_redrawn=floor,
        limit=limit,
        cascade=_cascade(model, explainer, batches, trained, seed),
    )


def _cascade(
    model: SequenceModel, explainer: Explainer, batches: Sequence[Asked], trained: list[np.ndarray], seed: int
) -> list[dict[str, float | str]]:
    """Return (1) after redrawing the children with weights one after the other, the head first."""
    names = [name for name, child in model.named_children() if any(True for _ in child.parameters())]
    found: list[dict[str, float | str]] = []
    for count in range(1, len(names)):
        other = _all(explainer, redrawn(model, seed, names[-count:]), batches)
        found.append({"down_to": names[-count], "redrawn": _median([_alike(trained, other)])})
    return found


def _all(explainer: Explainer, model: SequenceModel, batches: Sequence[Asked]) -> list[np.ndarray]:
    """Return the attributions of all cells of every prediction."""
    found: list[Explanation] = explained_by(explainer, model, batches)
    return [prediction for explanation in found for prediction in cells(explanation)]


def _alike(one: list[np.ndarray], other: list[np.ndarray], signed: bool = False) -> np.ndarray:
    """Return (1) of every prediction (n,)."""
    pairs = (used(a, b) for a, b in zip(one, other))
    return np.array([spearman(a, b) if signed else spearman(np.abs(a), np.abs(b)) for a, b in pairs])


def _median(alike: list[np.ndarray]) -> float:
    """Return the median over predictions of the mean over comparisons; NaN where no prediction has all of them."""
    means = np.mean(alike, axis=0) if alike else np.array([])
    means = means[~np.isnan(means)]
    return float(np.median(means)) if len(means) else float("nan")
