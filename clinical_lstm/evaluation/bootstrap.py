"""The patient-clustered bootstrap: how often each patient is drawn, and the interval that the replicates give."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

Measure = Callable[[np.ndarray | None], Mapping[str, float]]
TAILS = [0.025, 0.975]
FEWEST_DEFINED = 0.5  # share of replicates in which a metric must exist for its interval to mean anything


def draws(patients: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """Yield for each replicate how often each patient (patients,) was drawn, with replacement.

    Replicate r depends on (seed, r) and the number of patients only, so two predictors on the same rows see the same
    replicates: their differences are paired.

    >>> [float(count.sum()) for count in draws(3, 2, seed=0)]
    [3.0, 3.0]
    """
    for replicate in range(replicates):
        drawn = np.random.default_rng([seed, replicate]).integers(patients, size=patients)
        yield np.bincount(drawn, minlength=patients).astype(np.float64)


def replicate(measure: Measure, patients: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """Return each metric's values (replicates,); `measure` maps how often each patient was drawn to metrics.

    Replicates are independent, so they run on all cores (numpy works outside the interpreter's lock), in fixed order.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(measure, draws(patients, replicates, seed)))
    return {name: np.array([result[name] for result in results]) for name in (results[0] if results else ())}


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
