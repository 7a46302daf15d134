"""Ranking metrics meet the reference cases and the invariants that define them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from clinical_lstm.errors import InputError
from clinical_lstm.metrics import discrimination as d

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"


def _cases() -> list[Any]:
    path = REFERENCE / "metric_cases.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{path} is absent"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text())["cases"]]


def _close(value: float, expected: float | None, tolerance: float = 1e-9) -> bool:
    return np.isnan(value) if expected is None else abs(value - expected) <= tolerance


rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


@pytest.mark.parametrize("case", _cases())
def test_reference_cases(case: dict[str, Any]) -> None:
    y, p, expected = np.array(case["y"]), np.array(case["p"]), case["expected"]
    assert _close(d.auroc(y, p), expected["auroc"])
    assert _close(d.average_precision(y, p), expected["average_precision"])
    assert _close(d.min_se_ppv(y, p, 0.5), expected["min_se_ppv_at_0.5"])
    best, threshold = d.best_min_se_ppv(y, p)
    assert _close(best, expected["min_se_ppv_best"])
    assert threshold == expected["min_se_ppv_best_threshold"]


@given(rows)
@settings(max_examples=80, deadline=None)
def test_weights_count_rows_literally(sample: list[tuple[int, int, int]]) -> None:
    y, p, w = (np.array(column) for column in zip(*sample, strict=True))
    again = np.repeat(np.arange(len(y)), w)
    for metric in (d.auroc, d.average_precision, lambda y, p, w=None: d.partial_auroc(y, p, 0.3, w)):
        weighted, repeated = metric(y, p / 7, w.astype(float)), metric(y[again], p[again] / 7)
        assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)
    weighted, repeated = d.decisions(y, p, 3, w.astype(float)), d.decisions(y[again], p[again], 3)
    assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_order_and_monotone_maps_leave_the_areas_bit_equal(sample: list[tuple[int, int, int]], random: Any) -> None:
    y, p, _ = (np.array(column) for column in zip(*sample, strict=True))
    shuffled = random.sample(range(len(y)), len(y))
    for metric in (d.auroc, d.average_precision):
        value = metric(y, p)
        assert np.array_equal(value, metric(y[shuffled], p[shuffled]), equal_nan=True)
        assert np.array_equal(value, metric(y, np.exp(p) - 9.0), equal_nan=True)


@given(rows)
@settings(max_examples=80, deadline=None)
def test_auroc_is_the_share_of_pairs_won(sample: list[tuple[int, int, int]]) -> None:
    y, p, _ = (np.array(column) for column in zip(*sample, strict=True))
    pairs = np.sign(p[y == 1][:, None] - p[y == 0][None, :])
    expected = float((pairs + 1).mean() / 2) if pairs.size else float("nan")
    assert d.auroc(y, p) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert d.auroc(1 - y, p) == pytest.approx(1 - expected, abs=1e-12, nan_ok=True)


@given(rows, st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 1.0]))
@settings(max_examples=120, deadline=None)
def test_partial_auroc_is_that_of_scikit_learn(sample: list[tuple[int, int, int]], max_fpr: float) -> None:
    y, p, w = (np.array(column) for column in zip(*sample, strict=True))
    found = d.partial_auroc(y, p, max_fpr), d.partial_auroc(y, p, max_fpr, w.astype(float))
    for value, once in zip(found, (np.ones(len(y)), w), strict=True):
        if len(set(y[once > 0])) < 2:
            assert np.isnan(value)
        else:
            expected = roc_auc_score(y, p, max_fpr=max_fpr, sample_weight=once)
            assert value == pytest.approx(expected, abs=1e-12)


def test_partial_auroc_of_a_coin_a_perfect_ranking_and_the_whole_curve() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8])
    assert d.partial_auroc(y, np.full(4, 0.3), 0.1) == pytest.approx(0.5)
    assert d.partial_auroc(y, y.astype(float), 0.1) == pytest.approx(1)
    assert d.partial_auroc(y, p, 1.0) == d.auroc(y, p)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, float("nan")])
def test_an_impossible_false_positive_rate_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="max_fpr"):
        d.partial_auroc(np.array([0, 1]), np.array([0.1, 0.2]), wrong)


@given(rows)
@settings(max_examples=80, deadline=None)
def test_youden_threshold_is_the_best_of_all(sample: list[tuple[int, int, int]]) -> None:
    y, p, _ = (np.array(column) for column in zip(*sample, strict=True))
    threshold = d.youden_threshold(y, p)
    if len(set(y)) < 2:
        assert np.isnan(threshold)
        return

    def index(t: float) -> float:
        rates = d.decisions(y, p, t)
        return rates.sensitivity + rates.specificity - 1

    best = max(index(t) for t in set(p))
    assert index(threshold) == pytest.approx(best)
    assert all(index(t) < best - 1e-12 for t in set(p) if t > threshold)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_undefined_and_never_a_crash(label: int) -> None:
    y, p = np.full(3, label), np.array([0.1, 0.2, 0.2])
    assert np.isnan(d.auroc(y, p))
    assert np.isnan(d.youden_threshold(y, p))
    assert np.isnan(d.average_precision(y, p)) if label == 0 else d.average_precision(y, p) == 1
    assert np.isnan(d.auroc(np.array([0, 1]), p[:2], np.array([1.0, 0.0]))), "the only positive has weight 0"


def test_no_rows_are_undefined() -> None:
    nothing = np.zeros(0)
    assert np.isnan([d.auroc(nothing, nothing), d.average_precision(nothing, nothing)]).all()
    assert np.isnan(d.decisions(nothing, nothing, 0.5)).all()
    assert np.isnan(d.partial_auroc(nothing, nothing))
    assert np.isnan(d.best_min_se_ppv(nothing, nothing)).all()
