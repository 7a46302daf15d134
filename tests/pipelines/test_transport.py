"""`transport`: every site is once the unseen one; nothing of it is trained on; local patients repair what they can."""

from __future__ import annotations

import json
import shutil

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort, Run

SMALL = ["model.hidden=4", "trainer.epochs=1", "trainer.batch_size=32", "baseline=[elapsed_time]", "tracking=none"]
SMALL += ["evaluation.replicates=10", "runtime.threads=1"]


def test_without_a_site_and_of_a_run(project, cli, tmp_path, tiny_source):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    fractions = "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}"
    command = ["transport", "experiment=demo", f"source.root={tiny_source}", "cohort=tiny", fractions, *SMALL]
    done = cli(tmp_path, *command, "sites=[B]", "out=travels")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A -> B" in done.stdout and "local patients" in done.stdout
    [fact] = json.loads((tmp_path / "travels/transport.json").read_text())
    assert fact["sites"] == {"train": ["A"], "test": ["B"]}
    cohort, run = Cohort(tmp_path / "artifacts/cohorts/tiny-without-B"), Run(tmp_path / "artifacts/runs" / fact["run"])
    stays = cohort.table("stays.parquet")
    assert set(stays.filter(site="B")["split"]) == {"test"}
    assert "test" not in set(stays.filter(site="A")["split"])
    schemas.check(schemas.Recalibration, run.table("recalibration.parquet"), "it")
    shift = schemas.check(schemas.DomainShift, run.table("domain_shift.parquet"), "it")
    assert {"heart_rate", "lactate", "length_hours"} <= set(shift["variable"])
    [target] = fact["targets"]
    scores = run.table("scores.parquet").filter(predictor="model", subset="all", metric="auroc")
    assert target["away"]["auroc"]["value"] == scores["value"].item()
    again = cli(tmp_path, "transport", f"run={fact['run']}", *SMALL[3:])
    assert again.returncode == 0 and "up to date" in again.stdout, again.stderr


def test_what_cannot_travel_is_told(project, cli, tmp_path):
    shutil.copytree(project / "artifacts/runs/tiny", tmp_path / "artifacts/runs/tiny")
    (tmp_path / "artifacts/runs/tiny/done/evaluate.json").unlink()
    done = cli(tmp_path, "transport", "run=tiny", "tracking=none")
    assert done.returncode == 2 and "clinical-lstm evaluate run=tiny" in done.stderr


def test_an_unknown_site_is_refused(project, cli, tmp_path, tiny_source):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    fractions = "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}"
    done = cli(
        tmp_path, "transport", "experiment=demo", f"source.root={tiny_source}", "cohort=tiny", fractions, "sites=[C]"
    )
    assert done.returncode == 2 and "there is no 'C'" in done.stderr
    assert pl.read_parquet(tmp_path / "artifacts/cohorts/tiny/stays.parquet").height == 240
