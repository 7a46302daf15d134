"""The used patients teach, the others judge; and what is taught is what the equations say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.metrics.calibration import calibration_line, in_the_large
from clinical_lstm.metrics.discrimination import decisions
from clinical_lstm.metrics.rules import RULES
from clinical_lstm.metrics.utility import normalised_utility
from clinical_lstm.transport.refit import Rows, Update, best, judge, refit

CALIBRATION = {"calibration_slope", "calibration_intercept", "calibration_in_the_large", "ece_equal_mass", "brier"}


def rows(patients: int, positives: int, per_patient: int = 8, seed: int = 0) -> Rows:
    """Return rows of which the first `positives` patients have about one positive in three, at higher risks."""
    draw = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), per_patient)
    label = ((patient < positives) & (np.arange(len(patient)) % 3 == 0)).astype(np.int8)
    risk = 1 / (1 + np.exp(2 - label - draw.standard_normal(len(patient))))
    order = np.argsort(risk)
    return Rows(patient[order], label[order], risk[order], np.where(label[order] == 1, 1.0, -0.05))


def test_refitted_risks_are_calibrated_where_they_were_fitted() -> None:
    used = rows(60, 20)
    updates = refit(used, 0.3, "youden")
    assert not any(update.fallback for update in updates.values())
    shifted, bent = (updates[name].apply(used.risk) for name in ("intercept", "intercept_and_slope"))
    assert in_the_large(used.label, shifted) == pytest.approx(0, abs=1e-8)
    assert calibration_line(used.label, bent) == pytest.approx((1, 0), abs=1e-6)
    assert [updates[name].threshold for name in ("as_is", "intercept", "intercept_and_slope")] == [0.3] * 3
    for rule in RULES:
        chosen = refit(used, 0.3, rule)["threshold"]
        assert chosen == Update(best(used, rule))


@pytest.mark.parametrize(
    ("positives", "fallbacks"), [(0, 3), (4, 3), (5, 1), (9, 1), (10, 0), (50, 0), (51, 1), (56, 3)]
)
def test_few_events_fall_back_to_something_simpler(positives: int, fallbacks: int) -> None:
    updates = refit(rows(60, positives), 0.3, "cinc2019")
    assert list(updates) == [method for method in schemas.REFITS if method != "oracle"]
    assert sum(update.fallback for update in updates.values()) == fallbacks
    if fallbacks == 3:
        assert {update._replace(fallback=False) for update in updates.values()} == {Update(0.3)}
    if fallbacks == 1:
        assert updates["intercept_and_slope"] == updates["intercept"]._replace(fallback=True)


def test_a_slope_that_does_not_rise_is_not_taken() -> None:
    used = rows(60, 20)
    upside_down = Rows(used.patient, used.label[::-1].copy(), used.risk, used.gain)
    assert calibration_line(upside_down.label, upside_down.risk)[0] < 0
    updates = refit(upside_down, 0.3, "youden")
    assert updates["intercept_and_slope"] == updates["intercept"]._replace(fallback=True)
    assert updates["intercept_and_slope"].slope == 1


@pytest.mark.parametrize("rule", RULES)
def test_every_method_is_judged_on_its_own_risks_and_threshold(rule: str) -> None:
    used, judged = rows(60, 20), rows(80, 30, seed=1)
    updates = refit(used, 0.2, rule)
    found = judge(judged, updates, rule)
    for method, update in updates.items():
        risk = update.apply(judged.risk)
        rates = decisions(judged.label, risk, update.threshold)
        assert found[method, "sensitivity"] == rates.sensitivity
        assert found[method, "specificity"] == rates.specificity
        if method == "threshold":
            continue
        line = (found[method, "calibration_slope"], found[method, "calibration_intercept"])
        assert line == pytest.approx(calibration_line(judged.label, risk), abs=1e-6)
        assert found[method, "calibration_in_the_large"] == in_the_large(judged.label, risk)
        assert found[method, "brier"] == pytest.approx(np.mean((risk - judged.label) ** 2))
    for method in ("threshold", "oracle"):
        assert not CALIBRATION & {metric for name, metric in found if name == method}


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_nothing_beats_the_oracle(rule: str, seed: int, threshold: float, other: float) -> None:
    judged = rows(50, 15, seed=seed)
    found = judge(judged, refit(rows(60, 20, seed=seed + 1), threshold, rule) | {"else": Update(other)}, rule)
    goal = "utility_cinc2019" if rule.startswith("cinc2019") else "youden_index"
    reached = {method: value for (method, metric), value in found.items() if metric == goal}
    assert max(reached.values()) <= reached["oracle"] + 1e-12
    if rule.startswith("cinc2019"):
        assert reached["else"] == normalised_utility(judged.gain, judged.risk >= other)


def test_recalibration_alarms_the_same_rows_at_the_best_threshold() -> None:
    """Why no method combines both: a map that rises keeps the order, and so what the best threshold reaches."""
    used = rows(60, 20)
    for rule in RULES:
        bent = refit(used, 0.3, rule)["intercept_and_slope"].apply(used.risk)
        again = best(used._replace(risk=bent), rule)
        assert np.array_equal(bent >= again, used.risk >= best(used, rule))


@pytest.mark.parametrize("rule", RULES)
def test_one_class_gives_nan_and_no_number(rule: str) -> None:
    silent = rows(20, 0)
    found = judge(silent, refit(silent, 0.3, rule), rule)
    assert found["as_is", "brier"] > 0
    assert 0 < found["as_is", "specificity"] < 1
    undefined = ["calibration_slope", "calibration_intercept", "calibration_in_the_large", "sensitivity"]
    undefined += ["utility_cinc2019" if rule.startswith("cinc2019") else "youden_index"]
    assert all(math.isnan(found["as_is", metric]) for metric in undefined)
    assert math.isnan(found["oracle", undefined[-1]])


def test_an_update_stays_inside_0_and_1_and_one_that_changes_nothing_changes_no_bit() -> None:
    risk = np.array([1e-12, 0.3, 1 - 1e-12])
    assert Update(0.5).apply(risk) is risk
    moved = Update(0.5, intercept=40.0, slope=2.0).apply(risk)
    assert ((moved > 0) & (moved < 1)).all()
    assert Update(0.5, intercept=1.0).apply(np.array([0.5]))[0] == pytest.approx(1 / (1 + math.exp(-1)))
