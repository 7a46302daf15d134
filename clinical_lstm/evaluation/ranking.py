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
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.operation import Operation, require_operation
from clinical_lstm.evaluation.protocol import Protocol
from clinical_lstm.evaluation.rows import Target, rows_of, targets
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.metrics.bootstrap import draws, interval, replicate, simultaneous_widths

Samples = Mapping[Target, Sample]


def sample_all(table: pl.DataFrame, name: str, operation: Mapping[Target, Operation], protocol: Protocol) -> Samples:
    """Return, per target, what predictors are compared on, of the rows that `rows.scored` left, resampled."""
    require_operation(targets(table), operation, name)
    found = {}
    for target in targets(table):
        rows = rows_of(table, target)
        measures = Measures(rows, operation[target], protocol.utility, compared=True)
        drawn = replicate(measures, draws(rows.patients, protocol.replicates, protocol.seed))
        found[target] = Sample(measures(), drawn, rows.counts)
    return found


def rank(samples: Mapping[str, Sequence[Samples]], reference: str) -> pl.DataFrame:
    """Return `schemas.Ranking`: every predictor x target x metric, and its paired difference from `reference`.

    `samples` holds one sample per seed of each predictor, all of the same rows, seed and replicates. Rank 1 is the
    highest mean over seeds. Raises InputError when the reference is none of them.

    >>> counts = {"n_rows": 9, "n_stays": 3, "n_positives": 2}
    >>> one = {("death", 6.0): Sample({"auroc": 0.8}, {"auroc": np.array([0.7, 0.9])}, counts)}
    >>> rank({"lstm": [one], "gru": [one, one]}, "lstm").select("predictor", "value", "difference").rows()
    [('lstm', 0.8, None), ('gru', 0.8, 0.0)]
    """
    if reference not in samples:
        raise InputError(f"the reference {reference!r} is not compared; there are: {', '.join(samples)}")
    first = samples[reference][0]
    keys = [(target, metric) for target, sample in first.items() for metric in sample.values]
    lines = [line for target, metric in keys for line in _lines(samples, reference, target, metric)]
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Ranking).schema, orient="row")
    numbers = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    return schemas.check(schemas.Ranking, numbers, "the ranking")


def _lines(
    samples: Mapping[str, Sequence[Samples]], reference: str, target: Target, metric: str
) -> list[dict[str, Any]]:
    """Return one line per predictor for one target and metric."""
    value = {name: np.array([one[target].values[metric] for one in own]) for name, own in samples.items()}
    drawn = {
        name: np.mean([one[target].replicates.get(metric, np.zeros(0)) for one in own], axis=0)
        for name, own in samples.items()
    }
    mean = {name: float(values.mean()) for name, values in value.items()}
    others = [name for name in samples if name != reference]
    difference = {name: mean[name] - mean[reference] for name in others}
    redrawn = {name: drawn[name] - drawn[reference] for name in others}
    widths: dict[str, float] = {}
    if others:
        stacked = np.stack(list(redrawn.values()))
        widths = dict(zip(others, simultaneous_widths(np.array(list(difference.values())), stacked).tolist()))
    shared = {"complication": target[0], "horizon_hours": target[1], "subset": "all", "metric": metric}
    shared |= {"reference": reference, "comparisons": len(others), **samples[reference][0][target].counts}
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
