"""The logged pyfunc: loaded and served for real, the risks are those of the run directory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import polars as pl
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.inference import Predictor
from clinical_lstm.prediction import extract_of, predict
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.variables import static_names


@pytest.fixture(scope="module")
def table(tiny_source):
    """The long observation table of three real stays, statics as rows at hour 0."""
    extract = next(PhysioNet2019(str(tiny_source)).extracts())
    few = extract.stays.head(3)
    observations, _ = clean(extract._replace(stays=few))
    statics = clean_stays(few).unpivot(index="stay_id", on=static_names()).drop_nulls()
    rows = statics.with_columns(pl.lit(0.0).alias("hours")).select("stay_id", "hours", "variable", "value")
    return pl.concat([rows, observations])


@pytest.fixture(scope="module")
def model_uri(project):
    link = json.loads((project / "artifacts/runs/tiny/mlflow.json").read_text())
    mlflow.set_tracking_uri(link["uri"])
    experiment = mlflow.get_experiment_by_name("clinical_lstm").experiment_id
    found = mlflow.search_logged_models(
        experiment_ids=[experiment], filter_string=f"source_run_id = '{link['run_id']}'", output_format="list"
    )
    assert len(found) == 1
    return found[0].artifact_location.removeprefix("file://")


@pytest.fixture(scope="module")
def expected(project, table):
    run = Run(project / "artifacts/runs/tiny")
    (found, _), *_ = predict(run, Predictor.load(run), [extract_of(table)])
    return found


def test_loaded_it_gives_the_same_risks(model_uri, table, expected):
    model = mlflow.pyfunc.load_model(model_uri)
    assert {column.name for column in model.metadata.signature.inputs} == {"stay_id", "hours", "variable", "value"}
    found = model.predict(table.to_pandas())
    assert found["risk"].tolist() == expected["risk"].to_list()
    assert found["stay_id"].tolist() == expected["stay_id"].to_list()


def test_served_over_http_it_gives_the_same_risks(model_uri, table, expected, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model_uri, "--env-manager", "local",
               "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PATH": path}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        body = json.dumps({"dataframe_records": table.to_dicts()}).encode()
        answer = _ask(f"http://127.0.0.1:{port}/invocations", body)
    finally:
        os.killpg(server.pid, 9)
        server.wait()
    assert [row["risk"] for row in answer["predictions"]] == expected["risk"].to_list()


def _ask(url: str, body: bytes) -> dict:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    for _ in range(60):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except (ConnectionError, urllib.error.URLError):
            time.sleep(1)
    raise AssertionError("the server did not answer within a minute")
