"""The official demo, unpacked once."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with hosp/ and icu/ of the MIMIC-IV demo (without icu/chartevents)."""
    folder = tmp_path_factory.mktemp("mimic_iv")
    with tarfile.open(next((shared / "data" / "mimic-iv-demo").glob("*.tar"))) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("icustays.csv.gz")).parents[1]
