"""What several test files share: where the data lie, and one small real cohort and run, made once per test process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

import clinical_lstm
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.sources import archive
from clinical_lstm.sources.physionet2019 import PhysioNet2019

# The same examples in every run: what fails once, fails until it is mended.
settings.register_profile("reproducible", derandomize=True)
settings.load_profile("reproducible")

REPOSITORY = Path(clinical_lstm.__file__).parents[1]
FRACTIONS = {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}
TINY = {("A", True): 40, ("A", False): 120, ("B", True): 20, ("B", False): 60}  # (site, septic) -> records


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with the full data sets and reference values."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder.name} with the full data sets beside the repository")
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The archive of PhysioNet/CinC 2019 records that the package ships."""
    folder = REPOSITORY / "clinical_lstm" / "sources" / "samples" / "physionet2019"
    return next(folder.glob("*.tar.xz"))


@pytest.fixture(scope="session")
def tiny_source(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 240 records of the sample, both hospitals, a quarter of them septic."""
    folder = tmp_path_factory.mktemp("tiny_source")
    left = dict(TINY)
    for name, content in archive.records(sample, ".psv"):
        *_, site_folder, base = name.split("/")
        kind = (site_folder[-1], any(line.endswith(b"|1") for line in content.splitlines()[1:]))
        if left[kind]:
            left[kind] -= 1
            (folder / site_folder).mkdir(exist_ok=True)
            (folder / site_folder / base).write_bytes(content)
    assert not any(left.values())
    return folder


@pytest.fixture(scope="session")
def tiny_cohort(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The cohort of `tiny_source` with the shipped task sepsis_6h, in shards of 100 stays."""
    from omegaconf import OmegaConf

    spec = OmegaConf.to_container(OmegaConf.load(REPOSITORY / "conf" / "task" / "sepsis_6h.yaml"))
    source = PhysioNet2019(str(tiny_source), shard_stays=100)
    path = tmp_path_factory.mktemp("artifacts") / "cohorts" / "tiny"
    return prepare(source, Task.of(spec), {"fractions": FRACTIONS}, path, "tiny", {}, say=lambda line: None)


@pytest.fixture(scope="session")
def tiny_run(tiny_cohort: Cohort) -> Run:
    """An LSTM of 8 hidden units, trained for two epochs on `tiny_cohort`."""
    import torch

    from clinical_lstm.training.fit import TrainerSettings
    from clinical_lstm.training.train import train

    torch.set_num_threads(1)
    path = tiny_cohort.path.parents[1] / "runs" / "tiny"
    settings = TrainerSettings(epochs=2, batch_size=32)
    return train(tiny_cohort, {"name": "lstm", "hidden": 8}, settings, 1, path, "tiny", say=lambda line: None)
