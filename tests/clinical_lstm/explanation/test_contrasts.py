"""Contrasts recomputed with loops, and a planted driver of false alarms that alone stands out."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.explanation.contrasts import contrasts, simultaneous
from clinical_lstm.explanation.drivers import drivers
from clinical_lstm.explanation.evidence import Evidence, evidence
from clinical_lstm.explanation.keys import KEY, OUTCOMES, TARGET

GROUP = ["kind", "group", "channel"]


def test_differences_recomputed_with_loops(entries: list[Evidence]) -> None:
    found = contrasts(entries).filter(pl.col("measure") == "difference")
    against = {"missed_event": "true_alarm", "false_alarm": "true_silence"}
    assert set(found.select("level", "reference").rows()) == set(against.items())
    for entry in entries:
        parts = {part.level: part.rows for part in entry.parts if part.dimension == "outcome"}
        for level, reference in against.items():
            own = found.filter(pl.struct(TARGET) == dict(zip(TARGET, entry.target)), pl.col("level") == level)
            assert own.select(GROUP).rows() == [tuple(group) for group in entry.groups]
            one, other = parts[level], parts[reference]
            value = entry.net[one].mean(axis=0) - entry.net[other].mean(axis=0)
            np.testing.assert_allclose(own["value"], value, atol=1e-12)
            replicates = []
            for r in range(20):
                w, v = (entry.counts[entry.patient[rows], r] for rows in (one, other))
                if w.sum() and v.sum():
                    replicates.append(w @ entry.net[one] / w.sum() - v @ entry.net[other] / v.sum())
            low, high = np.quantile(replicates, [0.025, 0.975], axis=0)
            np.testing.assert_allclose(own.select("low", "high").to_numpy(), np.stack([low, high], 1), atol=1e-12)
            spread = np.std(replicates, axis=0, ddof=1)
            width = spread * np.quantile(np.max(np.abs(replicates - value) / spread, axis=1), 0.95)
            np.testing.assert_allclose(own["simultaneous_high"], value + width, atol=1e-9)
            np.testing.assert_allclose(own["simultaneous_low"], value - width, atol=1e-9)
            assert set(own["comparisons"]) == {len(entry.groups)}
            assert set(own["n_patients"]) == {entry.patients(one)}
            assert set(own["n_reference"]) == {entry.patients(other)}


def test_ratios_are_those_of_the_shares(entries: list[Evidence]) -> None:
    found = contrasts(entries).filter(pl.col("measure") == "ratio")
    shares = drivers(entries).select(*TARGET, "dimension", "level", *GROUP, "share", "n_patients")
    key = [*TARGET, "dimension", *GROUP]
    joined = found.join(shares, on=[*key, "level"]).join(
        shares.rename({"level": "reference", "share": "share_reference", "n_patients": "n"}), on=[*key, "reference"]
    )
    assert joined.height == found.height > 30
    defined = joined.filter(pl.col("value").is_not_null())
    np.testing.assert_allclose(defined["value"], defined["share"] / defined["share_reference"], rtol=1e-9)
    assert (joined["n_reference"] == joined["n"]).all()
    assert (joined["n_patients"] <= joined["n_reference"]).all(), "the largest level is the reference"
    whole = defined.filter(pl.col("simultaneous_low").is_not_null())
    assert whole.height > 20
    assert whole.select((pl.col("simultaneous_low") <= pl.col("value")).all()).item()
    assert whole.select((pl.col("value") <= pl.col("simultaneous_high")).all()).item()
    assert set(found.filter(pl.col("kind") == "all")["channel"].cast(pl.String)) == {"value", "mask", "delta", "static"}
    assert set(found.filter(pl.col("kind") != "all")["channel"].cast(pl.String)) == {"all"}
    sizes = found.group_by(*TARGET, "dimension", "level").agg(
        pl.col("simultaneous_low").count(), pl.first("comparisons")
    )
    assert (sizes["simultaneous_low"] == sizes["comparisons"]).all()


def _planted(generator: np.random.Generator, patients: int = 160) -> list[Evidence]:
    """A quarter of the patients of each outcome; one value adds 0.8 logit in false alarms, nothing else differs."""
    key = {"hours": 3.0, "complication": "sepsis", "horizon_hours": 6.0}
    reason = [f"{OUTCOMES[i % 4]}_sample" for i in range(patients)]
    ids = pl.DataFrame({"stay_id": [f"s{i:03}" for i in range(patients)], "reason": reason}).with_columns(
        **{name: pl.lit(value) for name, value in key.items()}, explained=pl.lit(True), patient_id=pl.col("stay_id")
    )
    parts = []
    for variable in ("lactate", "heart_rate", "temperature", "wbc"):
        for channel in ("value", "mask"):
            drawn = generator.normal(scale=0.3, size=patients)
            if (variable, channel) == ("lactate", "value"):
                drawn += np.where([one == "false_alarm_sample" for one in reason], 0.8, 0.0)
            cells = {"variable": pl.lit(variable), "channel": pl.lit(channel), "attribution": pl.Series(drawn)}
            parts.append(ids.select(KEY).with_columns(**cells))
    return evidence(pl.concat(parts), ids, ids, ids, ids.select("stay_id"), replicates=400)


def test_a_planted_driver_of_false_alarms_stands_out_alone() -> None:
    found = contrasts(_planted(np.random.default_rng(1))).filter(pl.col("kind") == "variable")
    sure = found.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))
    assert sure.select("level", "group", "channel").rows() == [
        ("false_alarm", "lactate", "all"),
        ("false_alarm", "lactate", "value"),
    ]
    planted = sure.row(1, named=True)
    assert planted["value"] == pytest.approx(0.8, abs=0.2)
    assert planted["low"] < 0.8 < planted["high"]
    assert planted["comparisons"] == 3 + 4 * 3 + 4 * 3  # all, 4 systems, 4 variables, each by channel and as a whole


def test_simultaneous_intervals_cover_all_at_once() -> None:
    """Where nothing is planted (missed events), 95 % of the cohorts have no row beyond its simultaneous interval."""
    missed = 0
    for seed in range(40):
        found = contrasts(_planted(np.random.default_rng(100 + seed), 80)).filter(pl.col("level") == "missed_event")
        missed += found.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0)).height > 0
    assert missed <= 7  # P(more than 7 of 40) = 0.1 % at 5 %


def test_differences_add_up_to_that_of_the_logits(entries: list[Evidence]) -> None:
    found = contrasts(entries).filter(pl.col("measure") == "difference", pl.col("channel") == "all")
    keys = [*TARGET, "level"]
    sums = found.filter(pl.col("kind") == "variable").group_by(keys).agg(pl.sum("value"))
    whole = found.filter(pl.col("kind") == "all").join(sums, on=keys)
    assert whole.height == 4
    np.testing.assert_allclose(whole["value"], whole["value_right"], atol=1e-12)


def test_too_few_patients_have_counts_only(tables: Any) -> None:
    found = contrasts(tables.evidence(least_patients=1000))
    assert found.height > 100
    figures = ["value", "low", "high", "simultaneous_low", "simultaneous_high"]
    assert found.select(pl.col(figures).is_null().all()).row(0) == (True,) * 5
    assert set(found["comparisons"]) == {0}
    assert found["n_patients"].min() >= 1  # type: ignore[operator]


def test_a_share_that_vanishes_in_a_draw_is_not_compared_with_all_others() -> None:
    generator = np.random.default_rng(0)
    replicates = np.exp(generator.normal(scale=0.1, size=(3, 200)))
    replicates[:, 5] = np.nan  # nobody of the level was drawn
    whole = simultaneous(np.ones(3), replicates, as_logs=True)
    assert np.isfinite(whole).all()
    replicates[1, :30] = 0.0
    found = simultaneous(np.ones(3), replicates, as_logs=True)
    assert np.isnan(found[:, 1]).all()
    np.testing.assert_array_equal(found[:, [0, 2]], simultaneous(np.ones(2), replicates[[0, 2]], as_logs=True))
    np.testing.assert_allclose(found[0, 0] * found[1, 0], 1.0)  # symmetric in logs


def test_same_bits_in_any_order_and_nothing_from_nothing(tables: Any, entries: list[Evidence]) -> None:
    turned = type(tables)(*(table.reverse() for table in tables))
    assert contrasts(turned.evidence()).equals(contrasts(entries))
    assert contrasts([]).equals(schemas.empty(schemas.Contrasts))
    shown = tables._replace(chosen=tables.chosen.filter(pl.col("reason") == "cohort_sample"))
    assert set(contrasts(shown.evidence())["dimension"].cast(pl.String)) == {"age", "sex"}
