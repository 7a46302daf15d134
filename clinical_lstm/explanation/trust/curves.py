"""Do the observations that the attributions put first move the logit first?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.hiding import unobserve
from clinical_lstm.explanation.trust.asked import Asked, by_observation, logits
from clinical_lstm.explanation.trust.ranks import interval
from clinical_lstm.explanation.trust.verdicts import Verdict, undecided, verdict
from clinical_lstm.models.base import SequenceModel

SHARES = np.linspace(0, 1, 11)


def deletion_insertion(
    model: SequenceModel, batches: Sequence[Asked], found: Sequence[Explanation], orders: int = 10, seed: int = 0
) -> Verdict:
    """Return how the logit falls while observations are hidden, and rises while they are shown, most positive first.

        F(q)     logit with the share q of the observations hidden (shown), in the falling order of attribution      (1)
        area     = integral of F(q) over q in 0..1, by trapezia at q = 0, 0.1, ..., 1                                (2)
        deletion = area of random orders - area of (1) hiding;   insertion = area of (1) showing - area of random    (3)

    Hidden means never made (`unobserve`): the value before is carried on, mask 0, time-since growing. Attributions are
    those of whole observations (`by_observation`), with their signs: by absolute size, what raises and what lowers the
    logit would be hidden together and cancel. Random is the mean of `orders` orders of the same prediction; an order
    read backwards is as random, so it serves both. Passed when both gains (3) are above 0 by the 95 % interval of their
    mean over predictions. Predictions with fewer than 2 observations are left out.

    Source: Petsiuk, Das & Saenko, RISE, BMVC 2018, arXiv 1806.07421.
    """
    rule = "deletion and insertion gain > 0: the 95 % intervals of the mean over predictions exclude 0"
    generator = np.random.default_rng(seed)
    parts = [_curves(model, asked, one, orders, generator) for asked, one in zip(batches, found)]
    own, shown, chance = (np.concatenate(list(curves)) for curves in zip(*parts)) if parts else (np.zeros((0, 11)),) * 3
    if len(own) < 2:
        return undecided(rule, "fewer than two predictions have two observations", n=len(own))
    deletion, insertion = (_area(chance) - _area(own)), (_area(shown) - _area(chance[:, ::-1]))  # (3)
    gains = {name: (float(gain.mean()), *interval(gain, seed)) for name, gain in zip(NAMES, (deletion, insertion))}
    passed = all(low > 0 for _, low, _ in gains.values())
    told = [f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in gains.values()]
    finding = (
        f"Hiding observations in the order of their attributions lowers the logit by {told[0]} more than hiding them "
        f"at random, showing them raises it by {told[1]} more (mean over the way)."
    )
    numbers = {f"{name}_{k}": v for name, gain in gains.items() for k, v in zip(("gain", "low", "high"), gain)}
    start = own[:, :1]  # every prediction's own logit
    return verdict(
        passed,
        rule,
        finding,
        n=len(own),
        orders=orders,
        **numbers,
        shares=SHARES,
        deletion=(own - start).mean(axis=0),
        insertion=(shown - start).mean(axis=0),
        random_deletion=(chance - start).mean(axis=0),
    )


NAMES = ("deletion", "insertion")


def _area(curves: np.ndarray) -> np.ndarray:
    """Return (2) of every curve (n, 11)."""
    return np.trapezoid(curves, SHARES, axis=1)


def _curves(
    model: SequenceModel, asked: Asked, found: Explanation, orders: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (1) hiding, showing, and the mean of random orders hiding, (n, 11) each, of a batch's predictions."""
    share, shape = by_observation(found, asked), asked.batch.mask.shape
    step = torch.arange(shape[1], device=asked.step.device)
    seen = ((asked.batch.mask > 0) & (step <= asked.step[:, None])[:, :, None]).cpu().numpy()  # (B, T, V)
    rows, hidden = [], []
    for row in range(shape[0]):
        at = np.flatnonzero(seen[row])
        if len(at) < 2:
            continue
        falling = at[np.argsort(-share[row].ravel()[at], kind="stable")]
        ways = [falling, falling[::-1], *(generator.permutation(at) for _ in range(orders))]
        rows.append(row)
        hidden.append(_steps(ways, shape[1] * shape[2]))
    if not rows:
        return (np.zeros((0, len(SHARES))),) * 3  # type: ignore[return-value]
    curves = np.stack([_logits(model, asked, row, cells) for row, cells in zip(rows, hidden)])  # (n, ways, 11)
    # hiding from the lowest on, read backwards, is showing from the highest on
    return curves[:, 0], curves[:, 1, ::-1], curves[:, 2:].mean(axis=1)


def _steps(ways: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return which cells are hidden (ways, 11, size) at every share of every order."""
    rank = np.full((len(ways), size), size)
    for way, own in zip(ways, rank):
        own[way] = np.arange(len(way))
    return rank[:, None] < np.round(SHARES * len(ways[0]))[None, :, None]


def _logits(model: SequenceModel, asked: Asked, row: int, hidden: np.ndarray) -> np.ndarray:
    """Return the logits (ways, 11) of the prediction `row` without the cells `hidden` (ways, 11, T V)."""
    device = asked.step.device
    cells = torch.from_numpy(hidden.reshape(-1, *asked.batch.mask.shape[1:])).to(device)  # (n, T, V)
    one = asked.select(torch.full((len(cells),), row, device=device))
    return logits(model, one._replace(batch=unobserve(one.batch, cells))).reshape(hidden.shape[:2])
