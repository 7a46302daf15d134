"""The whole pipeline in one command: what it leaves, and that the same command again does nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run

TABLES = {
    "predictions.parquet": schemas.Predictions,
    "scores.parquet": schemas.Scores,
    "curves.parquet": schemas.Curves,
    "explained.parquet": schemas.Explained,
    "attributions.parquet": schemas.Attributions,
    "explained_stays.parquet": schemas.SplitStays,
    "explained_observations.parquet": schemas.Observations,
    "explained_episodes.parquet": schemas.Episodes,
    "scaler.parquet": schemas.ScalerTable,
}


def test_the_run_directory_keeps_every_contract(project):
    run = Run(project / "artifacts/runs/tiny")
    for name, schema in TABLES.items():
        assert schemas.check(schema, run.table(name), name).height > 0
    for stage in ("train", "evaluate", "explain"):
        assert run.require(stage, "")["outputs"]
    assert not (run.path / "checkpoints").exists()


def test_the_pages_are_where_the_command_says(project):
    printed = (project / "printed.txt").read_text()
    page = Path(next(line for line in printed.splitlines() if line.startswith("run: report")).split(" ", 2)[2])
    assert page.is_file()
    assert "clinical-lstm ui" in printed
    figures = list((page.parent / "figures").iterdir())
    assert {path.suffix for path in figures} == {".png"}
    assert {"roc", "pr", "calibration", "decision"} <= {path.name.split("_")[0] for path in figures}


def test_every_risk_of_a_stay_outside_train_is_there_once(project):
    run = Run(project / "artifacts/runs/tiny")
    stays = pl.read_parquet(project / "artifacts/cohorts/tiny/stays.parquet")
    judged = stays.filter(pl.col("split") != "train")
    hours = (judged["length_hours"] - judged["start_hours"]).sum()
    assert run.table("predictions.parquet").height == hours


def test_the_same_command_again_does_nothing(project, cli, tiny_source, small):
    before = {p: p.stat().st_mtime_ns for p in (project / "artifacts").rglob("*.parquet")}
    again = cli(project, "run", *small, f"source.root={tiny_source}", "cohort=tiny", "run=tiny")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("up to date") == 4
    assert {p: p.stat().st_mtime_ns for p in (project / "artifacts").rglob("*.parquet")} == before
