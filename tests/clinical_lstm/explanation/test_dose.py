"""Doses recomputed with loops over the observations; thinning, bands and directions of planted curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from clinical_lstm import schemas
from clinical_lstm.explanation.dose import BANDS, POINTS, dose
from clinical_lstm.explanation.evidence import Evidence, evidence
from clinical_lstm.explanation.keys import KEY, TARGET
from clinical_lstm.variables import vocabulary


@pytest.fixture(scope="module")
def observations(tables: Any) -> pl.DataFrame:
    """Some values of every stay, one per hour at most, before and after its predictions."""
    generator = np.random.default_rng(8)
    rows = [
        (stay, float(hour) - generator.choice([0.0, 0.25, 0.5]), variable, round(float(generator.gamma(3.0)), 1))
        for stay in tables.stays["stay_id"]
        for variable in ("lactate", "heart_rate", "home_made", "ph")
        for hour in generator.choice(np.arange(1, 12), size=3, replace=False)
    ]
    return pl.DataFrame(rows, schema=["stay_id", "hours", "variable", "value"], orient="row")


@pytest.mark.parametrize("reach", [None, 3.0])
def test_points_recomputed_with_loops(
    tables: Any, entries: list[Evidence], observations: pl.DataFrame, reach: float | None
) -> None:
    found, directions = dose(entries, tables.attributions, observations, tables.stays, reach)
    cells: dict[tuple, list[tuple[float, str, float]]] = {}
    for row in tables.attributions.to_dicts():
        key = (*(row[name] for name in KEY), row["variable"])
        cells.setdefault(key, []).append((row["input_hours"], row["channel"], row["attribution"]))
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for stay, hours, variable, value in observations.sort("hours").rows():
        values.setdefault((stay, variable), []).append((hours, value))
    ages = dict(tables.stays.select("stay_id", "age_years").rows())
    for entry in entries:
        target = dict(zip(TARGET, entry.target))
        for variable in ("lactate", "heart_rate", "home_made", "age_years"):
            expected = []
            for key in entry.found.keys.rows():
                if variable == "age_years":
                    last = None if ages[key[0]] is None else (-np.inf, ages[key[0]])
                else:
                    seen = [x for x in values.get((key[0], variable), []) if x[0] <= key[1]]
                    last = seen[-1] if seen and (reach is None or key[1] - seen[-1][0] < reach) else None
                if last is not None:
                    own = cells.get((*key, variable), [])
                    expected.append(
                        (last[1], sum(a for at, channel, a in own if channel in ("value", "static") and at >= last[0]))
                    )
            rows = found.filter(pl.struct(TARGET) == target, pl.col("variable") == variable, pl.col("kind") == "point")
            assert len(expected) > 10
            np.testing.assert_allclose(rows.select("value", "contribution").to_numpy(), sorted(expected), atol=1e-8)
            told = directions.filter(pl.struct(TARGET) == target, pl.col("variable") == variable).row(0, named=True)
            assert told["n_predictions"] == len(expected)
            assert told["spearman"] == pytest.approx(stats.spearmanr(*zip(*expected)).statistic, abs=1e-9)
            assert told["low"] <= told["high"]
    assert "ph" not in found["variable"], "measured, but the model made nothing of it"


def test_directions_tell_the_unit_and_the_reference_range(
    tables: Any, entries: list[Evidence], observations: pl.DataFrame
) -> None:
    _, directions = dose(entries, tables.attributions, observations, tables.stays)
    for target in entries:
        own = directions.filter(pl.struct(TARGET) == dict(zip(TARGET, target.target)))
        assert own["rank"].to_list() == [1, 2, 3, 4]
    for row in directions.to_dicts():
        known = vocabulary().get(row["variable"])
        expected = (known.unit, known.normal_low, known.normal_high) if known else ("", None, None)
        assert (row["unit"], row["normal_low"], row["normal_high"]) == expected


def _planted(values: np.ndarray, contribution: np.ndarray, least: int = 10) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One prediction per patient: the value measured at hour 1, its contribution spread over hours 1 and 2."""
    key = {"hours": 2.0, "complication": "sepsis", "horizon_hours": 6.0}
    ids = pl.DataFrame({"stay_id": [f"s{i:04}" for i in range(len(values))]}).with_columns(
        **{name: pl.lit(value) for name, value in key.items()},
        reason=pl.lit("typical"),
        explained=pl.lit(True),
        patient_id=pl.col("stay_id"),
    )
    half = ids.select(KEY).with_columns(
        variable=pl.lit("lactate"), channel=pl.lit("value"), attribution=contribution / 2
    )
    attributions = pl.concat([half.with_columns(input_hours=pl.lit(hour)) for hour in (1.0, 2.0)])
    seen = ids.select("stay_id", hours=pl.lit(1.0), variable=pl.lit("lactate"), value=pl.Series(values))
    entries = evidence(attributions, ids, ids, ids, ids.select("stay_id"), least, replicates=200)
    return dose(entries, attributions.filter(pl.col("attribution") != 0), seen, ids.select("stay_id"))


def test_a_rising_curve_is_found_and_thinned() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=500)
    found, directions = _planted(values, np.log1p(values))
    assert directions.row(0, named=True)["spearman"] == pytest.approx(1.0, abs=1e-6)
    points, curve = (found.filter(pl.col("kind") == kind) for kind in ("point", "curve"))
    assert points.height == POINTS
    assert (points["value"][0], points["value"][-1]) == (values.min(), values.max())
    assert curve.height == BANDS
    assert set(curve["n"]) == {50}
    assert curve["value"].is_sorted()
    assert curve["contribution"].is_sorted()
    ordered = np.sort(values).reshape(BANDS, 50)
    np.testing.assert_allclose(curve["value"], ordered.mean(axis=1))
    np.testing.assert_allclose(curve["contribution"], np.log1p(ordered).mean(axis=1), atol=1e-8)
    assert curve.select((pl.col("low") < pl.col("contribution")).all()).item()
    assert curve.select((pl.col("contribution") < pl.col("high")).all()).item()


def test_equal_values_stay_in_one_band() -> None:
    generator = np.random.default_rng(1)
    values = generator.choice([0.0, 1.0, 2.0], p=[0.7, 0.2, 0.1], size=300)
    curve = _planted(values, generator.normal(size=300) - values)[0].filter(pl.col("kind") == "curve")
    assert curve.select("value", "n").rows() == [(x, int((values == x).sum())) for x in (0.0, 1.0, 2.0)]


def test_a_value_that_adds_nothing_is_a_point_at_zero() -> None:
    """A value at the baseline's own has attribution 0, hence no row; it was measured all the same."""
    values = np.linspace(0.5, 3.0, 40)
    contribution = np.where(values < 1.5, 0.0, values)
    found, directions = _planted(values, contribution)
    points = found.filter(pl.col("kind") == "point")
    np.testing.assert_allclose(points["contribution"], contribution, atol=1e-8)
    assert directions["n_predictions"].to_list() == [40]


def test_too_few_patients_have_points_but_no_curve_or_direction() -> None:
    found, directions = _planted(np.arange(6.0), np.arange(6.0))
    assert found["kind"].to_list() == ["point"] * 6
    assert directions.select("spearman", "low", "n_patients").row(0) == (None, None, 6)
    constant = _planted(np.ones(30), np.random.default_rng(0).normal(size=30))[1]
    assert constant["spearman"].to_list() == [None], "a value that never varies has no direction"


def test_same_bits_in_any_order_and_nothing_from_nothing(
    tables: Any, entries: list[Evidence], observations: pl.DataFrame
) -> None:
    once = dose(entries, tables.attributions, observations, tables.stays)
    turned = type(tables)(*(table.reverse() for table in tables))
    again = dose(turned.evidence(), turned.attributions, observations.reverse(), turned.stays)
    assert all(one.equals(other) for one, other in zip(once, again))
    for nothing in ([], tables._replace(attributions=tables.attributions.clear()).evidence()):
        found = dose(nothing, tables.attributions.clear(), observations, tables.stays)
        assert [table.equals(schemas.empty(s)) for table, s in zip(found, (schemas.Dose, schemas.Directions))] == [
            True
        ] * 2
    unmeasured = dose(entries, tables.attributions, observations.clear(), tables.stays)[1]
    assert set(unmeasured["variable"]) == {"age_years"}
