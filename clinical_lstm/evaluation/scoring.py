"""Every metric of every predictor on every subset, with a patient-clustered 95 % interval; and their differences.

All predictors are judged on the same rows and the same replicates, so a difference of two of them, or of two subgroups,
is the difference of their values replicate by replicate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.evaluation.curves import curves_of, reliability_of
from clinical_lstm.evaluation.differences import differences, require_same_rows
from clinical_lstm.evaluation.gaps import gaps
from clinical_lstm.evaluation.measures import ERRORS, Measures
from clinical_lstm.evaluation.operation import Operation, require_operation
from clinical_lstm.evaluation.protocol import Protocol
from clinical_lstm.evaluation.rows import Rows, Target, labelled, rows_of, targets, together
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.evaluation.subgroups import Part, parts
from clinical_lstm.evaluation.waiting import time_to_event_sample
from clinical_lstm.metrics.bootstrap import draws, error_interval, interval, replicate

NAN = float("nan")


class Judged(NamedTuple):
    """A predictor: `schemas.Predictions`, and per target how it is operated."""

    table: pl.DataFrame
    operation: Mapping[Target, Operation]


class Evaluated(NamedTuple):
    """What an evaluation finds: `schemas.Scores`, `schemas.Curves`, `schemas.Gaps`."""

    scores: pl.DataFrame
    curves: pl.DataFrame
    gaps: pl.DataFrame


def evaluate(judged: Mapping[str, Judged], stays: pl.DataFrame, protocol: Protocol) -> Evaluated:
    """Return scores, curves and subgroup gaps of predictors on identical rows.

    Scored are the rows of the split at risk with a known label. The first predictor is compared with each other
    ("first - other") and judged on every subgroup; the others on all rows and on those before onset. Values that the
    rows do not define (one class) are null, with their counts.

    `stays`: stay_id and static variables. Raises InputError on a table that breaks its contract, a split without rows,
    a target without a threshold, predictors with different rows.
    """
    everyone = together(
        {name: labelled(one.table, protocol.split, f"the predictions of {name}") for name, one in judged.items()}
    )
    tables = {name: table.filter("at_risk") for name, table in everyone.items()}
    first = next(iter(judged))
    for name, one in judged.items():
        require_operation(targets(tables[name]), one.operation, name)
        require_same_rows(tables[first], tables[name], (first, name))
    lines: list[dict[str, Any]] = []
    curves, unequal = [], []
    for target in targets(tables[first]):
        key = {"complication": target[0], "horizon_hours": target[1]}
        rows = {name: rows_of(table, target) for name, table in tables.items()}
        blocks = draws(rows[first].patients, protocol.replicates, protocol.seed)
        samples: dict[tuple[str, str], Sample] = {}
        for name, own in rows.items():
            asked = protocol.subgroups if name == first else ()
            operation = judged[name].operation[target]
            for part in parts(own, stays, asked):
                sample = samples[name, part.name] = _sample(own, part, operation, blocks, protocol)
                subset = key | {"predictor": name, "subset": part.name}
                lines += _lines(subset, sample)
                if part.dimension and sample.replicates:
                    curves.append(reliability_of(own.where(part.mask), subset))
            waiting = time_to_event_sample(everyone[name], target, blocks)
            lines += _lines(key | {"predictor": name, "subset": "all"}, waiting) if waiting else ()
            drawn = blocks if name == first else ()
            curves.append(curves_of(own, key | {"predictor": name, "subset": "all"}, operation, drawn))
        for line in differences(samples, rows, first):
            lines.append(key | line)
        unequal.append(gaps(samples, parts(rows[first], stays, protocol.subgroups), first, key))
    return Evaluated(scores_table(lines), pl.concat(curves), pl.concat(unequal))


def scores_table(lines: list[dict[str, Any]]) -> pl.DataFrame:
    """Return lines of scores as `schemas.Scores`, NaN as null."""
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Scores).schema, orient="row")
    return schemas.check(schemas.Scores, table.with_columns(pl.col("value", "low", "high").fill_nan(None)), "scores")


def _sample(rows: Rows, part: Part, operation: Operation, blocks: Sequence[np.ndarray], protocol: Protocol) -> Sample:
    """Return the metrics of a part of the rows, undefined where too few patients are behind them."""
    own = rows if part.mask.all() else rows.where(part.mask)
    measures = Measures(own, operation, protocol.utility, whole_stays=part.dimension != "hours")
    values = measures()
    if part.dimension and _rarer(own) < protocol.least_patients:
        return Sample(dict.fromkeys(values, NAN), {}, own.counts)
    return Sample(values, replicate(measures, blocks), own.counts)


def _rarer(rows: Rows) -> int:
    """Return the number of patients with a positive row, or of those without one: the smaller of both."""
    with_event = len(np.unique(rows.patient[rows.label == 1]))
    return min(with_event, len(np.unique(rows.patient)) - with_event)


def _lines(key: dict[str, Any], sample: Sample) -> Iterator[dict[str, Any]]:
    for metric, value in sample.values.items():
        drawn = sample.replicates.get(metric, np.zeros(0))
        low, high = error_interval(drawn, value) if metric in ERRORS else interval(drawn)
        yield key | {"metric": metric, "value": value, "low": low, "high": high, **sample.counts}
