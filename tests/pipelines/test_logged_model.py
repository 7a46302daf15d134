"""What lies in the logged model: pinned packages, code, safetensors; nothing that is unpickled, no data."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
import yaml

from pipelines.logged_model import REQUIREMENTS


@pytest.fixture(scope="module")
def folder(project):
    link = json.loads((project / "artifacts/runs/tiny/mlflow.json").read_text())
    client = mlflow.MlflowClient(link["uri"])
    experiment = client.get_experiment_by_name(link["experiment"]).experiment_id
    (model,) = client.search_logged_models([experiment], filter_string=f"source_run_id = '{link['run_id']}'")
    return Path(model.artifact_location.removeprefix("file://"))


def test_nothing_in_it_is_a_pickle_or_a_patient(folder):
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert "weights.safetensors" in names and "served_model.py" in names
    assert not {name for name in names if name.endswith((".pkl", ".pt", ".ckpt", ".pth"))}
    assert not {name for name in names if name.startswith(("predictions", "explained", "attributions"))}


def test_versions_are_pinned_and_the_package_travels(folder):
    lines = (folder / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in lines} >= set(REQUIREMENTS)
    assert all("==" in line and "+" not in line for line in lines)
    assert (folder / "code/clinical_lstm/inference.py").is_file()
    flavour = yaml.safe_load((folder / "MLmodel").read_text())
    assert "risk" in flavour["signature"]["outputs"]
