"""`export` writes what the MEDS ecosystem reads: the labels of a cohort, the predictions of a run."""

from __future__ import annotations

import polars as pl
import pytest
from meds_evaluation.evaluate import evaluate_binary_classification


def test_labels_of_a_cohort(project, cli, tmp_path):
    done = cli(project, "export", "cohort=tiny", f"out={tmp_path / 'labels'}")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(tmp_path / "labels" / "sepsis_label_6h.parquet")
    own = pl.read_parquet(project / "artifacts/cohorts/tiny/labels/*.parquet").filter("at_risk")
    assert found.height == own.height
    assert found["boolean_value"].sum() == own["label"].sum()
    assert f"{found.height:,} rows" in done.stdout


def test_predictions_of_a_run_are_scored_as_evaluate_did(project, cli, tmp_path):
    done = cli(project, "export", "run=tiny", f"out={tmp_path / 'risks'}")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(tmp_path / "risks" / "sepsis_label_6h.parquet")
    scores = pl.read_parquet(project / "artifacts/runs/tiny/scores.parquet").filter(
        predictor="model", subset="all", metric="auroc"
    )
    assert found.height == scores["n_rows"].item()
    theirs = evaluate_binary_classification(found)["samples_equally_weighted"]["roc_auc_score"]
    assert theirs == pytest.approx(scores["value"].item(), abs=1e-5)  # their probabilities have 32 bits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cohort=tiny"], "say what to write and where"),
        (["cohort=tiny", "run=tiny", "out=x"], "say what to write and where"),
        (["run=tinny", "out=x"], "there is no run"),
    ],
)
def test_mistakes_get_one_line(project, cli, arguments, message):
    done = cli(project, "export", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_existing_folder_is_left_alone(project, cli, tmp_path):
    done = cli(project, "export", "cohort=tiny", f"out={tmp_path}")
    assert done.returncode == 2
    assert "exists; name a new folder" in done.stderr
