"""From logits to operation: calibrators fitted on the calib split, thresholds chosen on the val split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import calibration
from clinical_lstm.batch import Ragged
from clinical_lstm.metrics.rules import chosen_threshold
from clinical_lstm.metrics.utility import gain, hours_from_onset


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
        rule: of `metrics.rules`: `youden` (sensitivity + specificity), `cinc2019` (the official utility), `min_se_ppv`.

    """
    val = rows.split == "val"
    risk = np.full_like(logits, np.nan)
    risk[val] = calibration.apply_all(calibrators, logits[val], targets)
    chosen = []
    for k, (complication, horizon) in enumerate(targets):
        valid = val & (rows.label[:, k] >= 0)
        label = rows.label[valid, k]
        threshold = threshold_of(rule, label, risk[valid, k], rows.stay[valid], rows.hours[valid])
        chosen.append(
            {
                "complication": complication,
                "horizon_hours": horizon,
                "threshold": threshold,
                "rule": rule,
                "chosen_on": "val",
            }
        )
    return chosen


def thresholds_of_risks(predictions: pl.DataFrame, rule: str) -> dict[tuple[str, float], float]:
    """Return the operating threshold of every target of `schemas.Predictions`, chosen on its val rows at risk."""
    val = predictions.filter("at_risk", split="val").sort("stay_id", "hours")
    chosen = {}
    for (complication, horizon), own in val.group_by("complication", "horizon_hours", maintain_order=True):
        columns = (own[name].to_numpy() for name in ("label", "risk", "stay_id", "hours"))
        chosen[str(complication), float(str(horizon))] = threshold_of(rule, *columns)
    return chosen


def threshold_of(rule: str, label: np.ndarray, risk: np.ndarray, stay: np.ndarray, hours: np.ndarray) -> float:
    """Return the threshold that a rule chooses on rows (N,); raises InputError on an unknown rule."""
    return chosen_threshold(rule, label, risk, gain(hours_from_onset(stay, hours, label)))
