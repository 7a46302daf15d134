"""`predict` from the run directory alone: the bits of `evaluate`, in any company, labels optional."""

from __future__ import annotations

import shutil
import subprocess
import sys

import polars as pl
import pytest

KEY = ["stay_id", "hours", "complication", "horizon_hours"]


@pytest.fixture(scope="module")
def alone(project, tmp_path_factory):
    """A folder that holds the run directory and nothing else of the project."""
    folder = tmp_path_factory.mktemp("bedside")
    shutil.copytree(project / "artifacts/runs/tiny", folder / "model")
    return folder


@pytest.fixture(scope="module")
def evaluated(project):
    return pl.read_parquet(project / "artifacts/runs/tiny/predictions.parquet").sort(KEY)


def test_the_bits_of_evaluate_for_all_stays(alone, cli, tiny_source, evaluated):
    done = cli(alone, "predict", "run=./model", f"source.root={tiny_source}", "out=all.parquet")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(alone / "all.parquet")
    assert found["split"].unique().to_list() == ["new"]
    assert found["risk"].is_between(0, 1, closed="none").all()
    same = evaluated.join(found, on=KEY, suffix="_new", how="left", maintain_order="left")
    assert (same["risk"] == same["risk_new"]).all()
    assert (same["label"] == same["label_new"]).all()
    assert 0 < found["alarm"].sum() < (found["risk"] >= 0).sum() and f"{found['alarm'].sum():,} alarms" in done.stdout


def test_a_run_that_was_never_evaluated_has_risks_and_no_alarms(alone, cli, tiny_source, tmp_path):
    shutil.copytree(alone / "model", tmp_path / "model")
    (tmp_path / "model/alarms.json").unlink()
    done = cli(tmp_path, "predict", "run=./model", f"source.root={tiny_source}", "out=all.parquet")
    assert done.returncode == 0 and "clinical-lstm evaluate" in done.stdout
    assert pl.read_parquet(tmp_path / "all.parquet")["alarm"].null_count() > 0


def test_the_same_bits_for_one_stay_without_labels(alone, cli, tiny_source, evaluated, tmp_path):
    stay = evaluated["stay_id"][0]
    path = next(tiny_source.rglob(f"{stay}.psv"))
    rows = path.read_text().splitlines()
    (tmp_path / path.name).write_text("\n".join(row.rsplit("|", 1)[0] for row in rows) + "\n")
    done = cli(alone, "predict", "run=./model", f"source.root={tmp_path}", "out=one.csv")
    assert done.returncode == 0, done.stderr
    assert "no labels" in done.stdout
    found = pl.read_csv(alone / "one.csv")
    assert found["label"].null_count() == found.height == len(rows) - 1
    assert found["risk"].to_list() == evaluated.filter(pl.col("stay_id") == stay)["risk"].to_list()


def test_a_damaged_run_is_named(alone, cli, tiny_source, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(alone / "model", broken)
    with (broken / "thresholds.json").open("a") as stream:
        stream.write(" ")
    (broken / "weights.safetensors").unlink()
    done = cli(tmp_path, "predict", "run=./broken", f"source.root={tiny_source}", "out=x.parquet")
    assert done.returncode == 2
    assert "weights.safetensors is missing" in done.stderr and "thresholds.json was altered" in done.stderr
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize("out", ["risks.parquet", "risks.csv"])
def test_a_full_disk_is_one_message_and_leaves_nothing(alone, tiny_source, tmp_path, out):
    command = f"{sys.executable} -m pipelines predict run={alone}/model source.root={tiny_source} out={tmp_path}/{out}"
    done = subprocess.run(["bash", "-c", f"ulimit -f 4; exec {command}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
