"""The MLflow view of a run, on a real SQLite store, and what a dead or locked one costs: nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3

import mlflow
import pytest

from clinical_lstm.artifacts import Run
from pipelines.tracking import Tracker


@pytest.fixture(scope="module")
def tracked(project):
    """The MLflow run of the project's run, and the client that reads it."""
    link = json.loads((project / "artifacts/runs/tiny/mlflow.json").read_text())
    client = mlflow.MlflowClient(link["uri"])
    return client, client.get_run(link["run_id"])


def test_parameters_metrics_tags_and_data_set(project, tracked):
    client, run = tracked
    assert run.data.params["model.arguments.hidden"] == "8"
    assert run.data.params["training.epochs"] == "3"
    assert run.data.params["task.name"] == "sepsis_6h"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "val_auroc")] == [0, 1, 2]
    for name in ("test/auroc", "test/auroc_low", "test/auroc_high", "test/utility_cinc2019", "test/elapsed_time/auroc"):
        assert name in run.data.metrics
    assert run.data.tags["run_directory"] == str(project / "artifacts/runs/tiny")
    assert "PhysioNet/CinC Challenge 2019" in run.data.tags["source"]
    assert len(run.inputs.dataset_inputs) == 1
    assert run.info.status == "FINISHED"


def test_artefacts_are_there_and_no_patient_table_is(tracked):
    client, run = tracked
    names = {item.path for item in client.list_artifacts(run.info.run_id, "run")}
    assert {"run/environment.txt", "run/config.yaml", "run/manifest.json", "run/scores.parquet"} <= names
    assert not [name for name in names if "predictions" in name or "explained" in name]
    pages = {item.path for item in client.list_artifacts(run.info.run_id, "report")}
    assert {"report/index.html", "report/figures"} <= pages


def test_pages_of_single_stays_never_leave_the_machine(project, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    (tmp_path / "artifacts/runs/tiny/mlflow.json").unlink()
    shutil.copy(project / "artifacts/mlflow.db", tmp_path / "artifacts/mlflow.db")  # migrated: saves seconds
    for name in ("index.html", "card.md", "figures/roc.png", "stays/p000001.html"):
        page = tmp_path / "report" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("a page")
    tracker = Tracker(
        {"name": "mlflow", "experiment": "stays"}, str(tmp_path / "artifacts"), Run(tmp_path / "artifacts/runs/tiny")
    )
    assert tracker.publish(tmp_path / "report")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'artifacts/mlflow.db'}")
    link = json.loads((tmp_path / "artifacts/runs/tiny/mlflow.json").read_text())
    logged = {item.path for item in client.list_artifacts(link["run_id"], "report")}
    assert logged == {"report/index.html", "report/card.md", "report/figures"}


def test_publishing_twice_changes_nothing(project, tracked, tmp_path):
    _, run = tracked
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    place = Run(tmp_path / "artifacts/runs/tiny")
    uri = f"sqlite:///{tmp_path / 'artifacts/mlflow.db'}"
    link = place.json("mlflow.json")
    (place.path / "mlflow.json").write_text(json.dumps(link | {"uri": uri}))
    assert Tracker({"name": "mlflow"}, str(tmp_path / "artifacts"), place).publish()
    copy = mlflow.MlflowClient(uri)
    assert copy.get_run(run.info.run_id).data.metrics == run.data.metrics
    assert len(copy.get_metric_history(run.info.run_id, "val_loss")) == 3


def test_a_dead_server_loses_no_training(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/cohorts/tiny", tmp_path / "artifacts/cohorts/tiny")
    done = cli(tmp_path, "train", "cohort=tiny", "run=r", "model.hidden=4", "trainer.epochs=1", "runtime.threads=1",
               "tracking.uri=http://127.0.0.1:9")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "clinical-lstm track run=r" in done.stdout
    assert Run(tmp_path / "artifacts/runs/r").verify()["name"] == "r"
    again = cli(tmp_path, "track", "run=r", "tracking.uri=http://127.0.0.1:9")
    assert again.returncode == 2 and "could not be written" in again.stderr


def test_a_locked_store_loses_no_training(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/cohorts/tiny", tmp_path / "artifacts/cohorts/tiny")
    shutil.copy(project / "artifacts/mlflow.db", tmp_path / "artifacts/mlflow.db")
    lock = sqlite3.connect(tmp_path / "artifacts/mlflow.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        done = cli(tmp_path, "train", "cohort=tiny", "run=r", "model.hidden=4", "trainer.epochs=1", "runtime.threads=1")
    finally:
        lock.close()
    assert done.returncode == 0, done.stderr
    assert "clinical-lstm track run=r" in done.stdout
    assert cli(tmp_path, "track", "run=r").returncode == 0
