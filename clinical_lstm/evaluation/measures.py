"""All metrics of one set of rows, prepared once so that drawing the patients anew costs milliseconds."""

from __future__ import annotations

import numpy as np

from clinical_lstm.evaluation.rows import Rows
from clinical_lstm.metrics.calibration import BINS, CalibrationFit, ece_equal_mass, equal_width_bin
from clinical_lstm.metrics.discrimination import NAN, Ranking

REPLICATE_TOLERANCE = 1e-3  # of the last Newton step; the error left is its square, far below the interval's own


class Measures:
    """Discrimination, calibration, decisions at a threshold and (where asked) the challenge utility of `rows`.

    Sums over rows are sums over patients of their own sums, so a replicate needs no pass over the rows for them:

        total = sum over patients of count * (sum over the patient's rows)

    Areas, the calibration line and bins of equal mass are no sums; they see each row weighing its patient's count.
    """

    def __init__(self, rows: Rows, threshold: float, with_utility: bool) -> None:
        self.rows, self.with_utility = rows, with_utility
        self.patients = int(rows.patient.max(initial=-1)) + 1
        self.ranking = Ranking(rows.label, rows.risk)
        self.fit = CalibrationFit(rows.label, rows.risk)
        self.line, self.shift = self.fit.line(), self.fit.in_the_large()
        terms = _terms(rows, rows.risk >= threshold)
        self.names = list(terms)
        sums = [np.bincount(rows.patient, term, self.patients) for term in terms.values()]
        self.sums = np.stack(sums, axis=1)  # (patients, terms)
        cell = rows.patient * BINS + equal_width_bin(rows.risk)
        self.excess = np.bincount(cell, rows.risk - rows.label, self.patients * BINS).reshape(self.patients, BINS)

    def __call__(self, count: np.ndarray | None = None) -> dict[str, float]:
        """Return every metric with patient p drawn count[p] times (None: once); NaN where undefined."""
        count, weight = self._weights(count)
        return self._compared(count, weight) | self._calibrated(count, weight) | self._decided(count)

    def compared(self, count: np.ndarray | None = None) -> dict[str, float]:
        """Return only the metrics on which predictors are compared: both areas and the utilities."""
        return self._compared(*self._weights(count))

    def _weights(self, count: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return (np.ones(self.patients), None) if count is None else (count, count[self.rows.patient])

    def _totals(self, count: np.ndarray) -> dict[str, float]:
        # einsum, not a BLAS product: its order of summation does not depend on the number of threads
        return dict(zip(self.names, np.einsum("p,pm->m", count, self.sums).tolist(), strict=True))

    def _compared(self, count: np.ndarray, weight: np.ndarray | None) -> dict[str, float]:
        auroc, auprc = self.ranking.areas(weight)
        found = {"auroc": auroc, "auprc": auprc}
        if self.with_utility:
            total = self._totals(count)
            found["utility_cinc2019"] = _ratio(total["won"], total["attainable"])
            found["utility_pre_onset"] = _ratio(total["early_won"], total["early_attainable"])
        return found

    def _calibrated(self, count: np.ndarray, weight: np.ndarray | None) -> dict[str, float]:
        slope, intercept, shift = *self.line, self.shift
        if weight is not None:  # Newton's method starts at the solution for all rows
            slope, intercept = self.fit.line(weight, self.line, REPLICATE_TOLERANCE)
            shift = self.fit.in_the_large(weight, self.shift, REPLICATE_TOLERANCE)
        total = self._totals(count)
        excess = np.abs(np.einsum("p,pb->b", count, self.excess)).sum()
        return {
            "brier": _ratio(total["squared_error"], total["rows"]),
            "calibration_slope": slope,
            "calibration_intercept": intercept,
            "calibration_in_the_large": shift,
            "ece_equal_width": _ratio(float(excess), total["rows"]),
            "ece_equal_mass": ece_equal_mass(self.rows.label, self.rows.risk, weight),
        }

    def _decided(self, count: np.ndarray) -> dict[str, float]:
        total = self._totals(count)
        rows, positives, alarms, true = (total[name] for name in ("rows", "positives", "alarms", "true_alarms"))
        return {
            "prevalence": _ratio(positives, rows),
            "sensitivity": _ratio(true, positives),
            "specificity": _ratio((rows - positives) - (alarms - true), rows - positives),
            "ppv": _ratio(true, alarms),
            "alarm_rate": _ratio(alarms, rows),
        }


def _terms(rows: Rows, alarm: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "rows": np.ones(len(alarm)),
        "positives": rows.label.astype(np.float64),
        "alarms": alarm.astype(np.float64),
        "true_alarms": (alarm & (rows.label == 1)).astype(np.float64),
        "squared_error": (rows.risk - rows.label) ** 2,
        "won": np.where(alarm, rows.gain, 0.0),
        "attainable": np.maximum(rows.gain, 0.0),
        "early_won": np.where(alarm, rows.early_gain, 0.0),
        "early_attainable": np.maximum(rows.early_gain, 0.0),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN
