"""The scores of one predictor: every metric, on every subset, with a patient-clustered 95 % interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.bootstrap import interval, replicate
from clinical_lstm.evaluation.curves import curves_of
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.rows import Rows, Target, rows_of, scored, targets


def evaluate(
    predictions: pl.DataFrame,
    predictor: str,
    threshold: Mapping[Target, float],
    replicates: int = 1000,
    seed: int = 0,
    split: str = "test",
    utility: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the scores (`schemas.Scores`) and curves (`schemas.Curves`) of the risks in `predictions`.

    Scored are the rows of `split` at risk with a known label: all of them, those before onset, those of each site.
    `threshold` says per (complication, horizon) from which risk on to alarm. `utility` adds the score of the
    PhysioNet/CinC Challenge 2019. Values that the rows do not define (one class) are null, with their counts.
    Raises InputError on a table that breaks its contract, a split without rows, a target without a threshold.
    """
    table = scored(predictions, split, f"the predictions of {predictor}")
    found = targets(table)
    require_thresholds(found, threshold, predictor)
    lines: list[dict[str, Any]] = []
    points = []
    for target in found:
        rows = rows_of(table, target)
        key = {"predictor": predictor, "complication": target[0], "horizon_hours": target[1]}
        lines += [key | line for line in _score(rows, threshold[target], replicates, seed, utility)]
        points.append(curves_of(rows, key))
    return scores_table(lines), pl.concat(points)


def require_thresholds(found: list[Target], threshold: Mapping[Target, float], predictor: str) -> None:
    """Raise InputError unless every target has a threshold that is a number."""
    absent = [target for target in found if not np.isfinite(threshold.get(target, np.nan))]
    if absent:
        known = ", ".join(str(target) for target in threshold) or "none"
        raise InputError(f"{predictor} has no alarm threshold for {absent}; there are: {known}; choose them on val")


def scores_table(lines: list[dict[str, Any]]) -> pl.DataFrame:
    """Return lines of scores as `schemas.Scores`, NaN as null."""
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Scores).schema, orient="row")
    return schemas.check(schemas.Scores, table.with_columns(pl.col("value", "low", "high").fill_nan(None)), "scores")


def _score(rows: Rows, threshold: float, replicates: int, seed: int, utility: bool) -> Iterator[dict[str, Any]]:
    whole: list[dict[str, Any]] = []
    for name, mask in rows.subsets():
        if mask.all() and whole:  # a single site, or nothing after onset: the same rows give the same numbers
            yield from [line | {"subset": name} for line in whole]
            continue
        part = rows.where(mask)
        measures = Measures(part, threshold, utility)
        samples = replicate(measures, measures.patients, replicates, seed)
        lines = []
        for metric, value in measures().items():
            low, high = interval(samples.get(metric, np.zeros(0)))
            lines.append({"subset": name, "metric": metric, "value": value, "low": low, "high": high, **part.counts})
        whole = whole or lines
        yield from lines
