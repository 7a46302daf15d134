"""Where the truth is known: do the attributions put the variables and hours that made the risk first?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explanation.trust.asked import Asked, by_observation, by_variable
from clinical_lstm.explanation.trust.ranks import interval
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict


def precision_at_k(score: np.ndarray, planted: np.ndarray) -> np.ndarray:
    """Return, per row (n,), the share of planted entries among the k highest scores, k = planted entries of the row.

    `score` and `planted` (bool) are (n, m). Entries tied at the edge count with the share of planted ones among them,
    what a random choice of them gets on average. NaN where nothing is planted.

    >>> precision_at_k(np.array([[3.0, 2.0, 1.0], [0.0, 0.0, 0.0]]), np.array([[1, 0, 1], [1, 0, 0]], dtype=bool))
    array([0.5       , 0.33333333])
    """
    found = np.full(len(score), np.nan)
    for row, (own, true) in enumerate(zip(score, planted)):
        if not (k := int(true.sum())):
            continue
        edge = np.sort(own)[-k]
        above, tied = own > edge, own == edge
        found[row] = (true[above].sum() + (k - above.sum()) * true[tied].mean()) / k
    return found


def recovery(
    batches: Sequence[Asked],
    found: Sequence[Explanation],
    variables: Sequence[str],
    planted: Collection[str],
    hours_back: tuple[float, float],
    seed: int = 0,
) -> Verdict:
    """Return how well attributions find the `planted` variables, and their observations in the planted hours.

        first:     precision@k of mean over predictions of |sum over time and channels|, k = planted variables       (1)
        variables: precision@k of |sum over time and channels| of a prediction                                       (2)
        cells:     precision@k of |whole observations| (`by_observation`) of a prediction, k = its observations of
                   planted variables in (t - b, t - a], `hours_back` = (a, b) before the prediction time t           (3)

    `variables` names the V measured variables. Passed when (1) is 1, the planted variables come first, and (2) and (3)
    are above what a random order gets (the share planted) by the 95 % interval of their mean over predictions. Fair
    where the planted signal was strong: a prediction in which nothing happened is made of noise.
    """
    rule = "planted variables first over all predictions; precision@k of variables and cells above chance in each"
    if not batches:
        return undecided(rule, "no prediction was explained")
    score = np.concatenate([np.abs(by_variable(one)) for one in found])  # (n, V + S)
    true = np.isin(np.arange(score.shape[1]), [k for k, name in enumerate(variables) if name in planted])
    first = precision_at_k(score.mean(axis=0)[None], true[None])[0]  # (1)
    scores = {
        "variables": (
            precision_at_k(score, np.broadcast_to(true, score.shape)),
            np.full(len(score), true.mean()),
        ),  # (2)
        "cells": _cells(batches, found, true[: len(variables)], hours_back),  # (3)
    }
    passed, told = first == 1, []
    numbers: dict[str, float | int] = {"first": first}
    for name, (precision, chance) in scores.items():
        known = ~np.isnan(precision)
        if known.sum() < 2:
            return undecided(rule, f"fewer than two predictions have planted {name}")
        mean, (low, high), luck = precision[known].mean(), interval(precision[known], seed), chance[known].mean()
        passed &= low > luck
        told.append(f"{mean:.2f} of the top {name} are planted ({low:.2f} to {high:.2f}; by chance {luck:.2f})")
        numbers |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_chance": luck}
        numbers |= {f"n_{name}": int(known.sum())}
    finding = f"{first:.2f} of the variables ranked first over all predictions are planted; in each, {', '.join(told)}."
    return verdict(bool(passed), rule, finding, planted=sorted(planted), hours_back=hours_back, **numbers)


def _cells(
    batches: Sequence[Asked], found: Sequence[Explanation], planted: np.ndarray, hours_back: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (3) and its chance, per prediction; only what was observed up to the prediction competes.

    `planted` (V,) says which variables are.
    """
    precision, chance = [], []
    least, most = hours_back
    for asked, one in zip(batches, found):
        score = np.abs(by_observation(one, asked))  # (B, T, V)
        hours, mask = asked.batch.hours.double().cpu().numpy(), (asked.batch.mask > 0).cpu().numpy()
        for row, at in enumerate(asked.step.cpu().numpy()):
            seen = mask[row, : at + 1]  # (t, V)
            back = hours[row, at] - hours[row, : at + 1]
            true = ((back >= least) & (back < most))[:, None] & planted  # (t, V)
            precision.append(precision_at_k(score[row, : at + 1][seen][None], true[seen][None])[0])
            chance.append(true[seen].mean() if seen.any() else np.nan)
    return np.array(precision), np.array(chance)
