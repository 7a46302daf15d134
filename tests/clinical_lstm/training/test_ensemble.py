"""Two seeds of a tiny cohort, averaged: risks, calibration, operation, and what must not be averaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm.artifacts import Cohort, Run, write_json
from clinical_lstm.calibration import Calibrator
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor, logits
from clinical_lstm.training import operating
from clinical_lstm.training.data import training_data
from clinical_lstm.training.ensemble import ensemble
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import FILES, train

ONE = TrainerSettings(epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def runs(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs of other seeds, models and inputs."""
    torch.set_num_threads(1)
    folder, made = tmp_path_factory.mktemp("runs"), []
    specs = {"a": {"name": "lstm", "hidden": 8}, "b": {"name": "gru", "hidden": 6, "inputs": {"statistics": True}}}
    for seed, (name, spec) in enumerate(specs.items()):
        made.append(train(tiny_cohort, spec, ONE, seed, folder / name, name, say=lambda line: None))
    return made


@pytest.fixture(scope="module")
def average(tiny_cohort: Cohort, runs: list[Run]) -> Run:
    return ensemble(
        tiny_cohort, runs, runs[0].path.with_name("average"), "key", files={"config.yaml": "runs: [a, b]\n"}
    )


def test_its_logits_are_the_mean_of_its_members(runs: list[Run], average: Run, tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    one, other, mean = (logits(Predictor.load(r).model, data.seen, data.scaler) for r in (*runs, average))
    assert np.abs(one - other).max() > 1e-3
    assert np.abs((one + other) / 2 - mean).max() <= 1e-6


def test_it_is_calibrated_and_operated_by_its_own_logits(average: Run, tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    found = logits(Predictor.load(average).model, data.seen, data.scaler)
    rows = operating.rows_of(data.tensors, tiny_cohort.table("stays.parquet"), data.label)
    [fitted] = operating.calibrate(found, rows, "auto")
    [item] = average.json("calibrator.json")
    assert Calibrator.from_json(item["map"]).to_json() == fitted.to_json()
    expected = operating.thresholds(found, rows, [fitted], [("sepsis_label", 6.0)], "youden")
    assert average.json("thresholds.json") == expected


def test_its_directory_is_that_of_a_run(average: Run) -> None:
    marker = average.marker("train")
    assert marker is not None and marker["key"] == "key"
    assert sorted(marker["outputs"]) == sorted([*FILES, "config.yaml"])


def test_its_manifest_names_its_members(runs: list[Run], average: Run) -> None:
    manifest = average.verify()
    parts = [run.json("manifest.json") for run in runs]
    assert [(m["name"], m["model"], m["seed"]) for m in manifest["members"]] == [("a", "lstm", 0), ("b", "gru", 1)]
    for member, run in zip(manifest["members"], runs):
        assert member["weights_sha256"] == (run.marker("train") or {})["outputs"]["weights.safetensors"]
    assert manifest["parameters"] == sum(part["parameters"] for part in parts)
    for name in ("targets", "task", "variables", "statics", "cohort_outputs", "training"):
        assert manifest[name] == parts[0][name]
    assert manifest["model"]["name"] == "ensemble"
    assert average.json("model.json")["model"]["members"] == [run.json("model.json")["model"] for run in runs]


def altered(run: Run, folder: Path, name: str, **changes: Any) -> Run:
    """Return a copy of a finished run whose manifest says something else."""
    shutil.copytree(run.path, folder / name)
    copy = Run(folder / name)
    write_json(copy.path / "manifest.json", run.json("manifest.json") | changes)
    copy.mark("train", name, FILES)
    return copy


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "targets",
            [["sepsis_label", 12.0]],
            r"only one has the targets \['sepsis_label', 12.0\], \['sepsis_label', 6.0\]",
        ),
        ("variables", ["heart_rate"], "only one has the variables .*lactate"),
        ("statics", [], "only one has the statics age_years"),
        ("cohort_outputs", "0" * 64, "other data or splits"),
    ],
)
def test_runs_of_another_cohort_are_refused(
    runs: list[Run], tiny_cohort: Cohort, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    other = altered(runs[1], tmp_path, "other", **{name: value})
    with pytest.raises(InputError, match=message):
        ensemble(tiny_cohort, [runs[0], other], tmp_path / "average", "key")
    assert not (tmp_path / "average").exists()


def test_a_task_or_an_operation_that_differs_is_named(runs: list[Run], tiny_cohort: Cohort, tmp_path: Path) -> None:
    manifest = runs[1].json("manifest.json")
    task = altered(runs[1], tmp_path, "task", task=manifest["task"] | {"step_hours": 2.0})
    with pytest.raises(InputError, match=r"their task differs in step_hours \(2.0 and 1.0\)"):
        ensemble(tiny_cohort, [runs[0], task], tmp_path / "average", "key")
    rule = altered(runs[1], tmp_path, "rule", training=manifest["training"] | {"threshold": "cinc2019"})
    with pytest.raises(InputError, match=r"rule was trained with trainer.threshold=cinc2019, a with youden"):
        ensemble(tiny_cohort, [runs[0], rule], tmp_path / "average", "key")


def test_another_scaler_is_refused(runs: list[Run], tiny_cohort: Cohort, tmp_path: Path) -> None:
    other = altered(runs[1], tmp_path, "other")
    table = other.table("scaler.parquet")
    table.with_columns(location=table["location"] + 1).write_parquet(other.path / "scaler.parquet")
    other.mark("train", "other", FILES)
    with pytest.raises(InputError, match="scale their variables differently"):
        ensemble(tiny_cohort, [runs[0], other], tmp_path / "average", "key")


def test_one_run_or_the_same_run_twice_is_refused(runs: list[Run], tiny_cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 is too few"):
        ensemble(tiny_cohort, runs[:1], tmp_path / "average", "key")
    with pytest.raises(InputError, match="a stands twice"):
        ensemble(tiny_cohort, [runs[0], runs[1], runs[0]], tmp_path / "average", "key")


def test_settings_that_differ_are_left_to_the_members(runs: list[Run], tiny_cohort: Cohort, tmp_path: Path) -> None:
    longer = train(
        tiny_cohort,
        {"name": "rnn", "hidden": 4},
        replace(ONE, epochs=2),
        3,
        tmp_path / "longer",
        "x",
        say=lambda line: None,
    )
    made = ensemble(tiny_cohort, [runs[0], longer], tmp_path / "average", "key")
    assert "epochs" not in made.json("manifest.json")["training"]
    assert made.json("manifest.json")["training"]["batch_size"] == 32
    assert json.loads((made.path / "timing.json").read_text())["epochs"] == 0
