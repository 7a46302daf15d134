"""`compare` in real processes: two models x two seeds beside a baseline, again, interrupted, in MLflow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import mlflow
import polars as pl
import pytest
from omegaconf import OmegaConf

from clinical_lstm import schemas
from clinical_lstm.artifacts import Directory, Run
from clinical_lstm.errors import InputError
from pipelines import judging

SMALL = [
    *("compare", "cohort=tiny", "models=[gru,lstm]", "model.hidden=4", "trainer.batch_size=32", "runtime.threads=1"),
    *("baseline=[elapsed_time]", "evaluation.replicates=20"),
]


@pytest.fixture(scope="module")
def compared(project, cli, tmp_path_factory):
    """A folder with the tiny cohort, its comparison, and what was printed."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(project / "artifacts/cohorts", folder / "artifacts/cohorts")
    shutil.copy(project / "artifacts/mlflow.db", folder / "artifacts/mlflow.db")  # migrated: saves seconds
    done = cli(folder, *SMALL, "seeds=[1,2]", "trainer.epochs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, Directory(next((folder / "artifacts/comparisons").iterdir())), done.stdout


def test_every_run_is_scored_on_the_rows_of_the_baseline(compared):
    folder, place, _ = compared
    table = schemas.check(schemas.Comparison, place.table("comparison.parquet"), "it")
    assert set(table["predictor"]) == {"gru", "lstm", "elapsed_time"}
    assert {"auroc", "auprc", "utility_cinc2019", "event_recall", "net_benefit"} <= set(table["metric"])
    runs = [Run(path) for path in sorted((folder / "artifacts/runs").iterdir())]
    assert [run.name.rsplit("-", 1)[0] for run in runs] == [
        "tiny-gru-s1",
        "tiny-gru-s2",
        "tiny-lstm-s1",
        "tiny-lstm-s2",
    ]
    rows = {run.table("predictions.parquet").filter(pl.col("split") == "test").height for run in runs}
    assert rows == set(table["n_rows"])
    made = list((folder / "artifacts/cohorts/tiny/baselines").glob("elapsed_time-*"))
    assert len(made) == 2  # with the settings of the project's run, and once with those of all four


def test_the_table_says_seeds_reference_and_costs(compared):
    _, place, _ = compared
    table = place.table("comparison.parquet").filter(pl.col("metric") == "auroc")
    rows = {row["predictor"]: row for row in table.iter_rows(named=True)}
    assert (rows["gru"]["seeds"], rows["elapsed_time"]["seeds"]) == (2, 1)
    assert rows["gru"]["reference"] == "lstm" and rows["gru"]["comparisons"] == 2
    assert rows["lstm"]["difference"] is None and rows["gru"]["seed_sd"] > 0
    assert rows["gru"]["parameters"] < rows["lstm"]["parameters"]
    assert rows["gru"]["epoch_seconds"] > 0 and rows["gru"]["step_milliseconds"] > 0 and rows["gru"]["causal"]
    assert rows["elapsed_time"]["parameters"] is None and not rows["elapsed_time"]["model"]
    facts = place.json("comparison.json")
    single = [run["values"][0]["value"] for run in facts["runs"] if run["predictor"] == "gru"]
    assert rows["gru"]["value"] == pytest.approx(sum(single) / 2, abs=1e-12)
    assert pl.read_csv(place.path / "comparison.csv").height == place.table("comparison.parquet").height


def test_the_terminal_shows_it_within_120_columns(compared):
    _, _, printed = compared
    assert max(len(line) for line in printed.splitlines() if not line.startswith(("train:", "compare:"))) <= 120
    assert "test split: 48 stays" in printed and "difference from lstm" in printed
    assert "2 differences of a table" in printed and "ms / step" in printed


def test_mlflow_has_one_parent_and_a_child_per_run(compared):
    folder, place, _ = compared
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'artifacts/mlflow.db'}")
    link = place.json("mlflow.json")
    parent = client.get_run(link["run_id"])
    assert parent.info.run_name == place.name and parent.data.params["split"] == "test"
    found = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{link['run_id']}'")
    values = {run["name"]: run["values"][0]["value"] for run in place.json("comparison.json")["runs"]}
    assert {run.info.run_name: run.data.metrics["test/auroc"] for run in found} == pytest.approx(values)
    assert {item.path for item in client.list_artifacts(link["run_id"])} >= {"comparison.json", "comparison.csv"}


def test_the_same_command_does_nothing_and_evaluate_keeps_the_predictions(compared, cli):
    folder, place, printed = compared
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".db"}
    again = cli(folder, *SMALL, "seeds=[1,2]", "trainer.epochs=1")
    assert again.returncode == 0 and f"{place.name} is up to date" in again.stdout
    assert again.stdout.splitlines()[-12:] == printed.splitlines()[-12:]
    assert before == {path: path.stat().st_mtime_ns for path in before}
    run = sorted((folder / "artifacts/runs").iterdir())[0]
    marker = Run(run).marker("predictions")
    judged = cli(folder, "evaluate", f"run={run.name}", "baseline=[]", "evaluation.replicates=5", "tracking=none")
    assert judged.returncode == 0, judged.stderr
    assert Run(run).marker("evaluate")["outputs"]["predictions.parquet"] == marker["outputs"]["predictions.parquet"]
    told = cli(folder, "report", f"run={run.name}", "tracking=none")
    assert told.returncode == 0, told.stderr
    assert "Beside other models" in (folder / "reports" / run.name / "index.html").read_text(encoding="utf-8")


def test_interrupted_it_goes_on_where_it_was(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/cohorts", tmp_path / "artifacts/cohorts")
    options = [*SMALL, "trainer.epochs=15", "trainer.patience=15", "tracking=none"]
    command = [sys.executable, "-u", "-m", "pipelines", *options]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    while "compare: lstm" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    while "epoch 2/15" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said
    assert not (tmp_path / "artifacts/comparisons").exists()
    done = cli(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is up to date") == 1 and "resuming" in done.stdout and "epoch 1/15" not in done.stdout
    facts = json.loads(next((tmp_path / "artifacts/comparisons").glob("*/comparison.json")).read_text())
    assert facts["split"] == "test" and len(facts["runs"]) == 3


def test_a_mistake_is_told_before_any_training():
    for seeds, said in (([1, 1], "each once"), ([], "at least one seed")):
        with pytest.raises(InputError, match=said):
            judging.seeds_of(OmegaConf.create({"seeds": seeds}))
    with pytest.raises(InputError, match="did you mean 'test'"):
        judging.split_of(OmegaConf.create({"evaluation": {"split": "tst"}}))
