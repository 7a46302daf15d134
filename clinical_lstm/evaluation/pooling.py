"""Cross-validation: predictors on the test rows of all folds, pooled and as the mean of the folds.

    all              the rows of all folds together, each operated as its fold is
    mean_of_folds    m = (m_1 + ... + m_K) / K,    fold_sd = standard deviation of the m_k

A pooled area compares the risks of different models with each other, so it pays for folds that are calibrated unlike;
the mean does not. Both are drawn anew with the same patients for all predictors, so that differences are paired.
`fold_sd` is how much folds differ, no standard error: their models share most of their training stays.
Source: Bengio & Grandvalet, J Mach Learn Res 5:1089-1105 (2004).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.evaluation.operation import Operation, require_operation
from clinical_lstm.evaluation.out_of_fold import OutOfFold
from clinical_lstm.evaluation.protocol import Protocol
from clinical_lstm.evaluation.rows import Target, rows_of, targets
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.metrics.bootstrap import draws, interval, replicate

LOW_IS_GOOD = {"brier", "false_alarms_per_patient_day"}


class Folded(NamedTuple):
    """One predictor on one target: its metrics on all rows, on each fold and on each site, of the same replicates."""

    every: Sample
    folds: Mapping[str, Sample]
    sites: Mapping[str, Sample]

    def subsets(self) -> dict[str, Sample]:
        """Return the samples by the name of their subset."""
        return {"all": self.every, "mean_of_folds": self.mean(), **self.sites, **self.folds}

    def mean(self) -> Sample:
        """Return the mean of the folds, in every replicate too; not defined where it is not in one of them."""
        each = list(self.folds.values())
        values = {name: float(np.mean([one.values[name] for one in each])) for name in self.every.values}
        drawn = {name: np.mean([one.replicates[name] for one in each], axis=0) for name in self.every.replicates}
        return Sample(values, drawn, self.every.counts)

    def minus(self, other: Folded) -> Folded:
        """Return the differences from another predictor on the same rows."""
        folds = {name: _minus(own, other.folds[name]) for name, own in self.folds.items()}
        sites = {name: _minus(own, other.sites[name]) for name, own in self.sites.items()}
        return Folded(_minus(self.every, other.every), folds, sites)


Samples = Mapping[Target, Folded]


def sample_folds(
    table: pl.DataFrame, operations: Mapping[str, Mapping[Target, Operation]], what: str, protocol: Protocol
) -> Samples:
    """Return, per target, the resampled metrics of the predictor `what` on the rows of `out_of_fold.pooled`.

    Args:
        operations: of every fold, how each target is operated there. protocol: replicates, seed, utility.

    Raises InputError where a fold does not operate a target.
    """
    for name, operation in operations.items():
        require_operation(targets(table.filter(fold=name)), operation, f"{what} in {name}")
    found = {}
    for target in targets(table):
        rows = rows_of(table, target)
        fold = table.filter(complication=target[0], horizon_hours=target[1])["fold"].to_numpy()
        chosen = {name: operation[target] for name, operation in operations.items() if (fold == name).any()}
        blocks = draws(rows.patients, protocol.replicates, protocol.seed)
        masks = {"all": np.ones(len(fold), bool), **{name: fold == name for name in chosen}}
        sites = sorted(set(rows.site))
        masks |= {f"site={name}": rows.site == name for name in sites if len(sites) > 1}
        each = {}
        for name, mask in masks.items():
            part = rows.where(mask)
            measure = OutOfFold(part, fold[mask], chosen, protocol.utility)
            each[name] = Sample(measure(), replicate(measure, blocks), part.counts)
        found[target] = Folded(
            each["all"], {name: each[name] for name in chosen}, {k: v for k, v in each.items() if k.startswith("site=")}
        )
    return found


def summarise(samples: Mapping[str, Samples], references: Sequence[str]) -> pl.DataFrame:
    """Return `schemas.Pooled`: every predictor, and its differences "predictor - reference" from the references.

    `samples` are of the same rows and replicates. Of two references only "second - first" is given.

    >>> counts = {"n_rows": 9, "n_stays": 3, "n_positives": 3}
    >>> def one(value): return Sample({"auroc": value}, {"auroc": np.array([value, value])}, counts)
    >>> def folded(*value): return {("death", 6.0): Folded(one(value[0]), {"a": one(value[1]), "b": one(value[2])}, {})}
    >>> table = summarise({"trees": folded(0.5, 0.5, 0.75), "lstm": folded(0.75, 0.75, 0.75)}, ["trees"])
    >>> table.filter(subset="mean_of_folds").select("predictor", "value", "better").rows()
    [('trees', 0.625, None), ('lstm', 0.75, None), ('lstm - trees', 0.125, 1)]
    """
    lines: list[dict[str, Any]] = []
    for name, own in samples.items():
        known = references[: references.index(name)] if name in references else references
        for target, folded in own.items():
            lines += _lines(name, target, folded)
            for other in known:
                lines += _lines(f"{name} - {other}", target, folded.minus(samples[other][target]), is_difference=True)
    table = pl.DataFrame(lines, schema=schemas.empty(schemas.Pooled).schema, orient="row")
    numbers = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    return schemas.check(schemas.Pooled, numbers, "the cross-validation")


def _lines(name: str, target: Target, folded: Folded, is_difference: bool = False) -> Iterator[dict[str, Any]]:
    """Yield a line per subset and metric; those over several folds say how the folds differ, and how many gain."""
    for subset, sample in folded.subsets().items():
        key = {"predictor": name, "complication": target[0], "horizon_hours": target[1], "subset": subset}
        share = sample.counts["n_positives"] / max(sample.counts["n_rows"], 1)
        for metric, value in sample.values.items():
            low, high = interval(sample.replicates.get(metric, np.zeros(0)))
            line = {**key, **sample.counts, "prevalence": share, "metric": metric, "value": value}
            line |= {"low": low, "high": high}
            if subset in ("all", "mean_of_folds"):
                each = np.array([one.values[metric] for one in folded.folds.values()])
                gained = each < 0 if metric in LOW_IS_GOOD else each > 0
                line |= {"folds": len(each), "fold_sd": float(each.std(ddof=1)) if len(each) > 1 else None}
                line["better"] = int(gained.sum()) if is_difference else None
            yield line


def _minus(one: Sample, other: Sample) -> Sample:
    """Return the differences of two samples of the same rows and replicates."""
    values = {name: value - other.values[name] for name, value in one.values.items()}
    return Sample(values, {name: drawn - other.replicates[name] for name, drawn in one.replicates.items()}, one.counts)
