"""A replicate equals scoring the drawn patients literally, metric by metric, with the public metric functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from clinical_lstm.evaluation.measures import COMPARED, ERRORS, Measures
from clinical_lstm.evaluation.operation import Operation
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics import calibration as c
from clinical_lstm.metrics import decision_curve, discrimination, utility
from clinical_lstm.metrics.alarms import AlarmCurve, AlarmMeasures, Course, Policy
from clinical_lstm.metrics.bootstrap import draws, replicate

OPERATION = Operation(0.15, Policy(0.2, silence_hours=4.0, reset_hours=1.0))
NEWTON = ("calibration_", "ici", "e50", "e90", "emax")  # of replicates: Newton's method stops early
SUBSETS: dict[str, Callable[[Rows], np.ndarray]] = {
    "all": lambda rows: rows.label >= 0,
    "pre_onset": lambda rows: ~rows.after_onset,
    "site": lambda rows: rows.site == "B",
    "hours": lambda rows: (rows.hours > 4) & (rows.hours <= 11),
}


@pytest.fixture(scope="module", params=[2, None], ids=["ties", "distinct"])
def rows(request: pytest.FixtureRequest, ward: Any, rows_in: Any) -> Rows:
    """Rows of 40 patients (45 stays), some of them with onsets, rows after them and two targets of time."""
    return rows_in(ward(patients=40, hours=16, seed=3, digits=request.param, noise=0.5))


def literally_drawn(rows: Rows, count: np.ndarray) -> Rows:
    """Return the rows with each patient as often as drawn, every time as a new patient with new stays."""
    index, stay, patient = [], [], []
    for number, p in enumerate(np.repeat(np.arange(rows.patients), count)):
        own = np.flatnonzero(rows.patient == p)
        index.append(own)
        stay.append(rows.stay[own] + number * 10_000)
        patient.append(np.full(len(own), number))
    chosen = np.concatenate(index)
    kept = {field.name: getattr(rows, field.name)[chosen] for field in fields(Rows) if field.name != "patients"}
    return replace(rows, **kept | {"stay": np.concatenate(stay), "patient": np.concatenate(patient)})


def literally(drawn: Rows, rows: Rows, operation: Operation = OPERATION) -> dict[str, float]:
    """Return every metric by the point functions; `rows`: whose knots and thresholds the replicates share."""
    y, p = drawn.label, drawn.risk
    line = c.calibration_line(y, p)
    parts = c.brier_parts(y, p)._asdict()
    early = ~drawn.after_onset
    course = Course(
        *(part[early] for part in (drawn.stay, drawn.hours, p, y, drawn.onset, drawn.patient)),
        patients=drawn.patients,
        ends=drawn.ended[early],
    )
    policy = operation.policy
    thresholds = AlarmCurve(rows.course(), policy.silence_hours, policy.reset_hours).thresholds
    curve = AlarmCurve(course, policy.silence_hours, policy.reset_hours, thresholds)
    alarms = {name: float(value) for name, value in AlarmMeasures(course, policy)().items()}
    return {
        "auroc": discrimination.auroc(y, p),
        "auroc_partial": discrimination.partial_auroc(y, p),
        "auprc": discrimination.average_precision(y, p),
        "brier": c.brier(y, p),
        **{f"brier_{name}": float(value) for name, value in parts.items() if name != "brier"},
        "ece_equal_width": c.ece_equal_width(y, p),
        "net_benefit": decision_curve.net_benefit(y, p, operation.threshold),
        "net_benefit_treat_all": decision_curve.treat_all(y, operation.threshold),
        "utility_cinc2019": utility.normalised_utility(drawn.gain, p >= operation.threshold),
        "utility_pre_onset": utility.normalised_utility(drawn.early_gain, p >= operation.threshold),
        **alarms,
        "events": float(len({*zip(course.stay[course.label], course.event[course.label])})),
        "event_auprc": float(curve.area()),
        "calibration_slope": line[0],
        "calibration_intercept": line[1],
        "calibration_in_the_large": c.in_the_large(y, p),
        "ece_equal_mass": c.ece_equal_mass(y, p),
        **{
            name: float(value)
            for name, value in c.smooth_errors(y, p, knots=c.spline_knots(rows.label, rows.risk))._asdict().items()
        },
        "prevalence": float(y.mean()),
        **discrimination.decisions(y, p, operation.threshold)._asdict(),
        "min_se_ppv": discrimination.min_se_ppv(y, p, operation.threshold),
    }


@pytest.mark.parametrize("subset", SUBSETS)
def test_point_estimates_are_the_public_metrics(rows: Rows, subset: str) -> None:
    own = rows.where(SUBSETS[subset](rows))
    assert own.patients == rows.patients
    found = Measures(own, OPERATION, True)()
    assert found == pytest.approx(literally(own, own), abs=1e-12, nan_ok=True)
    assert all(isinstance(value, float) for value in found.values())
    assert sum(np.isfinite(list(found.values()))) > 35


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_replicate_is_its_drawn_patients_scored_literally(rows: Rows, subset: str) -> None:
    own = rows.where(SUBSETS[subset](rows))
    [counts] = draws(rows.patients, 6, seed=3)
    measures = Measures(own, OPERATION, True)
    found = measures(counts.astype(float))
    for r in range(6):
        expected = literally(literally_drawn(own, counts[:, r]), own)
        one = {name: float(values[r]) for name, values in found.items()}
        assert set(one) == set(expected)
        assert one == pytest.approx(expected, abs=1e-5, nan_ok=True)
        exact = {name: value for name, value in one.items() if not name.startswith(NEWTON)}
        assert exact == pytest.approx({name: expected[name] for name in exact}, abs=1e-12, nan_ok=True)


def test_what_is_compared_has_the_same_bits(rows: Rows) -> None:
    counts = draws(rows.patients, 5, seed=1)[0].astype(float)
    every, few = Measures(rows, OPERATION, True), Measures(rows, OPERATION, True, compared=True)
    assert list(few()) == COMPARED
    assert few() == {name: every()[name] for name in COMPARED}
    assert all(np.array_equal(values, every(counts)[name]) for name, values in few(counts).items())
    assert list(Measures(rows, OPERATION, False, compared=True)()) == [n for n in COMPARED if "utility" not in n]


def test_utilities_only_where_the_task_asks_and_errors_are_metrics(rows: Rows) -> None:
    found = Measures(rows, OPERATION, False)()
    assert not any(name.startswith("utility") for name in found)
    assert found.keys() > ERRORS


def test_a_replicate_has_the_same_bits_in_any_block(rows: Rows) -> None:
    """The last block of 65 replicates holds one of them: no sum may depend on its neighbours."""
    measures, drawn = Measures(rows, OPERATION, True), draws(rows.patients, 65, seed=5)
    together = replicate(measures, drawn)
    whole = np.concatenate(drawn, axis=1)
    for sizes in (range(1, 65), [3, 40], [64]):
        apart = replicate(measures, np.split(whole, sizes, axis=1))
        differ = [name for name in together if not np.array_equal(together[name], apart[name], equal_nan=True)]
        assert not differ


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_undefined_not_a_crash(rows: Rows, label: int) -> None:
    own = rows.where(rows.label == label)
    measures = Measures(own, OPERATION, True)
    found, drawn = measures(), measures(draws(rows.patients, 3, seed=0)[0].astype(float))
    undefined = ("auroc", "auroc_partial", "calibration_slope", "calibration_in_the_large", "ici", "brier_skill")
    assert np.isnan([found[name] for name in undefined]).all()
    assert all(np.isnan(drawn[name]).all() for name in undefined)
    assert found["prevalence"] == label
    assert np.isfinite([found["brier"], found["ece_equal_mass"], found["net_benefit"], found["alarm_rate"]]).all()
    if label == 0:
        assert np.isnan([found[name] for name in ("auprc", "sensitivity", "event_recall", "event_auprc")]).all()
        assert found["events"] == 0


def test_no_rows_are_undefined_not_a_crash(rows: Rows) -> None:
    measures = Measures(rows.where(rows.risk > 2), OPERATION, True)
    found = measures()
    assert found.pop("events") == 0
    assert np.isnan(list(found.values())).all()
    drawn = measures(draws(rows.patients, 3, seed=0)[0].astype(float))
    assert all(len(values) == 3 for values in drawn.values())
    drawn.pop("events")
    assert all(np.isnan(values).all() for values in drawn.values())


def test_risks_at_the_edges_of_0_and_1_stay_finite(rows: Rows) -> None:
    random = np.random.default_rng(0)
    edge = np.array([1e-300, 1e-12, 0.5, 1 - 1e-12, np.nextafter(1, 0)])
    own = replace(rows, risk=edge[random.integers(len(edge), size=len(rows.risk))])
    measures = Measures(own, OPERATION, True)
    found = measures()
    assert np.isfinite(list(found.values())).all()
    [counts] = draws(rows.patients, 4, seed=2)
    drawn = measures(counts.astype(float))
    for r in range(4):
        expected = literally(literally_drawn(own, counts[:, r]), own)
        one = {name: float(values[r]) for name, values in drawn.items() if not name.startswith(NEWTON)}
        assert one == pytest.approx({name: expected[name] for name in one}, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_alarming_always_and_never(rows: Rows, threshold: float) -> None:
    """`best_threshold` answers 1.0, never alarm, where every alarm loses; its odds have no finite value."""
    found = Measures(rows, Operation(threshold, Policy(threshold)), True)()
    assert found["alarm_rate"] == 1 - threshold
    assert found["sensitivity"] == found["event_recall"] == 1 - threshold
    assert found["net_benefit"] == (found["prevalence"] if threshold == 0 else 0)
