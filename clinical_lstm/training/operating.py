"""From logits to operation: calibrators fitted on the calib split, thresholds chosen on the val split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import calibration
from clinical_lstm.batch import Ragged
from clinical_lstm.errors import InputError, closest
from clinical_lstm.metrics.discrimination import youden_threshold
from clinical_lstm.metrics.utility import best_threshold, gain, hours_from_onset

RULES = ["youden", "cinc2019"]


class Rows(NamedTuple):
    """The steps (N,) of all stays: split, patient, stay index and hour, and the labels (N, K), -1 = not at risk."""

    split: np.ndarray
    patient: np.ndarray
    stay: np.ndarray
    hours: np.ndarray
    label: np.ndarray


def rows_of(tensors: Ragged, stays: pl.DataFrame, label: np.ndarray) -> Rows:
    """Return the rows of a cohort's tensors; `stays` is `schemas.SplitStays` in their order."""
    stay = np.repeat(np.arange(stays.height), tensors.lengths)
    split, patient = stays["split"].cast(pl.String).to_numpy(), stays["patient_id"].to_numpy()
    return Rows(split[stay], patient[stay], stay, tensors.hours, label)


def calibrate(logits: np.ndarray, rows: Rows, kind: str) -> list[calibration.Calibrator]:
    """Return one calibrator per target, fitted on the calib rows at risk.

    `auto` chooses the kind by patient-wise cross-validated log loss.
    """
    calibrators = []
    for k in range(logits.shape[1]):
        valid = (rows.split == "calib") & (rows.label[:, k] >= 0)
        score, label = logits[valid, k], rows.label[valid, k]
        if kind == "auto":
            calibrators.append(calibration.choose(score, label, rows.patient[valid]))
        else:
            calibrators.append(calibration.fit(kind, score, label))
    return calibrators


def thresholds(
    logits: np.ndarray,
    rows: Rows,
    calibrators: list[calibration.Calibrator],
    targets: list[tuple[str, float]],
    rule: str,
) -> list[dict[str, Any]]:
    """Return the operating threshold on the calibrated risk of every target, chosen on the val rows at risk.

    Args:
        rule: `youden` (sensitivity + specificity) or `cinc2019` (the official utility).

    """
    if rule not in RULES:
        raise InputError(f"there is no threshold rule {rule!r}: {closest(rule, RULES)}")
    val = rows.split == "val"
    risk = np.full_like(logits, np.nan)
    risk[val] = calibration.apply_all(calibrators, logits[val], targets)
    chosen = []
    for k, (complication, horizon) in enumerate(targets):
        valid = val & (rows.label[:, k] >= 0)
        label = rows.label[valid, k]
        if rule == "cinc2019":
            gains = gain(hours_from_onset(rows.stay[valid], rows.hours[valid], label))
            threshold = best_threshold(risk[valid, k], gains)
        else:
            threshold = youden_threshold(label, risk[valid, k])
        chosen.append(
            {
                "complication": complication,
                "horizon_hours": horizon,
                "threshold": float(threshold),
                "rule": rule,
                "chosen_on": "val",
            }
        )
    return chosen
