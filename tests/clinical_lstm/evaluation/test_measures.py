"""A replicate equals scoring the drawn patients literally, metric by metric, with the public metric functions."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.evaluation.bootstrap import draws
from clinical_lstm.evaluation.measures import Measures
from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics import calibration, discrimination, utility

THRESHOLD = 0.2


def _rows(n: int = 900, patients: int = 60, seed: int = 0, ties: bool = True) -> Rows:
    random = np.random.default_rng(seed)
    z = random.normal(-1.5, 1.2, n)
    risk = 1 / (1 + np.exp(-z))
    risk = np.clip(np.round(risk, 2), 0.01, 0.99) if ties else risk
    order = np.argsort(risk, kind="stable")
    label = (random.random(n) < risk).astype(np.int8)
    patient = random.permutation(np.arange(n) % patients)
    dt = random.integers(-20, 6, n).astype(float)
    dt[random.random(n) < 0.5] = -np.inf
    columns = (patient, patient, np.full(n, "A", object), label, risk, dt >= 0)
    stay, patient, site, label, risk, after = (column[order] for column in columns)
    return Rows(stay, patient, site, label, risk, after, utility.gain(dt)[order], utility.pre_onset_gain(dt)[order])


def _literally(rows: Rows, index: np.ndarray) -> dict[str, float]:
    y, p, gain, early = (part[index] for part in (rows.label, rows.risk, rows.gain, rows.early_gain))
    alarm = p >= THRESHOLD
    slope, intercept = calibration.calibration_line(y, p)
    return {
        "auroc": discrimination.auroc(y, p),
        "auprc": discrimination.average_precision(y, p),
        "utility_cinc2019": utility.normalised_utility(gain, alarm),
        "utility_pre_onset": utility.normalised_utility(early, alarm),
        "brier": calibration.brier(y, p),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "calibration_in_the_large": calibration.in_the_large(y, p),
        "ece_equal_width": calibration.ece_equal_width(y, p),
        "ece_equal_mass": calibration.ece_equal_mass(y, p),
        "prevalence": float(y.mean()),
        **discrimination.decisions(y, p, THRESHOLD)._asdict(),
    }


@pytest.mark.parametrize("ties", [True, False])
def test_point_estimates_are_the_public_metrics(ties: bool) -> None:
    rows = _rows(ties=ties)
    assert Measures(rows, THRESHOLD, True)() == pytest.approx(_literally(rows, np.arange(900)), abs=1e-12)


@pytest.mark.parametrize("ties", [True, False])
def test_a_replicate_is_its_drawn_patients_scored_literally(ties: bool) -> None:
    rows = _rows(ties=ties)
    measures = Measures(rows, THRESHOLD, True)
    for count in draws(60, 10, seed=3):
        drawn = np.concatenate([np.flatnonzero(rows.patient == p) for p in np.repeat(np.arange(60), count.astype(int))])
        expected = _literally(rows, drawn)
        found = measures(count)
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, abs=1e-5), "Newton stops early in replicates: 1e-5"
        close = {key: value for key, value in found.items() if not key.startswith("calibration")}
        assert close == pytest.approx({key: expected[key] for key in close}, abs=1e-12)
        compared = measures.compared(count)
        assert compared == {key: found[key] for key in compared}


def test_utilities_only_where_the_task_asks() -> None:
    assert not any(key.startswith("utility") for key in Measures(_rows(), THRESHOLD, False)())


def test_one_class_and_no_rows_are_undefined_not_a_crash() -> None:
    rows = _rows()
    negative = Measures(rows.where(rows.label == 0), THRESHOLD, False)()
    assert np.isnan([negative[key] for key in ("auroc", "auprc", "calibration_slope", "sensitivity")]).all()
    assert negative["prevalence"] == 0
    assert np.isfinite(negative["brier"])
    nothing = Measures(rows.where(rows.risk > 2), THRESHOLD, True)()
    assert np.isnan(list(nothing.values())).all()
