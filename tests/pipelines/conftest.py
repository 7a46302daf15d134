"""One project directory with a whole pipeline run in real processes, shared by the tests of the stages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
SMALL = [
    "experiment=demo",
    "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}",
    "model.hidden=8",
    "trainer.epochs=3",
    "trainer.batch_size=32",
    "evaluation.replicates=20",
    "explanation.per_reason=1",
    "explanation.cohort_sample=4",
    "baseline=[elapsed_time]",
    "runtime.threads=1",
]


def environment() -> dict[str, str]:
    """Return the environment of a stage on one thread."""
    return os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture(scope="session")
def cli() -> Cli:
    """`cli(folder, "train", "cohort=x")` runs a stage in `folder` and returns what it printed."""

    def call(folder: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment(), text=True, capture_output=True, check=False, timeout=300, **options
        )  # type: ignore[call-overload]

    return call


@pytest.fixture(scope="session")
def small() -> list[str]:
    """The overrides that make a pipeline of seconds."""
    return SMALL


@pytest.fixture(scope="session")
def project(cli: Cli, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `clinical-lstm run` has finished on 240 real stays; read it, do not change it."""
    folder = tmp_path_factory.mktemp("project")
    done = cli(folder, "run", *SMALL, f"source.root={tiny_source}", "cohort=tiny", "run=tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder
