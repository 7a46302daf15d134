"""Ctrl-C in every stage: status 130, one line, nothing half-written; the same command then finishes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import pytest

STAGES = {
    "evaluate": ["run=tiny", "baseline=[elapsed_time]", "evaluation.replicates=2000", "tracking=none"],
    "explain": ["run=tiny", "explanation.cohort_sample=60", "evaluation.replicates=20", "tracking=none"],
    "report": ["run=tiny", "tracking=none"],
    "predict": ["run=tiny", "source.shard_stays=20", "out=risks.parquet"],
}
WRITES = {"evaluate": "artifacts/runs/tiny/done/evaluate.json", "explain": "artifacts/runs/tiny/done/explain.json",
          "report": "reports/tiny/index.html", "predict": "risks.parquet"}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_interrupted_and_run_again(project, cli, tiny_source, tmp_path, stage):
    shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    (tmp_path / WRITES[stage]).unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    arguments = [stage, *STAGES[stage]] + ([f"source.root={tiny_source}"] if stage == "predict" else [])
    command = [sys.executable, "-u", "-m", "pipelines", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline().startswith(stage)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said and "Traceback" not in said
    assert not (tmp_path / WRITES[stage]).exists()
    assert not list(tmp_path.rglob("*.partial-*"))
    assert set(before) <= {path for path in tmp_path.rglob("*") if path.is_file()}
    again = cli(tmp_path, *arguments)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / WRITES[stage]).exists()
