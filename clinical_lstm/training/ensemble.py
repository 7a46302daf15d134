"""Finished runs on one cohort -> a run whose model is the mean of theirs, with its own calibration and thresholds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from clinical_lstm.artifacts import SCHEMA_VERSION, Cohort, Run, digest, write_json
from clinical_lstm.errors import InputError
from clinical_lstm.training.data import training_data
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.train import (
    FILES,
    environment,
    untrained,
    versions,
    write_model,
    write_operation,
    write_texts,
)

SAME = ["targets", "task", "variables", "statics", "cohort_outputs"]  # of the manifests, the telling ones first
OPERATION = ["weighting", "calibration", "threshold"]  # of the trainer: what an operation, and what judges it, needs


def ensemble(
    cohort: Cohort,
    runs: Sequence[Run],
    path: Path,
    key: str,
    files: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Run:
    """Average finished runs of one cohort on the logit and return the finished run directory of the average.

    The calibrator is fitted on the calib split and the threshold chosen on the val split, with the logits of the
    average: the runs must have been trained on the very cohort, so that no member has seen a patient of either.

    Args:
        key: hash of the members, for the done-marker. files, facts: as in `train`.

    """
    started = time.perf_counter()
    manifest, members = cohort.verify(), [run.verify() for run in runs]
    outputs = digest(cohort.require("prepare", "clinical-lstm prepare")["outputs"])
    refuse_unequal(runs, members, outputs)
    spec = {"name": "ensemble", "members": [run.json("model.json")["model"] for run in runs]}
    description, model = untrained(manifest, spec)
    model.load_state_dict(merged(runs))

    settings = TrainerSettings(**{name: members[0]["training"][name] for name in OPERATION})
    data, splits = training_data(cohort, settings.weighting)
    shutil.rmtree(path / "done", ignore_errors=True)  # what later stages said was of the weights before
    write_model(path, description, model, data.scaler)
    write_json(path / "cohort.json", manifest)
    write_operation(path, cohort, manifest, settings, model, data, splits)
    record = {
        **_record(runs, members, spec),
        "name": path.name,
        "cohort": cohort.name,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        **(facts or {}),
    }
    write_json(path / "manifest.json", record)
    no_epochs = "epoch,train_loss,val_loss\n"
    write_texts(path, {"environment.txt": environment(), "history.csv": no_epochs, **(files or {})})
    write_json(path / "timing.json", {"train_seconds": _seconds(runs, started), "epochs": 0})
    run = Run(path)
    run.mark("train", key, [*FILES, *(files or {})])
    return run


def _record(runs: Sequence[Run], members: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of the making of the average, from those of its members."""
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: members[0][name] for name in SAME},
        "model": {"name": spec["name"], "arguments": {"members": spec["members"]}},
        "members": [_member(run, member) for run, member in zip(runs, members)],
        "seed": [member["seed"] for member in members],
        "training": _shared(members),
        "best_epoch": None,
        "versions": versions(),
    }


def refuse_unequal(runs: Sequence[Run], members: Sequence[Mapping[str, Any]], outputs: str) -> None:
    """Raise InputError unless the runs are several, and all of the cohort whose outputs have the hash `outputs`."""
    twice = sorted({run.name for run in runs if [other.path for other in runs].count(run.path) > 1})
    if len(runs) < 2 or twice:
        said = f"{', '.join(twice)} stands twice" if twice else f"{len(runs)} is too few"
        raise InputError(f"an ensemble needs two different runs or more ({said}): runs=[A,B]")
    for run, member in zip(runs[1:], members[1:]):
        for name in SAME:
            if member[name] != members[0][name]:
                raise InputError(
                    f"{run.name} and {runs[0].name} cannot be averaged: {_difference(name, member, members[0])}"
                )
        for name in OPERATION:
            one, other = member["training"][name], members[0]["training"][name]
            if one != other:
                raise InputError(
                    f"{run.name} was trained with trainer.{name}={one}, {runs[0].name} with {other}: an ensemble "
                    "operates by one; train again with the same"
                )
        if not run.table("scaler.parquet").equals(runs[0].table("scaler.parquet")):
            raise InputError(
                f"{run.name} and {runs[0].name} scale their variables differently; train one of them again"
            )
    if members[0]["cohort_outputs"] != outputs:
        raise InputError(f"{runs[0].name} was not trained on this cohort, or it was prepared anew since; train again")


def merged(runs: Sequence[Run]) -> dict[str, Tensor]:
    """Return the weights of an `Ensemble` of the runs."""
    return {
        f"members.{place}.{name}": weight
        for place, run in enumerate(runs)
        for name, weight in load_file(run.path / "weights.safetensors").items()
    }


def _difference(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return in words how the manifests of two runs differ in `name`."""
    if name == "cohort_outputs":
        return (
            f"they were trained on other data or splits (cohorts {one['cohort']} and {other['cohort']}), so that one "
            "has seen patients on whom the average would be calibrated; train both on one cohort"
        )
    a, b = one[name], other[name]
    if isinstance(a, dict):
        keys = sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
        return f"their {name} differs in {', '.join(f'{key} ({a.get(key)} and {b.get(key)})' for key in keys)}"
    own, others = [str(item) for item in a if item not in b], [str(item) for item in b if item not in a]
    return f"only one has the {name} {', '.join(own + others) or '(the order differs)'}"


def _member(run: Run, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest of the average says of a member."""
    marker = run.marker("train") or {}
    return {
        "name": run.name,
        "model": manifest["model"]["name"],
        "seed": manifest["seed"],
        "parameters": manifest["parameters"],
        "weights_sha256": marker["outputs"]["weights.safetensors"],
    }


def _shared(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of the trainer that all members have."""
    first = members[0]["training"]
    return {key: value for key, value in first.items() if all(m["training"].get(key) == value for m in members)}


def _seconds(runs: Sequence[Run], started: float) -> float:
    """Return what it all took: the members' trainings, where they say, and the averaging."""
    said = [run.json("timing.json")["train_seconds"] for run in runs if (run.path / "timing.json").is_file()]
    return round(sum(said) + time.perf_counter() - started, 1)
