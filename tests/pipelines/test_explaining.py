"""The bench knows the run and its cohort; what changed lately is explained beside the risks themselves."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm import explanation, schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.variables import vocabulary
from pipelines.explaining import SINGLY, Bench, chosen


@pytest.fixture(scope="module")
def bench(project) -> Bench:
    return Bench.of(Run(project / "artifacts/runs/tiny"), Cohort(project / "artifacts/cohorts/tiny"))


def test_predictions_are_chosen_once_singly_and_in_samples(bench):
    found = chosen(bench.run, {"per_reason": 2, "cohort_sample": 8}, "test", seed=1)
    shown = found.filter(SINGLY)
    assert 0 < shown.height <= 8 < found.height
    assert not set(shown["stay_id"]) & set(found.filter(reason="cohort_sample")["stay_id"])


def test_an_explainer_that_asks_is_shown_whole_stays_of_the_train_split(bench):
    explainer = bench.explainer({"name": "expected_gradients", "references": 2})
    _, tensors, _, places, targets = bench.asked
    assert len(places) == len(tensors.lengths) and targets == [("sepsis_label", 6.0)]
    row = bench.run.table("explained.parquet").filter(SINGLY).head(1)
    explained, attributions = explanation.explain(*bench.asked, row, explainer)
    assert explained["explained"].all()
    total = attributions["attribution"].sum()
    assert total == pytest.approx(explained["logit"][0] - explained["baseline_logit"][0], abs=explainer.tolerance)


def test_organ_systems_are_hidden_by_name(bench):
    row = bench.run.table("explained.parquet").filter(SINGLY).head(1)
    explainer = bench.explainer({"name": "feature_ablation", "groups": "system"})
    _, attributions = explanation.explain(*bench.asked, row, explainer)
    observed = attributions.filter(pl.col("channel") == "value")
    systems = observed.with_columns(
        system=pl.col("variable").replace_strict({n: v.system for n, v in vocabulary().items()})
    )
    shares = systems.group_by("system").agg(pl.col("attribution").round(9).n_unique())
    assert (shares["attribution"] == 1).all(), "an effect is shared equally among the observations of its system"
    assert shares.height > 1


def test_changes_are_of_the_last_hours_and_of_the_stays_shown(project):
    run = Run(project / "artifacts/runs/tiny")
    shown = run.table("explained.parquet").filter(SINGLY)
    changed = schemas.check(schemas.Explained, run.table("changed.parquet"), "it")
    changes = schemas.check(schemas.Attributions, run.table("changes.parquet"), "it")
    key = ["stay_id", "hours", "complication", "horizon_hours"]
    assert changed.select(key).equals(shown.select(key))
    assert changed["logit"].to_list() == pytest.approx(shown["logit"].to_list(), abs=1e-6)
    assert (changes["input_hours"] > changes["hours"] - 4.0).all()
    sums = changed.join(changes.group_by(key).agg(pl.col("attribution").sum()), on=key, how="left").fill_null(0)
    gap = (sums["attribution"] - (sums["logit"] - sums["baseline_logit"])).abs()
    assert gap.max() <= 0.01
