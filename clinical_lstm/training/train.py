"""The train stage: a cohort becomes a run directory that is enough by itself."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

import clinical_lstm
from clinical_lstm.artifacts import (
    SCHEMA_VERSION,
    Cohort,
    Run,
    atomic_file,
    digest,
    read_json,
    write_json,
    write_table,
)
from clinical_lstm.batch import Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.features.engineered import resolved
from clinical_lstm.inference import build_model, logits
from clinical_lstm.lookback import reach_hours
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.training import operating
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.fit import TrainerSettings, fit
from clinical_lstm.training.lessons import lessons
from clinical_lstm.training.truncation import proceeds

FILES = [
    "manifest.json",
    "model.json",
    "weights.safetensors",
    "scaler.parquet",
    "calibrator.json",
    "thresholds.json",
    "history.csv",
    "cohort.json",
    "environment.txt",
]


def train(
    cohort: Cohort,
    model_spec: Mapping[str, Any],
    settings: TrainerSettings,
    seed: int,
    path: Path,
    key: str,
    resume: bool = False,
    files: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Run:
    """Train one model on a cohort and return its finished run directory.

    Args:
        key: hash of inputs and configuration, for the done-marker. resume: continue an interrupted training of `path`.
        files: texts to write into the run besides (name -> content). facts: entries for the manifest.

    """
    manifest = cohort.verify()
    started = time.perf_counter()
    _ready_checkpoints(path / "checkpoints", key, resume)
    torch.manual_seed(seed)
    description, model = untrained(manifest, model_spec)
    data, splits = _taught(cohort, model_spec, model, settings, say)
    history = fit(model, data, settings, seed, path / "checkpoints", resume, say, on_epoch)

    shutil.rmtree(path / "done", ignore_errors=True)  # what later stages said was of the weights before
    write_model(path, description, model, data.scaler)
    write_json(path / "cohort.json", manifest)
    write_operation(path, cohort, manifest, settings, model, data, splits)
    record = {
        **_record(manifest, model_spec, settings, seed, history),
        "name": path.name,
        "cohort": cohort.name,
        "cohort_outputs": digest(cohort.require("prepare", "clinical-lstm prepare")["outputs"]),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        **(facts or {}),
    }
    write_json(path / "manifest.json", record)
    write_texts(path, {"environment.txt": environment(), "history.csv": _history_text(history), **(files or {})})
    write_json(path / "timing.json", {"train_seconds": round(time.perf_counter() - started, 1), "epochs": len(history)})
    run = Run(path)
    run.mark("train", key, [*FILES, *(files or {})])
    shutil.rmtree(path / "checkpoints")
    return run


def _taught(
    cohort: Cohort,
    model_spec: Mapping[str, Any],
    model: SequenceModel,
    settings: TrainerSettings,
    say: Callable[[str], None],
) -> tuple[TrainingData, np.ndarray]:
    """Return all that a model is taught of a cohort, and the split of every stay; refuse what it cannot learn."""
    settings.refuse_model(model_spec, model.causal, proceeds(model))
    data, splits = training_data(cohort, settings.weighting)
    return lessons(cohort, data, settings, say), splits


def untrained(manifest: Mapping[str, Any], model_spec: Mapping[str, Any]) -> tuple[dict[str, Any], SequenceModel]:
    """Return what `model.json` says and the model it describes; refuse one that sees ahead of its predictions."""
    sizes = {
        "n_variables": len(manifest["variables"]),
        "n_static": len(manifest["statics"]),
        "targets": manifest["targets"],
    }
    description = {"model": resolved(model_spec, manifest), "sizes": sizes}
    model = build_model(description)
    if not model.causal and reach_hours(manifest["task"]) is None:
        raise InputError(
            f"model {model_spec['name']} sees the whole window; it needs a task with a fixed hour (at_hours) or with a "
            "lookback (lookback_hours), whose windows end at the prediction"
        )
    return description, model


def write_model(path: Path, description: dict[str, Any], model: SequenceModel, scaler: Scaler) -> None:
    """Write model.json, weights.safetensors and scaler.parquet."""
    with atomic_file(path / "weights.safetensors") as partial:
        save_file(model.state_dict(), partial)
    write_table(path / "scaler.parquet", scaler.table())
    write_json(path / "model.json", description)


def write_operation(
    path: Path,
    cohort: Cohort,
    manifest: Mapping[str, Any],
    settings: TrainerSettings,
    model: SequenceModel,
    data: TrainingData,
    splits: np.ndarray,
) -> None:
    """Write calibrator.json (fitted on calib) and thresholds.json (chosen on val)."""
    found = logits(model, data.seen, data.scaler, np.flatnonzero(np.isin(splits, ["val", "calib"])))
    rows = operating.rows_of(data.tensors, cohort.table("stays.parquet"), data.label)
    targets = [(complication, float(horizon)) for complication, horizon in manifest["targets"]]
    calibrators = operating.calibrate(found, rows, settings.calibration)
    maps = [
        {"complication": c, "horizon_hours": h, "kind": calibrator.kind, "map": calibrator.to_json()}
        for (c, h), calibrator in zip(targets, calibrators)
    ]
    write_json(path / "calibrator.json", maps)
    thresholds = operating.thresholds(found, rows, calibrators, targets, settings.threshold)
    write_json(path / "thresholds.json", thresholds)


def write_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Write texts (name -> content) into `path`."""
    for name, text in texts.items():
        with atomic_file(path / name) as partial:
            partial.write_text(text, encoding="utf-8")


def _ready_checkpoints(folder: Path, key: str, resume: bool) -> None:
    """Refuse to resume a training of other settings; begin afresh unless resuming."""
    if resume:
        if not (folder / "last.ckpt").is_file():
            raise InputError(f"there is nothing to resume in {folder}: no epoch was finished with these settings")
        if read_json(folder / "key.json") != key:
            raise InputError(f"{folder} holds a training with other settings or data; run without resume=true")
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "key.json", key)


def _record(
    manifest: Mapping[str, Any],
    model_spec: Mapping[str, Any],
    settings: TrainerSettings,
    seed: int,
    history: list[dict[str, float]],
) -> dict[str, Any]:
    """Return what the run's manifest says of its making; nothing in it depends on the clock."""
    sign = 1 if settings.monitor == "val_loss" else -1
    best = min(history, key=lambda row: sign * row[settings.monitor]) if settings.keep == "best" else history[-1]
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {"name": model_spec["name"], "arguments": {k: v for k, v in model_spec.items() if k != "name"}},
        "task": manifest["task"],
        "targets": manifest["targets"],
        "variables": manifest["variables"],
        "statics": manifest["statics"],
        "seed": seed,
        "training": asdict(settings),
        "best_epoch": int(best["epoch"]) + 1,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of this package (which may run from a checkout, not installed) and of what decides bits."""
    own = {"clinical-lstm": clinical_lstm.__version__}
    return own | {name: metadata.version(name) for name in ("torch", "polars", "numpy")}


def environment() -> str:
    """Return every installed package with its version, one per line, sorted."""
    found = {f"{item.metadata['Name']}=={item.version}" for item in metadata.distributions()}
    return "\n".join(sorted(found, key=str.lower)) + "\n"


def _history_text(history: list[dict[str, float]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()
