"""`evaluate`: model and baselines on identical rows, and a cohort made anew is noticed."""

from __future__ import annotations

import shutil

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run


def test_model_and_baseline_score_identical_rows(project):
    run, cohort = Run(project / "artifacts/runs/tiny"), Cohort(project / "artifacts/cohorts/tiny")
    baseline = pl.read_parquet(next((cohort.path / "baselines").glob("elapsed_time-*")) / "predictions.parquet")
    model = run.table("predictions.parquet")
    shared = [name for name in model.columns if name != "risk"]
    assert model.select(shared).equals(baseline.select(shared))
    scores = run.table("scores.parquet")
    assert set(scores["predictor"]) == {"model", "elapsed_time", "model - elapsed_time"}
    assert {"all", "pre_onset", "site=A", "site=B", "sex=male", "age=<45"} <= set(scores["subset"])
    for name, schema in {"scores": "Scores", "curves": "Curves", "gaps": "Gaps"}.items():
        schemas.check(getattr(schemas, schema), run.table(f"{name}.parquet"), name)
    assert {"event_recall", "lead_time_median", "ici", "concordance", "net_benefit"} <= set(scores["metric"])
    policy = run.json("alarms.json")[0]
    assert policy["budget"] == 0.5 and policy["chosen_on"] == "val" and 0 < policy["threshold"] <= 1
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


def test_two_runs_are_compared_on_the_same_rows(project, cli, tmp_path):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    small = ["model.hidden=4", "trainer.epochs=1", "trainer.batch_size=32", "tracking=none"]
    assert cli(tmp_path, "train", "cohort=tiny", "run=other", *small).returncode == 0
    options = ["evaluation.replicates=20", "evaluation.subgroups=[sex]", "tracking=none"]
    done = cli(tmp_path, "evaluate", "run=[tiny,other]", *options, "out=beside")
    assert done.returncode == 0, done.stderr
    assert "other" in done.stdout and "not to be told apart from" in done.stdout
    scores = pl.read_parquet(tmp_path / "beside/scores.parquet")
    assert set(scores["predictor"]) == {"tiny", "other", "tiny - other"}
    assert "auroc_delong" in set(scores.filter(predictor="tiny - other")["metric"])
    for wrong, message in {"[tiny,tiny]": "each once", "[tiny,nobody]": "no run"}.items():
        refused = cli(tmp_path, "evaluate", f"run={wrong}", *options)
        assert refused.returncode == 2 and message in refused.stderr
    refused = cli(tmp_path, "explain", "run=[tiny,other]", "tracking=none")
    assert refused.returncode == 2 and "takes one run" in refused.stderr


def test_risks_of_another_tool_get_the_numbers_of_our_own(project, cli, tmp_path):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    own = pl.read_parquet(tmp_path / "artifacts/runs/tiny/predictions.parquet")
    own.select("stay_id", "hours", "risk").write_csv(tmp_path / "theirs.csv")
    options = ["cohort=tiny", "baseline=[elapsed_time]", "evaluation.replicates=20", "trainer.threshold=cinc2019"]
    done = cli(tmp_path, "evaluate", "predictions=theirs.csv", *options, "out=judged")
    assert done.returncode == 0, done.stderr
    theirs = pl.read_parquet(tmp_path / "judged/scores.parquet").filter(predictor="theirs").drop("predictor")
    ours = pl.read_parquet(tmp_path / "artifacts/runs/tiny/scores.parquet").filter(predictor="model").drop("predictor")
    assert theirs.equals(ours)
    own.filter(pl.col("split") == "test").write_csv(tmp_path / "half.csv")
    refused = cli(tmp_path, "evaluate", "predictions=half.csv", *options, "out=nothing")
    assert refused.returncode == 2 and "has no risk for" in refused.stderr
    assert not (tmp_path / "nothing").exists()
    refused = cli(tmp_path, "evaluate", "predictions=theirs.csv")
    assert refused.returncode == 2 and "cohort=NAME" in refused.stderr


def test_a_subgroup_or_budget_that_cannot_be_is_refused(project, cli, tmp_path):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    for wrong, message in {
        "evaluation.subgroups=[sexx]": "did you mean",
        "alarm.budget=-1": "0 or more",
        "evaluation.replicates=-1": "0 or more",
        "evaluation.least_patients=0": "1 or more",
    }.items():
        done = cli(tmp_path, "evaluate", "run=tiny", "baseline=[elapsed_time]", "tracking=none", wrong)
        assert done.returncode == 2 and message in done.stderr, done.stderr
