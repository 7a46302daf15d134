"""`track` rebuilds MLflow from run directories: deleting the store loses nothing."""

from __future__ import annotations

import json
import shutil

import mlflow


def test_a_deleted_store_is_rebuilt(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    old = json.loads((project / "artifacts/runs/tiny/mlflow.json").read_text())
    done = cli(tmp_path, "track", "run=last")
    assert done.returncode == 0, done.stderr
    new = json.loads((tmp_path / "artifacts/runs/tiny/mlflow.json").read_text())
    before = mlflow.MlflowClient(old["uri"]).get_run(old["run_id"]).data
    after = mlflow.MlflowClient(new["uri"]).get_run(new["run_id"]).data
    assert after.metrics == before.metrics
    assert after.params == before.params
