"""What the MLflow UI shows of a run: scores with their bounds, and how far its explanations may be trusted."""

from __future__ import annotations

import mlflow
import pytest

from clinical_lstm.artifacts import Run, read_json
from pipelines.logged_numbers import accepted


@pytest.fixture(scope="module")
def logged(project):
    client = mlflow.MlflowClient(f"sqlite:///{project / 'artifacts/mlflow.db'}")
    return client.get_run(read_json(project / "artifacts/runs/tiny/mlflow.json")["run_id"]).data.metrics


def test_scores_and_bounds_are_those_of_the_run(project, logged):
    scores = Run(project / "artifacts/runs/tiny").table("scores.parquet").filter(subset="all", predictor="model")
    for metric in ("auroc", "event_recall", "false_alarms_per_patient_day", "ici"):
        row = scores.filter(metric=metric).row(0, named=True)
        assert logged[f"test/{metric}"] == row["value"]
        assert logged[f"test/{metric}_low"] == row["low"]
    assert "test/model-elapsed_time/auroc" in logged and "test/elapsed_time/auroc" in logged


def test_checks_of_explanations_are_metrics(project, logged):
    checks = Run(project / "artifacts/runs/tiny").json("checks.json")
    assert logged["explain/n"] == checks["n"] > 0
    assert {name for name in logged if name.startswith("explain/")} >= {"explain/max_gap", "explain/n_explained"}


def test_mlflow_takes_the_figures_of_any_subgroup(tmp_path):
    """One name that it refuses would cost a run all its figures."""
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("subgroups")).info.run_id
    levels = ["age_<45", "age_80+", "bmi_>=30 kg/m²", "site_St. Mary's (north), №1", "site_Hôpital #2; α&β"]
    names = [accepted(f"test/{level}/auroc") for level in levels]
    for number, name in enumerate(names):
        client.log_metric(run, name, number)
    assert client.get_run(run).data.metrics == {name: number for number, name in enumerate(names)}
