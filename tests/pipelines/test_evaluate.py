"""`evaluate`: model and baselines on identical rows, and a cohort made anew is noticed."""

from __future__ import annotations

import shutil

import polars as pl

from clinical_lstm.artifacts import Cohort, Run


def test_model_and_baseline_score_identical_rows(project):
    run, cohort = Run(project / "artifacts/runs/tiny"), Cohort(project / "artifacts/cohorts/tiny")
    baseline = pl.read_parquet(next((cohort.path / "baselines").glob("elapsed_time-*")) / "predictions.parquet")
    model = run.table("predictions.parquet")
    shared = [name for name in model.columns if name != "risk"]
    assert model.select(shared).equals(baseline.select(shared))
    scores = run.table("scores.parquet")
    assert set(scores["predictor"]) == {"model", "elapsed_time", "model - elapsed_time"}
    assert {"all", "pre_onset", "site=A", "site=B"} <= set(scores["subset"])
    assert (
        scores.filter(pl.col("predictor") == "model")["n_rows"].max() == model.filter(pl.col("split") == "test").height
    )


def test_a_cohort_made_anew_is_refused(project, cli, tmp_path, tiny_source):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    (tmp_path / "artifacts/runs/tiny/done/evaluate.json").unlink()
    made = cli(tmp_path, "prepare", f"source.root={tiny_source}", "cohort=tiny", "split.seed=5",
               "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}")  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = cli(tmp_path, "evaluate", "run=tiny", "tracking=none")
    assert done.returncode == 2
    assert "prepared anew" in done.stderr


def test_a_cohort_outside_the_artefacts_is_found_by_its_path(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    shutil.copytree(project / "artifacts/cohorts/tiny", tmp_path / "elsewhere/tiny")
    (tmp_path / "artifacts/runs/tiny/done/evaluate.json").unlink()
    small = ["baseline=[elapsed_time]", "evaluation.replicates=5", "tracking=none"]
    lost = cli(tmp_path, "evaluate", "run=tiny", *small)
    assert lost.returncode == 2 and "no cohort" in lost.stderr
    found = cli(tmp_path, "evaluate", "run=tiny", "cohort=elsewhere/tiny", *small)
    assert found.returncode == 0, found.stderr
