"""Net benefit equals the reference cases and the formula over the confusion matrix, thresholds in any order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.errors import InputError
from clinical_lstm.metrics import decision_curve as d

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "metric_cases.json"
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10), st.integers(0, 3)), min_size=1, max_size=40)


def test_reference_cases() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"{REFERENCE.name} is absent")
    for case in json.loads(REFERENCE.read_text())["cases"]:
        y, p = np.array(case["y"]), np.array(case["p"])
        for threshold, value in case["expected"]["net_benefit"].items():
            assert d.net_benefit(y, p, float(threshold)) == pytest.approx(value, abs=1e-9)
        for threshold, value in case["expected"]["net_benefit_treat_all"].items():
            assert d.treat_all(y, float(threshold)) == pytest.approx(value, abs=1e-9)
            assert d.net_benefit(y, np.ones(len(y)), float(threshold)) == pytest.approx(value, abs=1e-9)


@given(rows, st.permutations([0.0, 0.05, 0.2, 0.3, 0.5, 0.9]))
@settings(max_examples=80, deadline=None)
def test_curve_is_the_formula_over_the_confusion_matrix(sample: list[tuple[int, int, int]], at: list[float]) -> None:
    y, q, w = (np.array(column) for column in zip(*sample, strict=True))
    risk, again = q / 10, np.repeat(np.arange(len(y)), w)
    curve, label = d.decision_curve(y, risk, at, w.astype(float)), y[again]
    for index, t in enumerate(at):
        alarm = risk[again] >= t
        n, tp, fp = len(label), (alarm & (label == 1)).sum(), (alarm & (label == 0)).sum()
        tn, fn = (~alarm & (label == 0)).sum(), (~alarm & (label == 1)).sum()
        odds = t / (1 - t)
        with np.errstate(all="ignore"):
            benefit, everyone = (tp - fp * odds) / n, (tp + fn - (fp + tn) * odds) / n
            share = np.divide(benefit, (tp + fn) / n) if tp + fn else np.nan
            avoided = tn / n - fn / n / odds if t else np.nan
        found = [column[index] for column in curve]
        np.testing.assert_allclose(found, [t, benefit, everyone, share, avoided], atol=1e-12)
        if n and t:
            assert found[4] == pytest.approx((benefit - everyone) / odds, abs=1e-12)


def test_functions_at_one_threshold_are_the_curve() -> None:
    y, risk = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8])
    curve = d.decision_curve(y, risk, (0.25,))
    assert curve.net_benefit[0] == d.net_benefit(y, risk, 0.25) == pytest.approx(0.5 - 0.25 / 3)
    assert curve.treat_all[0] == d.treat_all(y, 0.25)
    assert curve.standardised[0] == d.standardised_net_benefit(y, risk, 0.25) == pytest.approx(1 - 0.5 / 3)
    assert curve.interventions_avoided[0] == d.net_interventions_avoided(y, risk, 0.25) == pytest.approx(0.25)


def test_risks_at_a_threshold_alarm_and_perfect_risks_reach_the_prevalence() -> None:
    y = np.array([0, 0, 0, 1])
    assert d.standardised_net_benefit(y, y.astype(float), 0.5) == 1
    assert d.net_benefit(y, np.full(4, 0.5), 0.5) == d.treat_all(y, 0.5)
    assert d.net_benefit(y, np.full(4, 0.5), np.nextafter(0.5, 1)) == d.TREAT_NONE


@pytest.mark.parametrize("wrong", [1.0, -0.1, float("nan")])
def test_impossible_thresholds_are_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="1 of 2 thresholds"):
        d.decision_curve(np.array([0, 1]), np.array([0.1, 0.2]), [0.2, wrong])


def test_no_rows_and_no_positives_are_undefined() -> None:
    nothing = np.zeros(0)
    assert np.isnan(d.decision_curve(nothing, nothing, [0.2])[1:]).all()
    assert np.isnan(d.standardised_net_benefit(np.zeros(2), np.zeros(2), 0.2))
    assert d.net_benefit(np.zeros(2), np.zeros(2), 0.2) == 0
