"""A gap is to the largest subgroup; what is planted is found, and nothing is found where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.evaluation import Protocol, evaluate
from clinical_lstm.evaluation.gaps import COMPARED, gaps
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.evaluation.subgroups import Part

KEY = {"complication": "sepsis", "horizon_hours": 6.0}
DIMENSIONS = ["site", "sex", "age", "hours"]


def sampled(level: float, stays: int, seed: int, replicates: int = 400, undefined: float = 0.0) -> Sample:
    """Return a sample around `level`; `undefined`: the share of the replicates that are NaN."""
    random = np.random.default_rng(seed)
    drawn = random.normal(level, 0.02, replicates)
    drawn[: int(undefined * replicates)] = np.nan
    counts = {"n_rows": 10 * stays, "n_stays": stays, "n_positives": stays}
    return Sample({"auroc": level}, {"auroc": drawn}, counts)


def of(samples: dict[str, Sample]) -> pl.DataFrame:
    """Return the AUROC gaps of subsets "dimension=level"."""
    parts = [Part("", "all", np.ones(1, bool)), *(Part(*name.split("="), np.ones(1, bool)) for name in samples)]
    known = {("model", name): sample for name, sample in samples.items()}
    return gaps(known, parts, "model", KEY).filter(pl.col("metric") == "auroc")


def test_the_reference_is_the_level_with_most_stays_and_the_rest_is_paired() -> None:
    samples = {"site=A": sampled(0.8, 10, 1), "site=B": sampled(0.7, 30, 2), "site=C": sampled(0.9, 30, 3)}
    found = of(samples)
    assert found.select("level", "reference", "n_stays").rows() == [("A", "B", 10), ("C", "B", 30)]
    assert found["value"].to_list() == pytest.approx([0.1, 0.2])
    for row in found.iter_rows(named=True):
        change = samples[f"site={row['level']}"].replicates["auroc"] - samples["site=B"].replicates["auroc"]
        assert (row["low"], row["high"]) == tuple(np.quantile(change, [0.025, 0.975]))
    assert found["comparisons"].to_list() == [2, 2]


def test_the_simultaneous_interval_is_wider_than_the_single_one_the_more_so_the_more_there_are() -> None:
    widths = []
    for levels in (2, 4, 12):
        found = of({f"site={k:02d}": sampled(0.8, 100 - k, k) for k in range(levels)})
        single, both = (found[f"{name}high"] - found[f"{name}low"] for name in ("", "simultaneous_"))
        assert (both > 0.97 * single).all(), "with one comparison they are nearly the same"
        widths.append((both / single).mean())
    assert widths[0] == pytest.approx(1, abs=0.03)
    assert widths[0] < widths[1] - 0.05 < widths[2] - 0.1


def test_too_few_patients_have_no_gap_and_take_no_part() -> None:
    small = Sample({"auroc": np.nan}, {}, {"n_rows": 4, "n_stays": 2, "n_positives": 1})
    whole = {"site=A": sampled(0.8, 30, 1), "site=B": sampled(0.7, 20, 2)}
    found = of(whole | {"site=C": small})
    alone = of(whole)
    assert found.filter(level="B").drop("comparisons").equals(alone.drop("comparisons"))
    assert found["comparisons"].to_list() == [1, 1]
    row = found.filter(level="C").row(0, named=True)
    assert [row[name] for name in ("value", "low", "high", "simultaneous_low", "simultaneous_high")] == [None] * 5
    assert (row["n_rows"], row["n_stays"], row["n_positives"]) == (4, 2, 1)
    largest = of({"site=A": small._replace(counts={**small.counts, "n_stays": 99}), "site=B": sampled(0.8, 30, 1)})
    assert largest["value"].to_list() == [None], "nothing to compare with"


def test_a_level_that_most_draws_leave_undefined_does_not_take_the_others_with_it() -> None:
    whole = {"site=A": sampled(0.8, 30, 1), "site=B": sampled(0.7, 20, 2)}
    alone = of(whole).row(0, named=True)
    found = {
        row["level"]: row for row in of(whole | {"site=C": sampled(0.6, 5, 3, undefined=0.8)}).iter_rows(named=True)
    }
    assert found["B"] == alone
    assert found["C"]["value"] == pytest.approx(-0.2)
    assert found["C"]["low"] is None and found["C"]["simultaneous_low"] is None


def test_one_level_or_none_has_no_gap() -> None:
    for samples in ({}, {"site=A": sampled(0.8, 30, 1)}):
        found = of(samples)
        assert found.is_empty()
        schemas.check(schemas.Gaps, found, "no gaps")


def found_apart(table: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Return (dimension, level, metric) of the gaps whose simultaneous interval leaves out 0."""
    apart = table.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))
    return apart.select("dimension", "level", "metric").rows()


FAIRNESS = Protocol(replicates=64, subgroups=["site", "sex", "age"])


def test_in_fair_wards_few_metrics_have_a_gap_by_chance(ward: Any, judge: Any) -> None:
    """Each metric has its own 5 %: of 4 wards with 5 metrics each one is expected."""
    chance = 0
    for seed in range(4):
        fair = ward(patients=200, hours=8, seed=seed, after=0.0)
        apart = found_apart(evaluate({"model": judge(fair.predictions)}, fair.stays, FAIRNESS).gaps)
        chance += len({metric for *_, metric in apart})
    assert chance <= 3


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_unfairness_is_found_and_nothing_else(ward: Any, judge: Any, lines: Any, seed: int) -> None:
    """Men's risks are raised by 1.5 logits: they come true too seldom, and ring falsely too often."""
    fair, unfair = (ward(patients=300, hours=8, seed=seed, after=0.0, male_logit=shift) for shift in (0.0, 1.5))
    assert fair.predictions["label"].equals(unfair.predictions["label"])
    found = evaluate({"model": judge(unfair.predictions)}, unfair.stays, FAIRNESS).gaps
    men = lines(found, subset=None, dimension="sex", level="male")
    assert set(men) == set(COMPARED) and men["auroc"]["reference"] == "female"
    planted = {("sex", "male", "calibration_in_the_large"), ("sex", "male", "false_alarms_per_patient_day")}
    assert planted <= set(found_apart(found))
    assert (
        men["calibration_in_the_large"]["simultaneous_low"]
        < -1.5
        < men["calibration_in_the_large"]["simultaneous_high"]
    )
    before = lines(evaluate({"model": judge(fair.predictions)}, fair.stays, FAIRNESS).gaps, subset=None, level="male")
    moved = men["calibration_in_the_large"]["value"] - before["calibration_in_the_large"]["value"]
    assert moved == pytest.approx(-1.5, abs=0.01), "a shift of all logits is a shift of the calibration in the large"
    assert men["auroc"]["value"] == pytest.approx(before["auroc"]["value"], abs=1e-12), "and ranks no man anew"
    assert men["auroc"]["comparisons"] == (1 + 1 + 3) * len(COMPARED)


def test_gaps_of_an_evaluation_are_differences_of_its_scores(ward: Any, judge: Any, lines: Any) -> None:
    one = ward()
    found = evaluate({"model": judge(one.predictions)}, one.stays, Protocol(replicates=40, subgroups=DIMENSIONS))
    assert set(found.gaps["dimension"]) == set(DIMENSIONS)
    for row in found.gaps.drop_nulls().iter_rows(named=True):
        own, other = (
            lines(found.scores, subset=f"{row['dimension']}={level}")[row["metric"]]
            for level in (row["level"], row["reference"])
        )
        assert row["value"] == own["value"] - other["value"]
        assert row["n_stays"] == own["n_stays"] <= other["n_stays"]
        assert row["low"] <= row["high"] and row["simultaneous_low"] <= row["value"] <= row["simultaneous_high"]
