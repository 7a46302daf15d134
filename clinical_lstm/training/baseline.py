"""Train a baseline on the rows, targets, weights and splits of a model; write the same predictions table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort, Directory, digest, read_json, write_json, write_table
from clinical_lstm.baselines.features import row_matrix
from clinical_lstm.calibration import apply_all
from clinical_lstm.inference import predictions_table
from clinical_lstm.lookback import sequences
from clinical_lstm.training import operating
from clinical_lstm.training.data import TrainingData, lookback_of, training_data


def baseline(
    cohort: Cohort, spec: Mapping[str, Any], weighting: str, calibration: str, threshold: str, seed: int
) -> Directory:
    """Return the directory of a baseline: predictions.parquet (val, calib, test) and thresholds.json.

    It lies in the cohort (`baselines/NAME-HASH`) and is made once per settings; every run on the cohort shares it.
    """
    outputs = cohort.require("prepare", "clinical-lstm prepare")["outputs"]
    key = digest([dict(spec), weighting, calibration, threshold, seed, outputs])
    made = Directory(cohort.path / "baselines" / f"{spec['name']}-{key[:6]}")
    if made.is_done("baseline", key):
        return made
    data, splits = training_data(cohort, weighting)
    asked = cohort.array("asked.npy")
    data = replace(data, seen=sequences(data.tensors, lookback_of(cohort), asked))  # unlabelled rows are judged too
    logits = _logits(data, splits, spec, seed)
    manifest = cohort.json("manifest.json")
    targets = [(complication, float(horizon)) for complication, horizon in manifest["targets"]]
    stays = cohort.table("stays.parquet")
    rows = operating.rows_of(data.tensors, stays, data.label)
    calibrators = operating.calibrate(logits, rows, calibration)
    chosen = operating.thresholds(logits, rows, calibrators, targets, threshold)
    judged = (rows.split != "train") & asked
    labels = cohort.table("labels")
    of_judged = labels["stay_id"].is_in(stays.filter(stays["split"] != "train")["stay_id"].to_list())
    risks = apply_all(calibrators, logits[judged], targets)
    write_table(made.path / "predictions.parquet", predictions_table(labels.filter(of_judged), stays, risks))
    write_json(made.path / "thresholds.json", chosen)
    made.mark("baseline", key, ["predictions.parquet", "thresholds.json"])
    return made


def thresholds_of(path: Path) -> dict[tuple[str, float], float]:
    """Return the operating threshold of every target of a run or baseline directory."""
    return {(t["complication"], t["horizon_hours"]): t["threshold"] for t in read_json(path / "thresholds.json")}


def _logits(data: TrainingData, splits: np.ndarray, spec: Mapping[str, Any], seed: int) -> np.ndarray:
    """Return the logits (N, K) of one fitted model per target; NaN in the train rows and where none is asked for."""
    which = plugins.load("baselines", spec["name"]).features  # type: ignore[attr-defined]
    models = _fitted(data, spec, which, seed)
    logits = np.full(data.label.shape, np.nan)
    for name in sorted(set(splits) - {"train"}):  # split by split, so that only one matrix is in memory
        at, matrix = _rows(data, np.flatnonzero(splits == name), which)  # (R,), (R, F)
        logits[at] = np.stack([model.logits(matrix) for model in models], axis=1)
    return logits


def _fitted(data: TrainingData, spec: Mapping[str, Any], which: str, seed: int) -> list[Any]:
    """Return one model per target, fitted on the train rows, tuned on the val rows; rows of weight 0 are left out."""
    parts = []
    for stays in (data.train, data.val):
        at, matrix = _rows(data, stays, which)  # (R,), (R, F)
        parts.append((matrix, data.target[at], data.weight[at]))
    models = []
    for k in range(data.label.shape[1]):
        (train, target, weight), (val, val_target, _) = (_at_risk(*part, k) for part in parts)
        model = plugins.build("baselines", spec)
        model.fit(train, target, weight=weight, validation=(val, val_target), seed=seed)
        models.append(model)
    return models


def _rows(data: TrainingData, stays: np.ndarray, which: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat steps (R,) of `stays` that are predicted, and their matrix (R, F)."""
    return data.seen.answered(data.seen.of(stays))[2], row_matrix(data.seen, stays, data.scaler, which)


def _at_risk(matrix: np.ndarray, target: np.ndarray, weight: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return the rows of target k that weigh anything; the matrix itself where all do."""
    kept = weight[:, k] > 0
    return (matrix if kept.all() else matrix[kept]), target[kept, k], weight[kept, k]
