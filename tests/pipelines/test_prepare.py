"""`prepare` in real processes: idempotent, interruptible, and clean after a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

FRACTIONS = "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}"


def test_again_does_nothing_and_changed_inputs_are_seen(cli, tmp_path, tiny_source):
    command = ["prepare", f"source.root={tiny_source}", "cohort=c", FRACTIONS]
    assert cli(tmp_path, *command).returncode == 0
    assert "up to date" in cli(tmp_path, *command).stdout
    changed = cli(tmp_path, *command, "task.horizons_hours=[12.0]")
    assert changed.returncode == 0 and "wrote" in changed.stdout


def test_a_full_disk_leaves_nothing(tmp_path, tiny_source):
    command = (
        f"ulimit -f 40; exec {sys.executable} -m pipelines prepare source.root={tiny_source} cohort=c '{FRACTIONS}'"
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "artifacts/cohorts").iterdir())


def test_ctrl_c_and_the_same_command_again(cli, tmp_path, sample):
    command = ["prepare", f"source.root={sample}", "source.shard_stays=50", "cohort=c"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first shard is written
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said and "Traceback" not in said
    assert not list((tmp_path / "artifacts/cohorts").iterdir())
    assert cli(tmp_path, *command).returncode == 0


def test_a_killed_run_leaves_no_cohort_and_the_next_one_clears_up(cli, tmp_path, sample):
    command = ["prepare", f"source.root={sample}", "source.shard_stays=50", "cohort=c"]
    process = subprocess.Popen([sys.executable, "-m", "pipelines", *command], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    time.sleep(0.1)
    assert not (tmp_path / "artifacts/cohorts/c").exists()
    assert cli(tmp_path, *command).returncode == 0
    assert [p.name for p in (tmp_path / "artifacts/cohorts").iterdir()] == ["c"]


@pytest.mark.parametrize("kept", ["septic", "healthy"])
def test_one_class_is_refused_with_counts(cli, tmp_path, tiny_source, kept):
    (tmp_path / "data").mkdir()
    for record in sorted(tiny_source.rglob("*.psv"))[:60]:
        text = record.read_text()
        if ("|1\n" in text) == (kept == "septic"):
            (tmp_path / "data" / record.name).write_text(text)
    done = cli(tmp_path, "prepare", "source.root=data", "cohort=c", FRACTIONS, "task=sepsis_onset")
    assert done.returncode == 2
    assert "one class only" in done.stderr and ("0 positive" in done.stderr or kept == "septic")
    assert not (tmp_path / "artifacts/cohorts/c").exists()
