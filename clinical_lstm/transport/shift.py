"""In what the patients of two places differ, and in what is measured there and how often."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.errors import InputError


@dataclass(frozen=True)
class Population:
    """Some stays of a cohort: how each measure stands in each stay, and on which scale it is compared.

    Attributes:
        measures: {(variable, measure): (stays,) float64}, NaN where a stay has none. log: keys whose values are logs.

    """

    measures: Mapping[tuple[str, str], np.ndarray]
    log: frozenset[tuple[str, str]]

    @staticmethod
    def of(
        tensors: Ragged, scaler: Scaler, stays: pl.DataFrame, labels: pl.DataFrame, chosen: np.ndarray | None = None
    ) -> Population:
        """Return the stays `chosen` (a mask (stays,), default all) of a cohort.

        Args:
            tensors, scaler, stays (`schemas.SplitStays`, in the order of the tensors), labels (`schemas.Labels`): as
                `prepare` wrote them. Of the scaler only names and logs count.

        """
        mask = np.ones(stays.height, bool) if chosen is None else np.asarray(chosen, bool)
        if not mask.any():
            raise InputError(f"none of the {stays.height:,} stay(s) is chosen; name a site or split that has stays")
        found = dict(_measured(tensors, scaler, mask)) | dict(_fixed(tensors, scaler, mask))
        found |= dict(_outcomes(stays, labels, mask))
        found["length_hours", "length"] = np.log1p(stays["length_hours"].to_numpy()[mask])
        names = [*scaler.variables, *scaler.statics]
        log = {(name, "mean_value") for name, skewed in zip(names, scaler.log) if skewed} | {("length_hours", "length")}
        return Population(found, frozenset(log))


def domain_shift(source: Population, target: Population) -> pl.DataFrame:
    """Return `DomainShift` by falling |smd| (infinite first, null last, of equals by variable and measure).

        smd = (mean_target - mean_source) / sqrt((var_source + var_target) / 2),    var with divisor n

    A variable that a cohort does not know at all counts as never measured there.
    Source: Austin, Stat Med 28:3083-3107 (2009), doi 10.1002/sim.3697.

    >>> one = Population({("lactate", "mean_value"): np.array([1.0, 3.0])}, frozenset())
    >>> two = Population({("lactate", "mean_value"): np.array([2.0, 4.0, np.nan])}, frozenset())
    >>> domain_shift(one, two).select("source", "target", "smd", "n_target").rows()
    [(2.0, 3.0, 1.0, 2)]
    """
    both = dict.fromkeys([*source.measures, *target.measures])
    log = source.log | target.log
    rows = [_compared(key, _column(source, key), _column(target, key), key in log) for key in both]
    table = pl.DataFrame(rows, schema=schemas.empty(schemas.DomainShift).schema, orient="row")
    order = [pl.col("smd").abs(), pl.col("variable"), pl.col("measure")]
    table = table.sort(order, descending=[True, False, False], nulls_last=True)
    return schemas.check(schemas.DomainShift, table, "the domain shift")


class _Moments(NamedTuple):
    mean: float
    variance: float
    n: int


def _compared(key: tuple[str, str], source: np.ndarray, target: np.ndarray, log: bool) -> tuple[Any, ...]:
    one, two = _moments(source), _moments(target)
    shown = [None if not side.n else math.expm1(side.mean) if log else side.mean for side in (one, two)]
    smd = None
    if one.n and two.n:
        gap, pooled = two.mean - one.mean, math.sqrt((one.variance + two.variance) / 2)
        smd = gap / pooled if pooled > 0 else math.copysign(math.inf, gap) if gap else 0.0
    return *key, *shown, smd, one.n, two.n


def _moments(column: np.ndarray) -> _Moments:
    known = column[~np.isnan(column)]
    if not len(known):
        return _Moments(math.nan, math.nan, 0)
    constant = np.ptp(known) == 0  # rounding must not give it a spread
    return _Moments(float(known[0] if constant else known.mean()), 0.0 if constant else float(known.var()), len(known))


def _column(population: Population, key: tuple[str, str]) -> np.ndarray:
    """Return a measure of the stays; of a variable that the cohort does not know: never measured."""
    if key in population.measures:
        return population.measures[key]
    stays = len(next(iter(population.measures.values())))
    return np.full(stays, np.nan) if key[1] in ("mean_value", "share_of_stays_with_event") else np.zeros(stays)


def _measured(tensors: Ragged, scaler: Scaler, mask: np.ndarray) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Yield the measures of the measured variables: one bincount over the cells (stay, variable)."""
    stays, width = int(mask.sum()), len(scaler.variables)
    number = np.cumsum(mask) - 1
    inside = np.repeat(mask, np.diff(tensors.cell_offsets))
    row = np.repeat(number, np.diff(tensors.cell_offsets))[inside]
    variable = tensors.cell_variable[inside].astype(np.int64)
    value = tensors.cell_value[inside].astype(np.float64)
    value = np.where(scaler.log[variable], np.log1p(np.maximum(value, 0)), value)
    cell = row * width + variable
    count = np.bincount(cell, minlength=stays * width).reshape(stays, width)
    total = np.bincount(cell, value, stays * width).reshape(stays, width)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    share = count / np.maximum(tensors.lengths[mask], 1)[:, None]
    for v, name in enumerate(scaler.variables):
        yield (name, "mean_value"), mean[:, v]
        yield (name, "share_of_steps_observed"), share[:, v]
        yield (name, "share_of_stays_observed"), (count[:, v] > 0).astype(np.float64)


def _fixed(tensors: Ragged, scaler: Scaler, mask: np.ndarray) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Yield the measures of the static variables."""
    log = scaler.log[len(scaler.variables) :]
    for s, name in enumerate(scaler.statics):
        value = np.asarray(tensors.static[mask, s], np.float64)
        yield (name, "mean_value"), np.log1p(np.maximum(value, 0)) if log[s] else value
        yield (name, "share_of_stays_observed"), (~np.isnan(value)).astype(np.float64)


def _outcomes(
    stays: pl.DataFrame, labels: pl.DataFrame, mask: np.ndarray
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Yield for each complication whether a stay has a row with label 1; NaN where it is never at risk."""
    ids = stays.filter(pl.Series(mask)).select("stay_id")
    at_risk = labels.filter(pl.col("at_risk"))
    for name in at_risk["complication"].unique().sort():
        event = at_risk.filter(pl.col("complication") == name).group_by("stay_id").agg(pl.col("label").max())
        found = ids.join(event, on="stay_id", how="left", maintain_order="left")["label"]
        yield (name, "share_of_stays_with_event"), found.cast(pl.Float64).fill_null(float("nan")).to_numpy()
