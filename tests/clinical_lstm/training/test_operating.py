from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm.artifacts import Cohort
from clinical_lstm.calibration import Calibrator, fit
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.utility import gain, hours_from_onset, normalised_utility
from clinical_lstm.training import operating
from clinical_lstm.training.data import training_data
from clinical_lstm.training.operating import Rows, calibrate, rows_of, thresholds

TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]


def ward(patients: int = 120, hours: int = 20) -> tuple[np.ndarray, Rows]:
    """Return logits (N, 2) and rows: two targets, some rows not at risk, patients turn by turn in calib, val, test."""
    draw = np.random.default_rng(0)
    stay = np.repeat(np.arange(patients), hours)
    hour = np.tile(np.arange(1.0, hours + 1), patients)
    onset = np.where(draw.random(patients) < 0.4, draw.integers(8, 30, patients), 99)
    label = np.stack([(onset[stay] - hour <= h) for h in (6, 12)], axis=1).astype(np.int8)
    label[hour > onset[stay] + 3] = -1
    logits = label + draw.normal(size=label.shape) - 2
    split = np.array(["calib", "val", "test"])[stay % 3]
    return np.sort(logits, axis=1), Rows(split, stay.astype(str), stay, hour, label)


def test_rows_of_repeats_the_facts_of_a_stay_over_its_steps(tiny_cohort: Cohort) -> None:
    data, splits = training_data(tiny_cohort, "uniform")
    stays = tiny_cohort.table("stays.parquet")
    rows = rows_of(data.tensors, stays, data.label)
    for index in (0, 100, 239):
        own = slice(*data.tensors.step_offsets[index : index + 2])
        assert set(rows.split[own]) == {splits[index]}
        assert set(rows.patient[own]) == {stays["patient_id"][index]}
        assert set(rows.stay[own]) == {index}
    assert len(rows.split) == len(rows.hours) == len(data.label)


@pytest.mark.parametrize("kind", ["identity", "temperature", "platt", "isotonic"])
def test_each_target_has_the_calibrator_of_its_calib_rows_at_risk(kind: str) -> None:
    logits, rows = ward()
    found = calibrate(logits, rows, kind)
    for k in range(2):
        own = (rows.split == "calib") & (rows.label[:, k] >= 0)
        assert found[k] == fit(kind, logits[own, k], rows.label[own, k])


def test_auto_calibration_lowers_the_log_loss_on_other_patients() -> None:
    logits, rows = ward()
    wrong = 3 * logits + 2
    found = calibrate(wrong, rows, "auto")
    test = (rows.split == "test") & (rows.label[:, 0] >= 0)

    def loss(calibrator: Calibrator) -> float:
        risk = calibrator.apply(wrong[test, 0])
        return float(-np.log(np.where(rows.label[test, 0] == 1, risk, 1 - risk)).mean())

    assert found[0].kind != "identity"
    assert loss(found[0]) < 0.8 * loss(Calibrator())


def test_youden_threshold_is_the_best_of_all_on_val() -> None:
    logits, rows = ward()
    found = thresholds(logits, rows, [Calibrator(), Calibrator()], TARGETS, "youden")
    own = (rows.split == "val") & (rows.label[:, 0] >= 0)
    risk, label = 1 / (1 + np.exp(-logits[own, 0])), rows.label[own, 0]

    def youden(threshold: float) -> float:
        return float((risk[label == 1] >= threshold).mean() + (risk[label == 0] < threshold).mean())

    best = max(youden(threshold) for threshold in risk)
    assert youden(found[0]["threshold"]) == pytest.approx(best)
    assert [(t["complication"], t["horizon_hours"]) for t in found] == TARGETS
    assert {(t["rule"], t["chosen_on"]) for t in found} == {("youden", "val")}


def test_cinc2019_threshold_has_the_best_utility_on_val() -> None:
    logits, rows = ward()
    found = thresholds(logits[:, :1], rows._replace(label=rows.label[:, :1]), [Calibrator()], TARGETS[:1], "cinc2019")
    own = (rows.split == "val") & (rows.label[:, 0] >= 0)
    risk = 1 / (1 + np.exp(-logits[own, 0]))
    gains = gain(hours_from_onset(rows.stay[own], rows.hours[own], rows.label[own, 0]))
    best = max(normalised_utility(gains, risk >= threshold) for threshold in risk)
    assert best > 0.2
    assert normalised_utility(gains, risk >= found[0]["threshold"]) == pytest.approx(best)


def test_threshold_is_on_the_calibrated_risk() -> None:
    logits, rows = ward()
    plain = thresholds(logits, rows, [Calibrator()] * 2, TARGETS, "youden")
    bent = thresholds(logits, rows, [Calibrator("platt", slope=2.0, intercept=1.0)] * 2, TARGETS, "youden")
    logit = np.log(plain[0]["threshold"] / (1 - plain[0]["threshold"]))
    assert bent[0]["threshold"] == pytest.approx(1 / (1 + np.exp(-1 - 2 * logit)))


def test_unknown_rule_and_kind_are_refused() -> None:
    logits, rows = ward()
    with pytest.raises(InputError, match="did you mean 'youden'"):
        thresholds(logits, rows, [Calibrator()] * 2, TARGETS, "yoden")
    with pytest.raises(InputError, match="did you mean 'platt'"):
        calibrate(logits, rows, "plat")
    assert operating.RULES == ["youden", "cinc2019"]


def test_rows_take_splits_of_any_string_type(tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    stays = tiny_cohort.table("stays.parquet")
    as_text = rows_of(data.tensors, stays.with_columns(pl.col("split").cast(pl.String)), data.label)
    assert np.array_equal(as_text.split, rows_of(data.tensors, stays, data.label).split)
