"""A replicate equals scoring its drawn rows literally with the point functions, whatever it is computed beside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clinical_lstm.metrics import calibration as c
from clinical_lstm.metrics import decision_curve as dc
from clinical_lstm.metrics import discrimination as d
from clinical_lstm.metrics import replicates as r
from clinical_lstm.metrics.calibration import smooth_curve
from clinical_lstm.metrics.replicates.family import Family
from clinical_lstm.metrics.utility import normalised_utility

THRESHOLD, THRESHOLDS = 0.2, (0.3, 0.05, 0.2)
EXACT = ("discrimination", "reliability", "decisions", "benefit", "utility")


class Cohort:
    """Rows of patients; every third patient of the whole cohort has none."""

    def __init__(self, n: int, patients: int, digits: int = 2, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.patients = patients
        self.patient = 3 * (random.integers(0, patients, n) // 3)
        z = random.normal(-1.5, 0.8, patients)[self.patient] + random.normal(0, 0.9, n)
        self.risk = np.round(1 / (1 + np.exp(-z)), digits)
        self.label = (random.random(n) < 1 / (1 + np.exp(-0.8 * z - 0.3))).astype(np.int8)
        self.gain = random.normal(0.2, 1, n)

    def family(self, name: str) -> Family:
        rows = self.label, self.risk, self.patient, self.patients
        return {
            "discrimination": lambda: r.Discrimination(*rows),
            "calibration": lambda: r.Calibration(*rows),
            "reliability": lambda: r.Reliability(*rows),
            "decisions": lambda: r.Decisions(*rows, THRESHOLD),
            "benefit": lambda: r.NetBenefit(*rows, THRESHOLDS),
            "utility": lambda: r.Utility({"utility": self.gain}, self.risk >= THRESHOLD, *rows[2:]),
        }[name]()

    def literally(self, name: str, index: np.ndarray) -> dict[str, float]:
        y, p = self.label[index], self.risk[index]
        return {
            "discrimination": lambda: {
                "auroc": d.auroc(y, p),
                "auroc_partial": d.partial_auroc(y, p),
                "auprc": d.average_precision(y, p),
            },
            "calibration": lambda: self._calibrated(y, p),
            "reliability": lambda: {
                "brier": c.brier(y, p),
                **{f"brier_{part}": value for part, value in c.brier_parts(y, p)._asdict().items() if part != "brier"},
                "ece_equal_width": c.ece_equal_width(y, p),
            },
            "decisions": lambda: {"prevalence": y.mean(), **d.decisions(y, p, THRESHOLD)._asdict()},
            "benefit": lambda: _benefits(y, p),
            "utility": lambda: {"utility": normalised_utility(self.gain[index], p >= THRESHOLD)},
        }[name]()

    def _calibrated(self, y: np.ndarray, p: np.ndarray) -> dict[str, float]:
        slope, intercept = c.calibration_line(y, p)
        return {
            "calibration_slope": slope,
            "calibration_intercept": intercept,
            "calibration_in_the_large": c.in_the_large(y, p),
            "ece_equal_mass": c.ece_equal_mass(y, p),
            **c.smooth_errors(y, p, knots=c.spline_knots(self.label, self.risk))._asdict(),
        }

    def draws(self, replicates: int, seed: int = 1) -> np.ndarray:
        drawn = np.random.default_rng(seed).integers(self.patients, size=(replicates, self.patients))
        return np.stack([np.bincount(row, minlength=self.patients) for row in drawn], axis=1).astype(float)

    def rows_of(self, count: np.ndarray) -> np.ndarray:
        return np.repeat(np.arange(len(self.risk)), count[self.patient].astype(int))


def _benefits(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    functions: dict[str, Callable[[float], float]] = {
        "net_benefit": lambda t: dc.net_benefit(y, p, t),
        "net_benefit_treat_all": lambda t: dc.treat_all(y, t),
        "net_benefit_standardised": lambda t: dc.standardised_net_benefit(y, p, t),
        "interventions_avoided": lambda t: dc.net_interventions_avoided(y, p, t),
    }
    return {f"{name}@{t:g}": function(t) for name, function in functions.items() for t in THRESHOLDS}


@pytest.mark.parametrize("name", [*EXACT, "calibration"])
@pytest.mark.parametrize("digits", [2, 9])
def test_a_replicate_is_its_drawn_rows_scored_literally(name: str, digits: int) -> None:
    cohort = Cohort(900, 60, digits)
    family, counts = cohort.family(name), cohort.draws(12)
    found = family(counts)
    tolerance = 1e-5 if name == "calibration" else 1e-12  # Newton's method stops early in replicates
    for replicate, count in enumerate(counts.T):
        expected = cohort.literally(name, cohort.rows_of(count))
        assert list(found) == list(expected)
        for metric, value in expected.items():
            assert found[metric][replicate] == pytest.approx(value, abs=tolerance), metric
    whole = cohort.literally(name, np.arange(900))
    assert family() == pytest.approx(whole, abs=1e-12)
    once = family(np.ones((60, 1)))
    for metric, value in whole.items():
        assert once[metric][0] == pytest.approx(value, abs=tolerance), metric


@pytest.mark.parametrize("name", [*EXACT, "calibration"])
def test_the_bits_do_not_depend_on_the_block(name: str) -> None:
    cohort = Cohort(3000, 90, digits=9)
    counts, family = cohort.draws(45), cohort.family(name)
    usual = family(counts)
    for block in (1, 7, 64):
        family.block = block
        for metric, values in family(counts).items():
            assert np.array_equal(values, usual[metric], equal_nan=True), (metric, block)
    assert all(len(values) == 0 for values in family(counts[:, :0]).values())


def test_cells_of_many_rows_err_by_little_of_an_interval() -> None:
    cohort = Cohort(50_000, 3000, digits=12)
    assert len(np.unique(cohort.risk)) > 49_000
    family, counts = cohort.family("calibration"), cohort.draws(200)
    point, found, once = family(), family(counts), family(np.ones((3000, 1)))
    drawn = [cohort.literally("calibration", cohort.rows_of(count)) for count in counts[:, :3].T]
    for metric, values in found.items():
        width = np.quantile(values, 0.975) - np.quantile(values, 0.025)
        assert once[metric][0] == pytest.approx(point[metric], abs=1e-4), metric
        for replicate, expected in enumerate(drawn):
            assert abs(values[replicate] - expected[metric]) < 0.02 * width, (metric, width)


UNDEFINED = {
    "no events": {
        *("auroc", "auroc_partial", "auprc", "calibration_slope", "calibration_intercept", "calibration_in_the_large"),
        *("ici", "e50", "e90", "emax", "brier_skill", "sensitivity"),
        *(f"net_benefit_standardised@{t:g}" for t in THRESHOLDS),
    },
    "all events": {
        *("auroc", "auroc_partial", "calibration_slope", "calibration_intercept", "calibration_in_the_large"),
        *("ici", "e50", "e90", "emax", "brier_skill", "specificity"),
    },
    "one risk": {"calibration_slope", "calibration_intercept"},
    "apart": {"calibration_slope", "calibration_intercept"},
    "certain": set(),
    "one patient": set(),
}


def _edge(kind: str) -> Cohort:
    cohort = Cohort(40, 12)
    if kind in ("no events", "all events"):
        cohort.label[:] = kind == "all events"
    if kind == "one risk":
        cohort.risk[:] = 0.25
    if kind == "apart":
        cohort.risk = np.where(cohort.label == 1, 0.8, 0.1)
    if kind == "certain":
        cohort.risk = np.where(np.arange(40) % 3 == 0, 0.0, np.where(np.arange(40) % 3 == 1, 1.0, 0.5))
    if kind == "one patient":
        cohort.patient[:] = 4
    return cohort


@pytest.mark.parametrize("kind", UNDEFINED)
def test_edge_cases_are_defined_or_nan_and_agree_with_the_point_values(kind: str) -> None:
    cohort = _edge(kind)
    undefined = set()
    for name in (*EXACT, "calibration"):
        family = cohort.family(name)
        point, twice = family(), family(np.full((12, 2), 2.0))
        assert all(np.isnan(values).all() for values in family(np.zeros((12, 1))).values()), "nobody was drawn"
        for metric, value in point.items():
            near = 1e-3 if metric in ("ici", "e50", "e90", "emax") else 1e-6  # a ridge weighs less on two of each
            np.testing.assert_allclose(twice[metric], [value, value], atol=near, err_msg=metric)
        undefined |= {metric for metric, value in point.items() if np.isnan(value)}
    assert undefined == UNDEFINED[kind]


def test_a_replicate_without_an_event_is_nan_beside_one_that_has_them() -> None:
    cohort = Cohort(60, 12)
    cohort.label[:] = (cohort.patient == 3) & (cohort.risk > np.median(cohort.risk))
    counts = np.ones((12, 3))
    counts[3, 1] = 0
    for name in ("discrimination", "calibration"):
        for metric, values in cohort.family(name)(counts).items():
            assert np.isnan(values).tolist() == [False, metric != "ece_equal_mass", False], metric


@pytest.mark.parametrize("name", [*EXACT, "calibration"])
def test_no_rows_are_undefined(name: str) -> None:
    cohort = Cohort(0, 3)
    family = cohort.family(name)
    assert np.isnan(list(family().values())).all()
    assert np.isnan(list(family(np.ones((3, 2))).values())).all()


def test_the_smooth_curve_of_a_replicate_is_that_of_its_drawn_rows() -> None:
    random = np.random.default_rng(5)
    risk = random.choice(np.linspace(0.02, 0.9, 60), 3000)
    label, patient = (random.random(3000) < risk).astype(int), np.arange(3000) % 100
    counts, at = random.poisson(1.0, (100, 3)).astype(float), np.array([0.05, 0.3, 0.8])
    family = r.Calibration(label, risk, patient, 100)
    assert family.curve(at, np.ones((100, 1)))[0] == pytest.approx(smooth_curve(label, risk, at), abs=1e-6)
    for column, found in zip(counts.T, family.curve(at, counts), strict=True):
        assert found == pytest.approx(smooth_curve(label, risk, at, column[patient]), abs=0.01), "other knots"
