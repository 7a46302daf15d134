"""Several predictors, each trained with one seed or more, ranked on identical rows and identical replicates.

    m_j   = mean over seeds of the metric of predictor j                  value, seed_sd beside it
    d_j   = m_j - m_reference,  d*_j the same within a replicate          difference
    z*_j  = (d*_j - d_j) / sd(d*_j),  q = 95 % quantile of max_j |z*_j|
    d_j +- q sd(d*_j)                                                     simultaneous interval

Intervals are from resampling patients: they say what other patients would change. What other seeds would change is
`seed_sd`, the standard deviation over the seeds; the error of the mean from that is seed_sd / sqrt(seeds).
A predictor is apart from the reference only where its simultaneous interval leaves out 0: it holds for all predictors
of a table at once (single-step max-t), where each interval of its own would err in 5 % of them.
Source: Romano & Wolf, JASA 100:94-108 (2005), doi 10.1198/016214504000000539.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.bootstrap import interval, replicate
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.rows import Target, rows_of, targets
from clinical_lstm.evaluation.scoring import require_thresholds

Key = tuple[str, float, str]  # complication, horizon, metric
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """One trained predictor on the rows of one split.

    Attributes:
        values: each metric of each target. replicates: the same (R,) with the patients drawn anew.
        counts: rows, stays and positive rows of each target.

    """

    values: dict[Key, float]
    replicates: dict[Key, np.ndarray]
    counts: dict[Target, dict[str, int]]


def sample(
    table: pl.DataFrame,
    name: str,
    threshold: Mapping[Target, float],
    replicates: int,
    seed: int,
    utility: bool,
) -> Sample:
    """Return AUROC, AUPRC and (where asked) the challenge utilities of the rows that `rows.scored` left, resampled."""
    require_thresholds(targets(table), threshold, name)
    values: dict[Key, float] = {}
    drawn: dict[Key, np.ndarray] = {}
    counts: dict[Target, dict[str, int]] = {}
    for target in targets(table):
        rows = rows_of(table, target)
        measures = Measures(rows, threshold[target], utility)
        counts[target] = rows.counts
        values |= {(*target, metric): value for metric, value in measures.compared().items()}
        found = replicate(measures.compared, measures.patients, replicates, seed)
        drawn |= {(*target, metric): found.get(metric, np.zeros(0)) for metric in measures.compared()}
    return Sample(values, drawn, counts)


def rank(samples: Mapping[str, Sequence[Sample]], reference: str) -> pl.DataFrame:
    """Return `schemas.Ranking`: every predictor x target x metric, and its paired difference from `reference`.

    `samples` holds one sample per seed of each predictor, all of the same rows, seed and replicates. Rank 1 is the
    highest mean over seeds. Raises InputError when the reference is none of them.

    >>> one = Sample({("death", 6.0, "auroc"): 0.8}, {("death", 6.0, "auroc"): np.array([0.7, 0.9])},
    ...              {("death", 6.0): {"n_rows": 9, "n_stays": 3, "n_positives": 2}})
    >>> rank({"lstm": [one], "gru": [one, one]}, "lstm").select("predictor", "value", "difference").rows()
    [('lstm', 0.8, None), ('gru', 0.8, 0.0)]
    """
    if reference not in samples:
        raise InputError(f"the reference {reference!r} is not compared; there are: {', '.join(samples)}")
    first = samples[reference][0]
    lines = [line for key in first.values for line in _lines(samples, reference, key)]
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Ranking).schema, orient="row")
    numbers = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    return schemas.check(schemas.Ranking, numbers, "the ranking")


def simultaneous_widths(differences: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Return half the widths (J,) of the simultaneous intervals around `differences` (J,); `replicates` are (J, R).

    NaN where half of the replicates are undefined; 0 where a difference never varies.

    >>> simultaneous_widths(np.zeros(1), np.arange(-50.0, 51.0)[None, :]).round(6).tolist()
    [48.0]
    """
    defined = replicates[:, np.isfinite(replicates).all(axis=0)]  # one class drawn: undefined for all of them
    if defined.shape[1] < 2 or 2 * defined.shape[1] < replicates.shape[1]:
        return np.full(len(differences), np.nan)
    spread = defined.std(axis=1, ddof=1)
    varies = spread > 0
    z = np.abs(defined - differences[:, None])[varies] / spread[varies, None]  # (J, R)
    return spread * (np.quantile(z.max(axis=0), CONFIDENCE) if varies.any() else 0.0)


def _lines(samples: Mapping[str, Sequence[Sample]], reference: str, key: Key) -> list[dict[str, Any]]:
    """Return one line per predictor for one target and metric."""
    value = {name: np.array([one.values[key] for one in own]) for name, own in samples.items()}
    drawn = {name: np.mean([one.replicates[key] for one in own], axis=0) for name, own in samples.items()}
    mean = {name: float(values.mean()) for name, values in value.items()}
    others = [name for name in samples if name != reference]
    difference = {name: mean[name] - mean[reference] for name in others}
    redrawn = {name: drawn[name] - drawn[reference] for name in others}
    widths: dict[str, float] = {}
    if others:
        stacked = np.stack(list(redrawn.values()))
        widths = dict(zip(others, simultaneous_widths(np.array(list(difference.values())), stacked).tolist()))
    shared = {"complication": key[0], "horizon_hours": key[1], "subset": "all", "metric": key[2]}
    shared |= {"reference": reference, "comparisons": len(others), **samples[reference][0].counts[key[:2]]}
    lines = []
    for name, values in value.items():
        low, high = interval(drawn[name])
        line = {"predictor": name, "seeds": len(values), "value": mean[name], "low": low, "high": high, **shared}
        line["rank"] = 1 + sum(other > mean[name] for other in mean.values()) if np.isfinite(mean[name]) else None
        line["seed_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
        if name in difference:
            middle, width = difference[name], widths[name]
            line["difference"] = middle
            line["difference_low"], line["difference_high"] = interval(redrawn[name])
            line["simultaneous_low"], line["simultaneous_high"] = middle - width, middle + width
        lines.append(line)
    return lines
