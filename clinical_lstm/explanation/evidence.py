"""What the summaries of a cohort rest on: the contributions of one target, their parts, and how patients are drawn.

dimension    levels, of which predictions
all          all: the cohort sample; where there is none, every explained prediction
to_onset     hours left to the onset, in bins of `profile.TO_ONSET`: the sample before onset
age, sex     of the stay: as in `all`
outcome      true_alarm, missed_event, false_alarm, true_silence: the samples of `choice.sample_by_outcome`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.explanation.choice import hours_to_onset
from clinical_lstm.explanation.contributions import Contributions, Group, contributions, grouped
from clinical_lstm.explanation.keys import BEFORE_ONSET, KEY, OUTCOMES, SAMPLED, TARGET
from clinical_lstm.metrics.bands import AGES, banded
from clinical_lstm.metrics.bootstrap import draws
from clinical_lstm.metrics.profile import TO_ONSET, bin_of
from clinical_lstm.metrics.weights import ratio

SEXES = ["female", "male"]


class Part(NamedTuple):
    """Some of a target's predictions, by their rows, and the dimension and level that they share."""

    dimension: str
    level: str
    rows: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """The explained predictions (N,) of one target.

    Attributes:
        target: (complication, horizon in hours). found: the contributions by variable and channel.
        groups: G groups of cells. net, size: (N, G), see `contributions.grouped`.
        patient: (N,) codes. counts: (P, R) how often each patient is drawn in each replicate.
        parts: which predictions form which level, in the order of the levels; none is empty.
        least: a level of fewer patients gets counts, no values.

    """

    target: tuple[str, float]
    found: Contributions
    groups: list[Group]
    net: np.ndarray
    size: np.ndarray
    patient: np.ndarray
    counts: np.ndarray
    parts: list[Part]
    least: int

    def patients(self, rows: np.ndarray) -> int:
        """Return of how many patients the predictions `rows` are."""
        return len(np.unique(self.patient[rows]))

    def means(self, table: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the means (J,) of `table` (N, J) over `rows`, and those of the replicates (J, R), NaN without rows."""
        own, drawn = table[rows].T, self.counts[self.patient[rows]]  # (J, n), (n, R)
        return own.sum(axis=1) / max(len(rows), 1), ratio(own @ drawn, drawn.sum(axis=0))

    def table(self, schema: Any, groups: Sequence[Group], columns: Mapping[str, Any]) -> pl.DataFrame:
        """Return one row per group in the columns of `schema`; `columns` hold one value or one per group, NaN: null."""
        named = pl.DataFrame(groups, schema=["kind", "group", "channel"], orient="row")
        given = dict(zip(TARGET, self.target)) | dict(columns)
        made = named.with_columns(**{name: _column(values) for name, values in given.items()})
        types = schemas.empty(schema).schema
        return made.select(pl.col(name).cast(dtype) for name, dtype in types.items()).with_columns(
            cs.float().fill_nan(None)
        )


def evidence(
    attributions: pl.DataFrame,
    explained: pl.DataFrame,
    chosen: pl.DataFrame,
    predictions: pl.DataFrame,
    stays: pl.DataFrame,
    least_patients: int = 10,
    replicates: int = 1000,
    seed: int = 1,
) -> list[Evidence]:
    """Return what the tables of a cohort rest on, one entry per target, in their order.

    Args:
        attributions, explained: what `explain` returned; predictions whose `explained` is False are left out.
        chosen: what it was asked for; a prediction may stand in it under several reasons, and is in all their samples.
        predictions: `schemas.Predictions`, for patients and onsets. stays: stay_id, and age_years and male where known.

    Raises InputError where an explained prediction is not among `predictions`.

    """
    whole = contributions(attributions, explained)
    facts = _facts(whole.keys, predictions, stays)
    reasons = _reasons(whole.keys, chosen)
    ids, patient = np.unique(facts["patient_id"].to_numpy().astype(str), return_inverse=True)
    blocks = draws(len(ids), replicates, seed)
    counts = np.concatenate([np.zeros((len(ids), 0)), *blocks], axis=1)  # (P, R)
    entries = []
    for target in whole.keys.select(TARGET).unique().sort(TARGET).rows():
        own = (whole.keys.select(pl.struct(TARGET) == dict(zip(TARGET, target))).to_series()).to_numpy()
        found = Contributions(whole.keys.filter(own), whole.variables, whole.cells[own])
        parts = list(_parts(facts.filter(own), {reason: rows[own] for reason, rows in reasons.items()}))
        entries.append(Evidence(target, found, *grouped(found), patient[own], counts, parts, least_patients))
    return entries


def _facts(keys: pl.DataFrame, predictions: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return the hours, onset, patient, age and sex of every prediction, in the order of `keys`."""
    known = [name for name in ("patient_id", "onset_hours") if name in predictions.columns]
    facts = keys.join(predictions.select(*KEY, *known), on=KEY, how="left", maintain_order="left")
    lost = facts["patient_id"].null_count()
    if lost:
        raise InputError(
            f"{lost} of {keys.height} explained predictions are not among the predictions, first: "
            f"{facts.filter(pl.col('patient_id').is_null()).select(KEY).row(0)}; explain the present predictions"
        )
    static = [name for name in ("age_years", "male") if name in stays.columns]
    return facts.join(stays.select("stay_id", *static), on="stay_id", how="left", maintain_order="left")


def _reasons(keys: pl.DataFrame, chosen: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return which of the N predictions were chosen for each reason."""
    found = {}
    for (reason,), rows in chosen.group_by(["reason"], maintain_order=True):
        here = keys.join(rows.select(KEY).unique().with_columns(here=True), on=KEY, how="left", maintain_order="left")
        found[str(reason)] = here["here"].fill_null(False).to_numpy()
    return found


def _parts(facts: pl.DataFrame, reasons: dict[str, np.ndarray]) -> Iterator[Part]:
    """Yield the levels that have rows."""
    nobody = np.zeros(facts.height, bool)
    cohort = reasons.get(SAMPLED, nobody)
    cohort = cohort if cohort.any() else ~nobody
    bins = [f"{low:g}-{high:g} h" for low, high in pairwise(TO_ONSET)]
    age, ages = banded(_static(facts, "age_years"), AGES)
    sex = np.nan_to_num(_static(facts, "male"), nan=-1).astype(int)
    outcome = [reasons.get(f"{name}_sample", nobody) for name in OUTCOMES]
    yield from _levels("all", ["all"], [cohort])
    place, before = bin_of(hours_to_onset(facts), TO_ONSET), reasons.get(BEFORE_ONSET, nobody)
    yield from _levels("to_onset", bins, [before & (place == b) for b in range(len(bins))])
    yield from _levels("age", ages, [cohort & (age == b) for b in range(len(ages))])
    yield from _levels("sex", SEXES, [cohort & (sex == b) for b in range(len(SEXES))])
    yield from _levels("outcome", OUTCOMES, outcome)


def _levels(dimension: str, names: Sequence[str], masks: Sequence[np.ndarray]) -> Iterator[Part]:
    yield from (Part(dimension, name, np.flatnonzero(mask)) for name, mask in zip(names, masks) if mask.any())


def _static(facts: pl.DataFrame, name: str) -> np.ndarray:
    if name not in facts.columns:
        return np.full(facts.height, np.nan)
    return facts[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _column(values: Any) -> pl.Series | pl.Expr:
    return pl.Series(values) if isinstance(values, np.ndarray) else pl.lit(values)
