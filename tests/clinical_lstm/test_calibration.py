"""Calibration improves risks without touching their ranking, elementwise, and survives a round trip through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import calibration
from clinical_lstm.calibration import KINDS, Calibrator, apply_all, choose, fit
from clinical_lstm.errors import InputError


def _cohort(
    slope: float = 1.0, intercept: float = 0.0, rows: int = 6000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits, labels drawn with logit P = intercept + slope * logit, and patients of 10 rows."""
    random = np.random.default_rng(seed)
    logit = random.normal(-2, 1.5, rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-(intercept + slope * logit)))).astype(int)
    return logit, label, np.arange(rows) // 10


def _loss(label: np.ndarray, risk: np.ndarray) -> float:
    return float(-np.log(np.where(label == 1, risk, 1 - risk)).mean())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_map_is_elementwise_bit_for_bit(kind: str) -> None:
    logit, label, _ = _cohort()
    one = fit(kind, logit, label)
    whole = one.apply(logit)
    assert whole.dtype == np.float64
    for length, start in ((1, 0), (3, 5), (7, 2), (8, 8), (17, 100)):
        assert np.array_equal(one.apply(logit[start : start + length]), whole[start : start + length])
    assert np.array_equal(one.apply(logit[::-3]), whole[::-3])
    assert np.array_equal(one.apply(logit.reshape(60, 100)), whole.reshape(60, 100))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_map_keeps_the_ranking_and_stays_inside(kind: str) -> None:
    logit, label, _ = _cohort(slope=0.5)
    one = fit(kind, logit, label)
    risk = one.apply(np.sort(logit))
    assert one.kind == kind
    assert (np.diff(risk) > 0).all()
    extreme = one.apply(np.array([-1e300, -1e3, -31, 31, 1e3, 1e300]))
    assert ((extreme > 0) & (extreme < 1)).all()
    assert (np.diff(extreme) >= 0).all()


@pytest.mark.parametrize("kind", list(KINDS))
def test_json_round_trip_is_exact(kind: str) -> None:
    logit, label, _ = _cohort()
    one = fit(kind, logit, label)
    again = Calibrator.from_json(json.loads(json.dumps(one.to_json())))
    assert again == one
    assert np.array_equal(again.apply(logit), one.apply(logit))


def test_platt_finds_a_planted_line_and_temperature_a_planted_slope() -> None:
    logit, label, _ = _cohort(slope=0.5, intercept=-1.0, rows=60_000)
    platt = fit("platt", logit, label)
    assert (platt.slope, platt.intercept) == pytest.approx((0.5, -1.0), abs=0.06)
    logit, label, _ = _cohort(slope=2.0, rows=60_000)
    assert fit("temperature", logit, label).slope == pytest.approx(2.0, rel=0.05)


def test_isotonic_finds_a_bend_that_a_line_cannot() -> None:
    random = np.random.default_rng(1)
    logit = random.normal(0, 2, 20_000)
    truth = np.where(logit > 1, 0.6, 0.05)
    label = (random.random(len(logit)) < truth).astype(int)
    one = choose(logit, label, np.arange(len(logit)))
    assert one.kind == "isotonic"
    assert one.apply(np.array([-1.0, 3.0])) == pytest.approx([0.05, 0.6], abs=0.03)


def test_hand_worked_isotonic_blocks() -> None:
    one = Calibrator("isotonic", knots=(-1.0, 1.0), rates=(0.2, 0.6))
    plain = 1 / (1 + np.exp(-np.array([-5.0, 0.0, 5.0])))
    assert one.apply(np.array([-5.0, 0.0, 5.0])) == pytest.approx(0.999 * np.array([0.2, 0.4, 0.6]) + 0.001 * plain)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, 0.0), (1.0, 2.0), (2.5, -1.0)])
def test_choice_helps_on_new_patients_and_ignores_the_order_of_rows(slope: float, intercept: float) -> None:
    logit, label, patient = _cohort(slope, intercept)
    one = choose(logit, label, patient)
    new, outcome, _ = _cohort(slope, intercept, rows=20_000, seed=9)
    assert _loss(outcome, one.apply(new)) <= _loss(outcome, Calibrator().apply(new)) + 1e-3
    assert choose(logit, label, patient) == one
    order = np.random.default_rng(0).permutation(len(logit))
    mixed = choose(logit[order], label[order], patient[order])
    assert mixed.kind == one.kind
    assert mixed.apply(new) == pytest.approx(one.apply(new), abs=1e-6)


def test_folds_are_by_patient() -> None:
    _, label, patient = _cohort()
    fold, with_event = calibration._folds(label, patient, 5, 0)
    assert all(len(set(fold[patient == p])) == 1 for p in set(patient))
    assert with_event == len(set(patient[label == 1]))
    counts = [len(set(patient[(fold == k) & (label == 1)])) for k in range(5)]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
@pytest.mark.parametrize("outcome", [0, 1])
def test_one_class_is_left_alone_with_a_note(kind: str, outcome: int) -> None:
    one = fit(kind, np.linspace(-3, 3, 20), np.full(20, outcome))
    assert (one.kind, one.slope, one.intercept) == ("identity", 1.0, 0.0)
    assert "20 rows" in one.note
    assert choose(np.linspace(-3, 3, 20), np.full(20, outcome), np.arange(20)).kind == "identity"


def test_one_patient_with_an_event_is_too_little() -> None:
    one = choose(np.linspace(-3, 3, 20), (np.arange(20) > 17).astype(int), np.arange(20) // 2)
    assert one.kind == "identity"
    assert "1 patients with an event" in one.note


def test_few_positives_refuse_an_isotonic_map() -> None:
    logit = np.linspace(-4, 4, 500)
    label = (np.arange(500) % 13 == 0).astype(int)
    label[-5:] = 1
    one = fit("isotonic", logit, label)
    assert one.kind == "platt"
    assert "50 needed" in one.note


def test_separable_logits_and_reversed_logits_stay_finite() -> None:
    logit = np.linspace(-3, 3, 200)
    label = (logit > 0).astype(int)
    assert np.isfinite([fit("platt", logit, label).slope, fit("temperature", logit, label).slope]).all()
    assert fit("platt", logit, 1 - label).kind == "identity"
    assert fit("platt", np.zeros(4), np.array([0, 1, 0, 1])).note


def test_faults_are_told() -> None:
    with pytest.raises(InputError, match="plat"):
        fit("plat", np.zeros(2), np.array([0, 1]))
    with pytest.raises(InputError, match="1 of 2 logits"):
        fit("platt", np.array([0.0, np.nan]), np.array([0, 1]))
    with pytest.raises(InputError, match="kinds"):
        Calibrator.from_json({"kind": "magic"})
    with pytest.raises(InputError, match="2 calibrators, 3 columns"):
        apply_all([Calibrator()] * 2, np.zeros((1, 3)), [("a", 1.0)] * 3)


@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_risks_are_monotone_in_the_horizon_of_a_complication_only(logits: list[float], shifts: list[float]) -> None:
    targets = [("b", 12.0), ("a", 6.0), ("b", 6.0), ("a", 24.0)]
    maps = [Calibrator("platt", intercept=shift) for shift in shifts]
    alone = np.array([one.apply(np.array(x)) for one, x in zip(maps, logits, strict=True)])
    risk = apply_all(maps, np.array([logits]), targets)[0]
    assert risk[1] == alone[1]
    assert risk[2] == alone[2]
    assert risk[3] == max(alone[1], alone[3])
    assert risk[0] == max(alone[2], alone[0])
