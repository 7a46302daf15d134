"""What a training is taught besides hard labels: soft targets, landmarks of survival, outcomes of the whole stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort, Directory, atomic_file, digest
from clinical_lstm.errors import InputError
from clinical_lstm.lookback import sequences
from clinical_lstm.training.data import TrainingData, lookback_of
from clinical_lstm.training.outcomes import Outcomes, outcomes
from clinical_lstm.training.settings import TrainerSettings
from clinical_lstm.training.smoothing import soft_label
from clinical_lstm.training.teacher import teacher_risks

# Columns of stays.parquet, learnt as logarithms; the end of the hospital stay stands for that of the follow-up.
OF_STAY = ["length_hours", "follow_up_hours", "hospital_hours", "survival_hours", "saps_points", "sofa_points"]

SEED = 1  # of the teacher's folds and trees, whatever the seed of whom it teaches


class Landmarks(NamedTuple):
    """Every step as the start of a survival time: hours (N, C) lived through or until the event, event (N, C)."""

    hours: np.ndarray
    event: np.ndarray


def lessons(
    cohort: Cohort, data: TrainingData, settings: TrainerSettings, say: Callable[[str], None] = lambda line: None
) -> TrainingData:
    """Return `data` with all that `settings` want taught."""
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
        risks = _risks(cohort, data, settings, say)
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
    """Return log(1 + x) of the columns `OF_STAY`, (stays, O) float32, standardised on `train`; NaN where unknown.

    A column that is absent, or has no two different values in train, is left out; raises InputError where none is left.
    """
    columns = {}
    for name in (name for name in OF_STAY if name in stays.columns):
        column = np.log1p(stays[name].cast(pl.Float64).fill_null(float("nan")).to_numpy())
        known = column[train][~np.isnan(column[train])]
        if len(known) and known.std() > 1e-9:
            columns[name] = (column - known.mean()) / known.std()
    if "hospital_hours" in columns:
        columns.pop("follow_up_hours", None)
    if not columns:
        raise InputError(
            f"trainer.outcomes_weight: none of {', '.join(OF_STAY)} varies between the {len(train)} train stays; "
            "use outcomes_weight=0"
        )
    return np.stack(list(columns.values()), axis=1).astype(np.float32)


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


def _risks(cohort: Cohort, data: TrainingData, settings: TrainerSettings, say: Callable[[str], None]) -> np.ndarray:
    """Return the risks (N, K) of the teacher, who belongs to the cohort: trainings of all seeds have the same one."""
    outputs = cohort.require("prepare", "clinical-lstm prepare")["outputs"]
    spec = settings.teacher_spec
    key = digest([spec, settings.teacher_folds, settings.weighting, outputs])
    place = Directory(cohort.path / "teachers" / f"{spec['name']}-{key[:6]}")
    if not place.is_done("teacher", key):
        patients = cohort.table("stays.parquet")["patient_id"].to_numpy()
        risks = teacher_risks(data, patients, spec, settings.teacher_folds, SEED, say)
        with atomic_file(place.path / "risks.npy") as partial, partial.open("wb") as stream:
            np.save(stream, risks)
        place.mark("teacher", key, ["risks.npy"])
    return place.array("risks.npy")
