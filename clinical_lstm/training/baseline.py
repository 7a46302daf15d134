"""Train a baseline on the rows, targets, weights and splits of a model; write the same predictions table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Directory, digest, read_json, write_json, write_table
from clinical_lstm.baselines.base import Baseline, BedsideScore
from clinical_lstm.baselines.features import row_matrix
from clinical_lstm.batch import Ragged, stretches
from clinical_lstm.calibration import apply_all
from clinical_lstm.errors import InputError
from clinical_lstm.inference import predictions_table
from clinical_lstm.lookback import sequences
from clinical_lstm.training import operating
from clinical_lstm.training.data import TrainingData, lookback_of, training_data

Matrices = Callable[[np.ndarray], np.ndarray]  # stays -> (R, F), the rows of their predicted steps
FREE_ZERO = {"identity": "platt", "temperature": "platt"}  # points have no zero: 0 of them is no risk of one half


def baseline(
    cohort: Cohort, spec: Mapping[str, Any], weighting: str, calibration: str, threshold: str, seed: int
) -> Directory:
    """Return the directory of a baseline: predictions.parquet (val, calib, test) and thresholds.json.

    It lies in the cohort (`baselines/NAME-HASH`) and is made once per settings; every run on the cohort shares it.
    The points of a bedside score are calibrated by `platt` where `calibration` would keep their zero.
    """
    outputs = cohort.require("prepare", "clinical-lstm prepare")["outputs"]
    key = digest([dict(spec), weighting, calibration, threshold, seed, outputs])
    made = Directory(cohort.path / "baselines" / f"{spec['name']}-{key[:6]}")
    if made.is_done("baseline", key):
        return made
    started = time.perf_counter()
    data, splits = training_data(cohort, weighting)
    asked = cohort.array("asked.npy")
    data = replace(data, seen=sequences(data.tensors, lookback_of(cohort), asked))  # unlabelled rows are judged too
    logits = _logits(cohort, data, splits, spec, seed)
    manifest = cohort.json("manifest.json")
    targets = [(complication, float(horizon)) for complication, horizon in manifest["targets"]]
    stays = cohort.table("stays.parquet")
    rows = operating.rows_of(data.tensors, stays, data.label)
    learns = plugins.load("baselines", spec["name"]).learns  # type: ignore[attr-defined]
    kind = calibration if learns else FREE_ZERO.get(calibration, calibration)
    calibrators = operating.calibrate(logits, rows, kind)
    chosen = operating.thresholds(logits, rows, calibrators, targets, threshold)
    judged = (rows.split != "train") & asked
    labels = cohort.table("labels")
    of_judged = labels["stay_id"].is_in(stays.filter(stays["split"] != "train")["stay_id"].to_list())
    risks = apply_all(calibrators, logits[judged], targets)
    write_table(made.path / "predictions.parquet", predictions_table(labels.filter(of_judged), stays, risks))
    write_json(made.path / "thresholds.json", chosen)
    write_json(made.path / "timing.json", {"fit_seconds": round(time.perf_counter() - started, 1)})  # not in the hashes
    made.mark("baseline", key, ["predictions.parquet", "thresholds.json"])
    return made


def thresholds_of(path: Path) -> dict[tuple[str, float], float]:
    """Return the operating threshold of every target of a run or baseline directory."""
    return {(t["complication"], t["horizon_hours"]): t["threshold"] for t in read_json(path / "thresholds.json")}


def _logits(cohort: Cohort, data: TrainingData, splits: np.ndarray, spec: Mapping[str, Any], seed: int) -> np.ndarray:
    """Return the logits (N, K) of one fitted model per target; NaN in the train rows and where none is asked for."""
    matrix_of = _matrices(cohort, data, plugins.build("baselines", spec))
    models = _fitted(data, spec, matrix_of, seed)
    logits = np.full(data.label.shape, np.nan)
    for name in sorted(set(splits) - {"train"}):  # split by split, so that only one matrix is in memory
        stays = np.flatnonzero(splits == name)
        matrix = matrix_of(stays)  # (R, F)
        logits[_steps(data, stays)] = np.stack([model.logits(matrix) for model in models], axis=1)
    return logits


def _fitted(data: TrainingData, spec: Mapping[str, Any], matrix_of: Matrices, seed: int) -> list[Baseline]:
    """Return one model per target, fitted on the train rows, tuned on the val rows; rows of weight 0 are left out."""
    parts = []
    for stays in (data.train, data.val):
        at = _steps(data, stays)  # (R,)
        parts.append((matrix_of(stays), data.target[at], data.weight[at]))
    models = []
    for k in range(data.label.shape[1]):
        (train, target, weight), validation = (_at_risk(*part, k) for part in parts)
        model = plugins.build("baselines", spec)
        model.fit(train, target, weight=weight, validation=validation, seed=seed)
        models.append(model)
    return models


def _steps(data: TrainingData, stays: np.ndarray) -> np.ndarray:
    """Return the flat steps (R,) of `stays` that are predicted."""
    return data.seen.answered(data.seen.of(stays))[2]


def _matrices(cohort: Cohort, data: TrainingData, model: Baseline) -> Matrices:
    """Return what makes the matrix (R, F) of the predicted steps of stays: points of a score, or features of inputs."""
    if isinstance(model, BedsideScore):
        points = _points(cohort, data.tensors, model)
        return lambda stays: points[_steps(data, stays)]
    return lambda stays: row_matrix(data.seen, stays, data.scaler, model.features)


def _points(cohort: Cohort, tensors: Ragged, model: BedsideScore) -> np.ndarray:
    """Return the points (N, 1) float32 that are known at every step; raises InputError where none is ever measured."""
    stays = cohort.table("stays.parquet").select("stay_id", "length_hours").with_row_index("stay")
    points, assessed = np.zeros((len(tensors.hours), 1), np.float32), 0
    for shard in cohort.files("observations"):
        observations = pl.read_parquet(cohort.path / shard)
        present = stays.filter(pl.col("stay_id").is_in(observations["stay_id"].unique().implode()))
        own = present["stay"].to_numpy()
        row, at = stretches(tensors.step_offsets[own], tensors.step_offsets[own + 1])
        steps = present.select("stay_id")[row].with_columns(pl.Series("hours", tensors.hours[at]))
        known = model.known_at(steps, present, observations)
        points[at, 0] = known["points"].to_numpy()
        assessed += int((known["measured"] > 0).sum())
    if not assessed:
        raise InputError(
            f"none of the {len(points)} steps of the {stays.height} stays of cohort {cohort.name} has a"
            f" {model.score.__name__}: it reads {', '.join(model.variables)}, and nothing of that can be scored;"
            f" leave it out of `baseline`, or give the source these variables and prepare again"
        )
    return points


def _at_risk(matrix: np.ndarray, target: np.ndarray, weight: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return the rows of target k that weigh anything; the matrix itself where all do."""
    kept = weight[:, k] > 0
    return (matrix if kept.all() else matrix[kept]), target[kept, k], weight[kept, k]
