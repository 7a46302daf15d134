"""What a training is taught besides hard labels: soft targets, landmarks of survival, outcomes of the whole stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort, atomic_file
from clinical_lstm.errors import InputError
from clinical_lstm.lookback import sequences
from clinical_lstm.training.data import TrainingData, lookback_of
from clinical_lstm.training.outcomes import Outcomes, outcomes
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.smoothing import soft_label
from clinical_lstm.training.teacher import teacher_risks

OF_STAY = ["length_hours", "follow_up_hours"]  # columns of stays.parquet, learnt as logarithms


class Landmarks(NamedTuple):
    """Every step as the start of a survival time: hours (N, C) lived through or until the event, event (N, C)."""

    hours: np.ndarray
    event: np.ndarray


def lessons(
    cohort: Cohort, data: TrainingData, settings: TrainerSettings, seed: int, kept: Path | None = None
) -> TrainingData:
    """Return `data` with all that `settings` want taught.

    Args:
        kept: file in which the risks of a teacher are kept, so that a resumed training has the same to the bit.

    """
    targets = [(name, float(horizon)) for name, horizon in cohort.json("manifest.json")["targets"]]
    if settings.loss == "survival":
        most = int(np.ceil(max(horizon for _, horizon in targets)))
        marks = landmarks(outcomes(cohort, data.tensors), most)
        wanted = (data.label.max(axis=1) >= 0) | (marks.hours.max(axis=1) > 0)
        data = replace(data, landmarks=marks, seen=sequences(data.tensors, lookback_of(cohort), wanted))
    taught = data.target
    if settings.smoothing != "none":
        taught = _smooth(data, outcomes(cohort, data.tensors), targets, settings)
    if settings.distil_weight:
        risks = _risks(cohort, data, settings, seed, kept)
        taught = np.where(np.isnan(risks), taught, taught + settings.distil_weight * (risks - taught))
    if taught is not data.target:
        data = replace(data, taught=taught.astype(np.float32))
    if settings.outcomes_weight:
        data = replace(data, outcomes=stay_outcomes(cohort.table("stays.parquet"), data.train))
    return data


def landmarks(found: Outcomes, most: int) -> Landmarks:
    """Return the landmarks of survival within `most` hours J.

    d = hours to the onset, c = hours of follow-up:

        d <= J:  the event is in hour ceil(d), whatever the follow-up;    else min(floor(c), J) hours are lived through

    and 0 hours where a step is not at risk.
    """
    event = found.free & (found.until_onset <= most)
    hours = np.where(event, np.maximum(np.ceil(found.until_onset), 1), np.clip(np.floor(found.followed), 0, most))
    return Landmarks(np.where(found.free, hours, 0).astype(np.int16), event)


def stay_outcomes(stays: pl.DataFrame, train: np.ndarray) -> np.ndarray:
    """Return log(1 + hours) of the columns `OF_STAY`, (stays, O) float32, standardised on `train`; NaN where unknown.

    A column without two different values in train is left out; raises InputError where none is left.
    """
    logs = np.log1p(stays.select(pl.col(OF_STAY).cast(pl.Float64).fill_null(float("nan"))).to_numpy())
    columns = []
    for column in logs.T:
        known = column[train][~np.isnan(column[train])]
        if len(known) and known.std() > 1e-9:
            columns.append((column - known.mean()) / known.std())
    if not columns:
        raise InputError(
            f"trainer.outcomes_weight: none of {', '.join(OF_STAY)} varies between the {len(train)} train stays; "
            "use outcomes_weight=0"
        )
    return np.stack(columns, axis=1).astype(np.float32)


def _smooth(
    data: TrainingData, found: Outcomes, targets: list[tuple[str, float]], settings: TrainerSettings
) -> np.ndarray:
    """Return the soft labels (N, K); a benchmark's rows after an onset keep their label of 1."""
    soft = np.zeros_like(data.target)
    for k, (name, horizon) in enumerate(targets):
        until = found.until_onset[:, found.complications.index(name)]
        q = soft_label(until, horizon, settings.smoothing, settings.smoothing_strength, settings.smoothing_from_hours)
        soft[:, k] = np.where((data.label[:, k] == 1) & (until > horizon), 1.0, q)
    return soft


def _risks(cohort: Cohort, data: TrainingData, settings: TrainerSettings, seed: int, kept: Path | None) -> np.ndarray:
    """Return the risks (N, K) of the teacher, from the file `kept` where it is."""
    if kept and kept.is_file():
        return np.load(kept)
    patients = cohort.table("stays.parquet")["patient_id"].to_numpy()
    risks = teacher_risks(data, patients, {"name": settings.teacher}, settings.teacher_folds, seed)
    if kept:
        with atomic_file(kept) as partial, partial.open("wb") as stream:
            np.save(stream, risks)
    return risks
