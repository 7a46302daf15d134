from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm.artifacts import Cohort
from clinical_lstm.calibration import Calibrator, fit
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.rules import RULES
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
    with pytest.raises(InputError, match=r"did you mean '?youden"):
        thresholds(logits, rows, [Calibrator()] * 2, TARGETS, "yoden")
    with pytest.raises(InputError, match=r"did you mean '?platt"):
        calibrate(logits, rows, "plat")


def test_rows_take_splits_of_any_string_type(tiny_cohort: Cohort) -> None:
    data, _ = training_data(tiny_cohort, "uniform")
    stays = tiny_cohort.table("stays.parquet")
    as_text = rows_of(data.tensors, stays.with_columns(pl.col("split").cast(pl.String)), data.label)
    assert np.array_equal(as_text.split, rows_of(data.tensors, stays, data.label).split)


def as_predictions(logits: np.ndarray, rows: Rows) -> pl.DataFrame:
    """Return the rows as `schemas.Predictions` says them (of all splits, at risk or not), target by target."""
    parts = []
    for k, (complication, horizon) in enumerate(TARGETS):
        known = rows.label[:, k] >= 0
        parts.append(
            pl.DataFrame(
                {
                    "stay_id": [f"s{i:03d}" for i in rows.stay],
                    "split": rows.split,
                    "hours": rows.hours,
                    "complication": [complication] * len(known),
                    "horizon_hours": [horizon] * len(known),
                    "risk": 1 / (1 + np.exp(-logits[:, k])),
                    "label": np.where(known, rows.label[:, k], 0).astype(np.int8),
                    "at_risk": known,
                }
            )
        )
    return pl.concat(parts)


@pytest.mark.parametrize("rule", RULES)
def test_thresholds_of_risks_are_those_of_the_logits(rule: str) -> None:
    logits, rows = ward()
    table = as_predictions(logits, rows)
    expected = thresholds(logits, rows, [Calibrator()] * 2, TARGETS, rule)
    found = operating.thresholds_of_risks(table, rule)
    assert list(found) == TARGETS
    assert list(found.values()) == pytest.approx([t["threshold"] for t in expected], abs=1e-15)
    assert operating.thresholds_of_risks(table.sample(fraction=1, shuffle=True, seed=1), rule) == found
    assert operating.thresholds_of_risks(table.filter(split="val"), rule) == found, "other splits have no say"
    assert operating.thresholds_of_risks(table.filter(pl.col("split") != "val"), rule) == {}


def test_a_threshold_is_that_of_the_metric() -> None:
    label, risk = np.array([0, 1, 0, 0, 1, 1]), np.array([0.1, 0.3, 0.4, 0.2, 0.6, 0.9])
    stay, hours = np.array(["a", "a", "b", "b", "c", "c"]), np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    youden = operating.threshold_of("youden", label, risk, stay, hours)
    assert youden == 0.6, "two of three found and no false alarm; 0.3 finds all with one of three"
    gains = gain(hours_from_onset(stay, hours, label))
    best = max(normalised_utility(gains, risk >= t) for t in risk)
    found = operating.threshold_of("cinc2019", label, risk, stay, hours)
    assert normalised_utility(gains, risk >= found) == pytest.approx(best)
    assert found == 0.1, "the row an hour before the first label 1 is worth an alarm too, false ones are cheap"


def test_rows_that_no_threshold_can_divide() -> None:
    hours, stay, risk = np.array([1.0, 2.0]), np.array(["a", "a"]), np.array([0.2, 0.3])
    for label in (np.zeros(2), np.ones(2)):
        assert np.isnan(operating.threshold_of("youden", label, risk, stay, hours))
    assert operating.threshold_of("cinc2019", np.zeros(2), risk, stay, hours) == 1.0, "nothing to win: never alarm"
    with pytest.raises(InputError, match=r"no threshold rule 'yuden': did you mean '?youden"):
        operating.threshold_of("yuden", np.zeros(2), risk, stay, hours)
