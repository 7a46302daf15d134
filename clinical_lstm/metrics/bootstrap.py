"""The patient-clustered bootstrap: how often each patient is drawn, and the interval that the replicates give."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

Measure = Callable[[np.ndarray], Mapping[str, np.ndarray]]
TAILS = [0.025, 0.975]
CONFIDENCE = 0.95
FEWEST_DEFINED = 0.5  # share of replicates in which a metric must exist for its interval to mean anything
TOGETHER = 64  # replicates at once: their sums stay in the processor's cache


def draws(patients: int, replicates: int, seed: int) -> list[np.ndarray]:
    """Return how often each patient was drawn, with replacement, in blocks (patients, <= 64) uint8 of replicates.

    Replicate r depends on (seed, r) and the number of patients only: predictors and subgroups of the same patients see
    the same replicates, so that their differences are paired.

    >>> [block.sum(axis=0).tolist() for block in draws(3, 2, seed=0)]
    [[3, 3]]
    """
    blocks = []
    for begin in range(0, replicates, TOGETHER):
        block = np.empty((patients, min(TOGETHER, replicates - begin)), np.uint8)
        for column in range(block.shape[1]):
            drawn = np.random.default_rng([seed, begin + column]).integers(patients, size=patients)
            block[:, column] = np.bincount(drawn, minlength=patients)
        blocks.append(block)
    return blocks


def replicate(measure: Measure, blocks: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return each metric's values (replicates,); `measure` maps a block of `draws` to a value for each of its columns.

    Blocks are independent, so they run on all cores (numpy works outside the interpreter's lock), in fixed order.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda block: measure(block.astype(np.float64)), blocks))
    return {name: np.concatenate([block[name] for block in found]) for name in (found[0] if found else ())}


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of the defined replicates; (NaN, NaN) where half of them are undefined.

    Source: Efron & Tibshirani, Stat Sci 1:54-75 (1986), doi 10.1214/ss/1177013815.

    >>> interval(np.arange(101.0))
    (2.5, 97.5)
    """
    defined = values[np.isfinite(values)]
    if len(defined) == 0 or len(defined) < FEWEST_DEFINED * len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, TAILS)
    return float(low), float(high)


def intervals(values: np.ndarray) -> np.ndarray:
    """Return `interval` of every row of `values` (J, R) as (2, J): low, high.

    >>> intervals(np.stack([np.arange(101.0), np.full(101, np.nan)])).tolist()
    [[2.5, nan], [97.5, nan]]
    """
    found = np.empty((2, len(values)))
    defined = np.isfinite(values)
    whole = defined[:, defined.any(axis=0)].all(axis=1)  # where rows lack the same replicates, they go together
    part = values[whole][:, defined.any(axis=0)]
    enough = part.shape[1] > 0 and part.shape[1] >= FEWEST_DEFINED * values.shape[1]
    found[:, whole] = np.quantile(part, TAILS, axis=1) if enough else np.nan
    for row in np.flatnonzero(~whole):
        found[:, row] = interval(values[row])
    return found


def error_interval(values: np.ndarray, value: float) -> tuple[float, float]:
    """Return the interval of a metric that noise can only raise (a calibration error): moved by its own bias.

        bias = mean of the replicates - value,    [low - bias, high - bias], not below 0

    A replicate has the noise of the sample and that of drawing from it; the plain interval can lie above the value.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 10, doi 10.1201/9780429246593.

    >>> error_interval(np.arange(101.0), 40.0)
    (0.0, 87.5)
    """
    low, high = interval(values)
    bias = float(np.mean(values[np.isfinite(values)])) - value if np.isfinite(low) else 0.0
    return (max(low - bias, 0.0), max(high - bias, 0.0)) if np.isfinite(low) else (low, high)


def simultaneous_widths(differences: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Return half the widths (J,) of the simultaneous intervals around `differences` (J,); `replicates` are (J, R).

    NaN where half of a difference's replicates are undefined (it takes no part then); 0 where it never varies. An
    undefined replicate of one difference says nothing about the others.

    >>> simultaneous_widths(np.zeros(1), np.arange(-50.0, 51.0)[None, :]).round(6).tolist()
    [48.0]
    """
    defined = np.isfinite(replicates)
    found = defined.sum(axis=1)
    known = (found > 1) & (found >= FEWEST_DEFINED * replicates.shape[1])
    widths = np.full(len(differences), np.nan)
    if not known.any():
        return widths
    drawn = np.where(defined, replicates, np.nan)[known]
    spread = np.nanstd(drawn, axis=1, ddof=1)
    away = np.abs(drawn - differences[known, None])
    varies = defined[known] & (spread[:, None] > 0)
    z = np.divide(away, spread[:, None], out=np.zeros_like(away), where=varies)  # (J, R)
    widths[known] = spread * np.quantile(z.max(axis=0)[defined[known].any(axis=0)], CONFIDENCE)
    return widths
