"""A built wheel in an empty virtual environment does what the checkout does, from any directory."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The bin folder of a virtual environment with the wheel; its dependencies are those of this Python."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(REPOSITORY)], check=True, cwd=folder)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    binaries = folder / "venv" / "bin"
    wheel = next(folder.glob("*.whl"))
    subprocess.run([str(binaries / "pip"), "install", "--quiet", "--no-deps", str(wheel)], check=True, cwd=folder)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return binaries


def test_nothing_but_the_package_lands_at_the_top(installed):
    site = next((installed.parent / "lib").glob("python*")) / "site-packages"
    assert not (site / "pipelines").exists() and not (site / "conf").exists()
    assert (site / "clinical_lstm/_shells/conf/config.yaml").is_file()


def test_command_and_module_run_from_another_directory(installed, tiny_source, tmp_path):
    assert "clinical-lstm train" in _run([installed / "clinical-lstm", "train", "--help"], tmp_path)
    assert "clinical-lstm train" in _run([installed / "python", "-m", "pipelines.train", "--help"], tmp_path)
    where = _run([installed / "python", "-c", "import clinical_lstm, pipelines; print(pipelines.__file__)"], tmp_path)
    assert "_shells" in where
    overrides = [f"source.root={tiny_source}", "split.fractions={train: 0.4, val: 0.2, calib: 0.2, test: 0.2}"]
    printed = _run([installed / "python", "-m", "pipelines.prepare", *overrides, "cohort=c"], tmp_path)
    assert "wrote artifacts/cohorts/c" in printed
    assert "up to date" in _run([installed / "clinical-lstm", "prepare", *overrides, "cohort=c"], tmp_path)


def _run(command: list, folder: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
