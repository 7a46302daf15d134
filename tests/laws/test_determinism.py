"""The same seed gives the same bits, another seed others, and an interruption leaves no trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.inference import Predictor
from clinical_lstm.prediction import predict
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train

SPEC = {"name": "lstm", "hidden": 8, "dropout": 0.4}
SETTINGS = TrainerSettings(epochs=4, batch_size=32, learning_rate=0.01)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def training(cohort: Cohort, folder: Path, seed: int = 1, settings: TrainerSettings = SETTINGS, **more: Any) -> Run:
    return train(cohort, SPEC, settings, seed, folder / "tiny", "key", say=lambda line: None, **more)


def stop_in(epoch: int, kind: type[BaseException]) -> Callable[[dict[str, float]], None]:
    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise kind("the power is out")

    return on_epoch


def bits(run: Run) -> dict[str, bytes]:
    """Return the content of every file that the training put into its marker, and the marker."""
    marker = run.marker("train")
    assert marker is not None
    names = [*marker["outputs"], "done/train.json"]
    assert len(names) > 9
    return {name: (run.path / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def uninterrupted(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return bits(training(tiny_cohort, tmp_path_factory.mktemp("uninterrupted")))


def test_same_seed_gives_the_same_files(tiny_cohort: Cohort, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    torch.rand(17)  # what ran before does not matter
    again = bits(training(tiny_cohort, tmp_path))
    assert [name for name in again if again[name] != uninterrupted[name]] == []


def test_other_seed_gives_other_weights(tiny_cohort: Cohort, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    other = bits(training(tiny_cohort, tmp_path, seed=2))
    for name in ("weights.safetensors", "history.csv"):
        assert other[name] != uninterrupted[name]
    assert other["scaler.parquet"] == uninterrupted["scaler.parquet"]


@pytest.mark.parametrize(("epoch", "kind"), [(1, RuntimeError), (3, KeyboardInterrupt)])
def test_resumed_training_equals_the_uninterrupted_one(
    epoch: int, kind: type[BaseException], tiny_cohort: Cohort, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(kind):
        training(tiny_cohort, tmp_path, on_epoch=stop_in(epoch, kind))
    assert signal.getsignal(signal.SIGINT) == handler
    assert not (tmp_path / "tiny" / "done").exists()
    seen: list[float] = []
    run = training(tiny_cohort, tmp_path, resume=True, on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == list(range(epoch, SETTINGS.epochs))
    resumed = bits(run)
    assert [name for name in resumed if resumed[name] != uninterrupted[name]] == []
    assert not (run.path / "checkpoints").exists()


@pytest.mark.parametrize("patience", [5, 1])
def test_training_killed_while_it_writes_is_resumed(patience: int, tiny_cohort: Cohort, tmp_path: Path) -> None:
    """All epochs are done, or patience has run out; the files are not there yet."""
    settings = replace(SETTINGS, patience=patience, learning_rate=0.05)
    whole = training(tiny_cohort, tmp_path / "whole", settings=settings)
    assert (whole.json("timing.json")["epochs"] < settings.epochs) == (patience == 1)
    obstacle = tmp_path / "killed" / "tiny" / "weights.safetensors"
    obstacle.mkdir(parents=True)
    with pytest.raises(OSError):
        training(tiny_cohort, tmp_path / "killed", settings=settings)
    obstacle.rmdir()
    resumed, expected = bits(training(tiny_cohort, tmp_path / "killed", settings=settings, resume=True)), bits(whole)
    assert [name for name in resumed if resumed[name] != expected[name]] == []


def test_shards_and_folders_do_not_change_a_bit_of_a_cohort(
    tiny_cohort: Cohort, tiny_source: Path, tmp_path: Path
) -> None:
    manifest = tiny_cohort.json("manifest.json")
    task, split = Task.of(manifest["task"]), manifest["split"]
    shutil.copytree(tiny_source, tmp_path / "elsewhere")
    outputs = []
    for name, root, shard in [("same", tiny_source, 100), ("one", tmp_path / "elsewhere", 1000)]:
        source = PhysioNet2019(str(root), shard_stays=shard)
        cohort = prepare(source, task, split, tmp_path / name, "tiny", {}, say=lambda line: None)
        outputs.append(cohort.require("prepare", "")["outputs"])
    marker = tiny_cohort.require("prepare", "")["outputs"]
    assert {n for n in marker if outputs[0].get(n) != marker[n]} == {"manifest.json"}  # it bears the cohort's name
    shared = [n for n in marker if "part-" not in n and n != "manifest.json"]
    assert len(shared) > 9
    assert [n for n in shared if outputs[1][n] != marker[n]] == []


PREPARE = """
import json, sys
from pathlib import Path
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.sources.physionet2019 import PhysioNet2019

root, path, manifest = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
prepare(PhysioNet2019(root, shard_stays=100), Task.of(manifest["task"]), manifest["split"], path, "tiny", {})
"""


def test_another_process_writes_the_same_cohort(tiny_cohort: Cohort, tiny_source: Path, tmp_path: Path) -> None:
    """Neither the order of sets nor the number of threads is in it."""
    manifest = tiny_cohort.path / "manifest.json"
    command = [sys.executable, "-c", PREPARE, str(tiny_source), str(tmp_path / "tiny"), str(manifest)]
    environment = os.environ | {"PYTHONHASHSEED": "123", "POLARS_MAX_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert Cohort(tmp_path / "tiny").marker("prepare") == tiny_cohort.marker("prepare")


def test_predictions_are_the_same_bits_however_stays_are_grouped(tiny_run: Run, tiny_source: Path) -> None:
    predictor, tables = Predictor.load(tiny_run), []
    for shard in (1000, 37):
        extracts = PhysioNet2019(str(tiny_source), shard_stays=shard).extracts()
        parts = [found.select("stay_id", "hours", "risk") for found, _ in predict(tiny_run, predictor, extracts)]
        assert len(parts) == -(-240 // shard)
        tables.append(pl.concat(parts).sort("stay_id", "hours"))
    assert tables[0].equals(tables[1])
