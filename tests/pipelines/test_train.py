"""`train` in real processes: killed and resumed bit for bit, interrupted, multirun, damaged cohorts."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import pytest

SMALL = [
    "cohort=tiny",
    "model.hidden=8",
    "trainer.epochs=4",
    "trainer.batch_size=16",
    "runtime.threads=1",
    "tracking=none",
]


@pytest.fixture
def cohort(project, tmp_path):
    """A folder with a copy of the tiny cohort and no run."""
    shutil.copytree(project / "artifacts/cohorts/tiny", tmp_path / "artifacts/cohorts/tiny")
    return tmp_path


def start(folder, *arguments):
    command = [sys.executable, "-m", "pipelines", "train", *SMALL, *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_resumed_is_bit_for_bit_the_same(cohort, cli, stop):
    whole = cli(cohort, "train", *SMALL, "run=whole")
    assert whole.returncode == 0, whole.stderr
    process = start(cohort, "run=cut")
    assert "epoch 1/4" in process.stdout.readline()
    assert "epoch 2/4" in process.stdout.readline()
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if stop == signal.SIGINT else -9), said
    if stop == signal.SIGINT:
        assert "resume=true" in said and "Traceback" not in said
    assert not (cohort / "artifacts/runs/cut/done").exists()
    resumed = cli(cohort, "train", *SMALL, "run=cut", "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming" in resumed.stdout
    runs = cohort / "artifacts/runs"
    for name in ("weights.safetensors", "history.csv", "calibrator.json", "thresholds.json"):
        assert (runs / "cut" / name).read_bytes() == (runs / "whole" / name).read_bytes(), name


def test_resume_refuses_other_settings_and_an_empty_place(cohort, cli):
    process = start(cohort, "run=cut")
    assert "epoch 1/4" in process.stdout.readline()
    assert "epoch 2/4" in process.stdout.readline()
    process.kill()
    process.communicate()
    other = cli(cohort, "train", *SMALL, "run=cut", "resume=true", "trainer.learning_rate=0.1")
    assert other.returncode == 2 and "other settings" in other.stderr
    nothing = cli(cohort, "train", *SMALL, "run=new", "resume=true")
    assert nothing.returncode == 2 and "nothing to resume" in nothing.stderr


def test_multirun_trains_one_run_per_seed(cohort, cli):
    done = cli(cohort, "train", "-m", *SMALL, "trainer.epochs=1", "seed=1,2")
    assert done.returncode == 0, done.stderr
    assert len(list((cohort / "artifacts/runs").iterdir())) == 2


def test_a_damaged_cohort_is_named(cohort, cli):
    (cohort / "artifacts/cohorts/tiny/tensors/hours.npy").unlink()
    done = cli(cohort, "train", *SMALL)
    assert done.returncode == 2
    assert "tensors/hours.npy is missing" in done.stderr and "clinical-lstm prepare" in done.stderr
    assert not (cohort / "artifacts/runs").exists()


def test_a_full_disk_is_one_message(cohort):
    command = f"ulimit -f 8; exec {sys.executable} -m pipelines train {' '.join(SMALL)} run=full"
    done = subprocess.run(["bash", "-c", command], cwd=cohort, capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (cohort / "artifacts/runs/full/done").exists()
