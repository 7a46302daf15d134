"""A shift table is what stay after stay gives, counted by hand, and is 0 where nothing differs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.transport import Population, domain_shift


def of(cohort: Cohort) -> dict[str, Any]:
    return {
        "tensors": Ragged.load(cohort.path / "tensors"),
        "scaler": Scaler.from_table(cohort.table("scaler.parquet")),
        "stays": cohort.table("stays.parquet"),
        "labels": cohort.table("labels"),
    }


def at(cohort: Cohort, site: str) -> np.ndarray:
    return (cohort.table("stays.parquet")["site"] == site).to_numpy()


def by_hand(cohort: Cohort, site: str, name: str) -> dict[str, list[float]]:
    """Return the measures of one variable in every stay of a site, from the cells, stay by stay."""
    parts = of(cohort)
    tensors, scaler = parts["tensors"], parts["scaler"]
    code = scaler.variables.index(name)
    found: dict[str, list[float]] = {"mean_value": [], "share_of_steps_observed": [], "share_of_stays_observed": []}
    for i in np.flatnonzero(at(cohort, site)):
        cells = slice(tensors.cell_offsets[i], tensors.cell_offsets[i + 1])
        own = tensors.cell_value[cells][tensors.cell_variable[cells] == code].astype(float)
        own = np.log1p(own) if scaler.log[code] else own
        if len(own):
            found["mean_value"].append(own.mean())
        found["share_of_steps_observed"].append(len(own) / tensors.lengths[i])
        found["share_of_stays_observed"].append(float(len(own) > 0))
    return found


def test_hospitals_a_and_b_stay_by_stay(tiny_cohort: Cohort) -> None:
    parts = of(tiny_cohort)
    sides = [Population.of(**parts, chosen=at(tiny_cohort, site)) for site in "AB"]
    table = domain_shift(*sides)
    scaler = parts["scaler"]
    for name in ("heart_rate", "lactate", "temperature"):
        a, b = (by_hand(tiny_cohort, site, name) for site in "AB")
        log = scaler.log[scaler.variables.index(name)]
        for measure in a:
            row = table.row(by_predicate=(pl.col("variable") == name) & (pl.col("measure") == measure), named=True)
            pooled = math.sqrt((np.var(a[measure]) + np.var(b[measure])) / 2)
            gap = np.mean(b[measure]) - np.mean(a[measure])
            assert row["smd"] == pytest.approx(gap / pooled if pooled else 0.0)
            shown = [
                np.expm1(np.mean(x)) if log and measure == "mean_value" else np.mean(x)
                for x in (a[measure], b[measure])
            ]
            assert [row["source"], row["target"]] == pytest.approx(shown)
            assert [row["n_source"], row["n_target"]] == [len(a[measure]), len(b[measure])]
    assert scaler.log[scaler.variables.index("lactate")]


def test_outcome_age_and_length_of_stay_are_compared(tiny_cohort: Cohort) -> None:
    parts, masks = of(tiny_cohort), [at(tiny_cohort, site) for site in "AB"]
    table = domain_shift(*(Population.of(**parts, chosen=mask) for mask in masks))
    shown = {(row["variable"], row["measure"]): row for row in table.to_dicts()}
    at_risk = parts["labels"].filter(pl.col("at_risk")).group_by("stay_id").agg(pl.col("label").max())
    for mask, side in zip(masks, ("source", "target")):
        stays = parts["stays"].filter(pl.Series(mask))
        events = stays.join(at_risk, on="stay_id", how="inner")["label"]
        outcome = shown["sepsis_label", "share_of_stays_with_event"]
        assert outcome[side] == pytest.approx(events.mean())
        assert outcome[f"n_{side}"] == len(events)
        length = shown["length_hours", "length"]
        assert length[side] == pytest.approx(math.expm1(stays["length_hours"].log1p().mean()))
        assert shown["age_years", "mean_value"][side] == pytest.approx(stays["age_years"].mean(), rel=1e-6)
        assert shown["age_years", "share_of_stays_observed"][side] == stays["age_years"].is_not_null().mean()


def test_the_greatest_shifts_come_first_and_the_other_way_round_is_the_negative(tiny_cohort: Cohort) -> None:
    parts = of(tiny_cohort)
    one, two = (Population.of(**parts, chosen=at(tiny_cohort, site)) for site in "AB")
    there, back = domain_shift(one, two), domain_shift(two, one)
    size = there["smd"].abs().drop_nulls().to_list()
    assert size == sorted(size, reverse=True)
    assert there["smd"].is_null().sort().to_list() == there["smd"].is_null().to_list()
    assert there.drop("smd").equals(
        back.drop("smd")
        .rename({"source": "target", "target": "source", "n_source": "n_target", "n_target": "n_source"})
        .select(there.drop("smd").columns)
    )
    assert (there["smd"].fill_null(0) + back["smd"].fill_null(0)).abs().max() == 0
    same = domain_shift(one, one)
    assert set(same["smd"].drop_nulls()) == {0.0}


def test_a_variable_that_the_target_lacks_counts_as_never_measured(tiny_cohort: Cohort) -> None:
    """Also in another order of the variables: names count, not places."""
    parts = of(tiny_cohort)
    scaler, tensors = parts["scaler"], parts["tensors"]
    kept = [name for name in reversed(scaler.variables) if name != "heart_rate"]
    places = np.array([kept.index(name) if name in kept else -1 for name in scaler.variables])
    inside = places[tensors.cell_variable] >= 0
    per_stay = np.add.reduceat(np.append(inside, 0), tensors.cell_offsets[:-1])
    fewer = replace(
        tensors,
        cell_offsets=np.append(0, np.cumsum(per_stay)),
        cell_variable=places[tensors.cell_variable][inside].astype(np.uint16),
        **{name: getattr(tensors, name)[inside] for name in ("cell_step", "cell_value", "cell_age")},
    )
    order = [scaler.variables.index(name) for name in kept] + list(range(len(scaler.variables), len(scaler.log)))
    other = replace(
        scaler, variables=kept, log=scaler.log[order], location=scaler.location[order], scale=scaler.scale[order]
    )
    here = Population.of(**parts)
    table = domain_shift(here, Population.of(fewer, other, parts["stays"], parts["labels"]))
    lost = {row["measure"]: row for row in table.filter(variable="heart_rate").to_dicts()}
    assert lost["mean_value"]["target"] is None
    assert lost["mean_value"]["smd"] is None
    assert lost["share_of_steps_observed"]["target"] == 0
    assert lost["share_of_stays_observed"]["smd"] < -1
    rest = table.filter(pl.col("variable") != "heart_rate")
    assert set(rest["smd"].drop_nulls()) == {0.0}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-50, 50) | st.just(math.nan), min_size=1, max_size=20),
    st.lists(st.floats(-50, 50) | st.just(math.nan), min_size=1, max_size=20),
    st.floats(0.1, 10),
    st.floats(-50, 50),
)
def test_no_unit_changes_a_shift_and_nothing_is_nan(
    one: list[float], two: list[float], factor: float, by: float
) -> None:
    key = ("x", "mean_value")
    columns = [np.array(side) for side in (one, two)]
    row = domain_shift(*(Population({key: side}, frozenset()) for side in columns)).row(0, named=True)
    known = [side[~np.isnan(side)] for side in columns]
    assert [row["n_source"], row["n_target"]] == [len(side) for side in known]
    assert (row["smd"] is None) == (not all(len(side) for side in known))
    if row["smd"] is None:
        return
    assert not math.isnan(row["smd"])
    pooled = math.sqrt((known[0].var() + known[1].var()) / 2)
    if pooled > 1e-3:
        other = domain_shift(*(Population({key: factor * side + by}, frozenset()) for side in columns)).row(
            0, named=True
        )
        assert other["smd"] == pytest.approx(row["smd"], rel=1e-6, abs=1e-6)
    if all(np.ptp(side) == 0 for side in known):
        gap = known[1][0] - known[0][0]
        assert row["smd"] == (math.copysign(math.inf, gap) if gap else 0.0)


def test_constant_sides_that_differ_are_infinitely_far_and_first() -> None:
    one = {("a", "mean_value"): np.array([0.1] * 3), ("b", "mean_value"): np.array([0.0, 9.0])}
    two = {("a", "mean_value"): np.array([0.2] * 3), ("b", "mean_value"): np.array([0.0, 8.0])}
    table = domain_shift(Population(one, frozenset()), Population(two, frozenset()))
    assert table["variable"].to_list() == ["a", "b"]
    assert table["smd"][0] == math.inf


def test_no_stay_is_no_population(tiny_cohort: Cohort) -> None:
    with pytest.raises(InputError, match=r"none of the 240 stay\(s\) is chosen"):
        Population.of(**of(tiny_cohort), chosen=np.zeros(240, bool))
