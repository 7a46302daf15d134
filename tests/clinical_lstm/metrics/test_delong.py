"""The variance equals its definition by loops over all pairs, and the bootstrap of patients on a simulated cohort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm.metrics import delong as d
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.metrics.replicates.discrimination import Discrimination

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 6), st.integers(0, 7)), min_size=2, max_size=30
)


def _by_pairs(label: np.ndarray, risks: list[np.ndarray], patient: np.ndarray) -> np.ndarray:
    """Return the covariance matrix of the AUROCs, by loops, as Obuchowski (1997) writes it."""
    ones, zeros, names = np.flatnonzero(label == 1), np.flatnonzero(label == 0), sorted(set(patient))
    n, m = len(ones), len(zeros)
    sums = []
    for risk in risks:
        ten, one = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        area = sum((risk[i] > risk[j]) + (risk[i] == risk[j]) / 2 for i in ones for j in zeros) / (n * m)
        for i in ones:
            ten[patient[i]] += sum((risk[i] > risk[j]) + (risk[i] == risk[j]) / 2 for j in zeros) / m - area
        for j in zeros:
            one[patient[j]] += sum((risk[i] > risk[j]) + (risk[i] == risk[j]) / 2 for i in ones) / n - area
        sums.append((ten, one))
    c10, c01, c = len(set(patient[ones])), len(set(patient[zeros])), len(names)
    found = np.zeros((len(risks), len(risks)))
    for a, (ten_a, one_a) in enumerate(sums):
        for b, (ten_b, one_b) in enumerate(sums):
            s10 = c10 / ((c10 - 1) * n) * sum(ten_a[k] * ten_b[k] for k in names)
            s01 = c01 / ((c01 - 1) * m) * sum(one_a[k] * one_b[k] for k in names)
            s11 = c / (c - 1) * sum(ten_a[k] * one_b[k] + ten_b[k] * one_a[k] for k in names) / 2
            found[a, b] = s10 / n + s01 / m + 2 * s11 / (n * m)
    return found


@given(rows, st.booleans())
@settings(max_examples=100, deadline=None)
def test_variance_and_test_are_the_loops_over_pairs(sample: list[tuple[int, int, int, int]], clustered: bool) -> None:
    y, p, q, patient = (np.array(column) for column in zip(*sample, strict=True))
    patient = patient if clustered else np.arange(len(y))
    found = d.paired_test(y, p, q, patient if clustered else None)
    variance = d.auroc_variance(y, p, patient if clustered else None)
    if min(len(set(patient[y == 1])), len(set(patient[y == 0]))) < 2:
        assert np.isnan([variance, found.standard_error, found.p]).all()
        return
    expected = _by_pairs(y, [p, q], patient)
    assert variance == pytest.approx(max(expected[0, 0], 0), abs=1e-12)
    gap = expected[0, 0] + expected[1, 1] - 2 * expected[0, 1]
    assert found.standard_error**2 == pytest.approx(max(gap, 0), abs=1e-12)
    assert (found.first, found.second) == pytest.approx((auroc(y, p), auroc(y, q)), abs=1e-12)
    assert found.difference == pytest.approx(found.first - found.second, abs=1e-12)


def test_components_of_a_class_average_to_the_area() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(0, 2, 400), random.integers(0, 50, 400) / 50
    component = d.structural_components(y, p)
    assert component[y == 1].mean() == pytest.approx(auroc(y, p), abs=1e-12)
    assert component[y == 0].mean() == pytest.approx(auroc(y, p), abs=1e-12)


def test_patients_with_many_rows_agree_with_the_bootstrap() -> None:
    random = np.random.default_rng(4)
    patients, per = 800, 12
    patient = np.repeat(np.arange(patients), per)
    level = random.normal(0, 1.2, patients)[patient]  # what the rows of a patient share
    y = (random.random(len(patient)) < 1 / (1 + np.exp(2.0 - level))).astype(int)
    first = level + random.normal(0, 0.7, patients)[patient] + random.normal(0, 0.5, len(patient))
    second = level + random.normal(0, 1.5, patients)[patient] + random.normal(0, 0.5, len(patient))
    drawn = random.integers(patients, size=(patients, 1500))
    counts = np.stack([np.bincount(column, minlength=patients) for column in drawn.T], axis=1).astype(float)
    one, two = (Discrimination(y, risk, patient, patients)(counts)["auroc"] for risk in (first, second))
    found = d.paired_test(y, first, second, patient)
    assert np.sqrt(d.auroc_variance(y, first, patient)) == pytest.approx(np.std(one), rel=0.06)
    assert found.standard_error == pytest.approx(np.std(one - two), rel=0.06)
    assert found.p < 1e-4
    assert d.auroc_variance(y, first) < d.auroc_variance(y, first, patient) / 1.5, "ignoring patients feigns certainty"


def test_equal_rankings_do_not_differ() -> None:
    y, p = np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    same, swapped = d.paired_test(y, p, p**3), d.paired_test(y, p[::-1], p)
    assert (same.difference, same.z, same.p) == (0, 0, 1)
    back = d.paired_test(y, p, p[::-1])
    assert (back.difference, back.z) == (-swapped.difference, -swapped.z)
    assert back.p == swapped.p


def test_a_difference_without_variance_is_certain() -> None:
    y, right = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    found = d.paired_test(y, right, 1 - right)
    assert (found.difference, found.z, found.p) == (1, np.inf, 0)


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_and_no_rows_are_undefined(label: list[int]) -> None:
    p = np.array([0.1, 0.2, 0.3])[: len(label)]
    assert np.isnan(d.auroc_variance(np.array(label), p))
    assert np.isnan(d.paired_test(np.array(label), p, p)).all()
    one_patient = d.paired_test(np.array([0, 1, 1]), p if len(p) else np.zeros(3), np.zeros(3), np.zeros(3))
    assert np.isnan(one_patient.p)
