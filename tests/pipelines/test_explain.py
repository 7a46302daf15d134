"""`explain`: every explained prediction adds up, and the stages refuse to run out of order."""

from __future__ import annotations

import shutil

import polars as pl

from clinical_lstm.artifacts import Run

KEY = ["stay_id", "hours", "complication", "horizon_hours"]


def test_the_attributions_of_every_prediction_add_up(project):
    run = Run(project / "artifacts/runs/tiny")
    explained, attributions = run.table("explained.parquet"), run.table("attributions.parquet")
    total = attributions.group_by(KEY).agg(pl.col("attribution").sum())
    gaps = explained.join(total, on=KEY, how="left").with_columns(
        (pl.col("attribution").fill_null(0) - pl.col("logit") + pl.col("baseline_logit")).abs().alias("found")
    )
    assert explained["explained"].all()
    assert (gaps["found"] < 0.01).all()
    assert (explained["gap"] < 0.01).all()
    assert "cohort_sample" in explained["reason"].to_list()


def test_without_evaluate_it_says_what_to_run(project, cli, tmp_path):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    (tmp_path / "artifacts/runs/tiny/done/evaluate.json").unlink()
    for stage in ("explain", "report"):
        done = cli(tmp_path, stage, "run=tiny", "tracking=none")
        assert done.returncode == 2
        assert "clinical-lstm evaluate run=tiny" in done.stderr
