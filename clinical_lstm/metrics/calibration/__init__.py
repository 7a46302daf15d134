"""Calibration: do risks of 10 % come true in 10 % of the rows?

Proper scores, the calibration line, binned errors, the smooth curve. Labels are 0/1 arrays (N,), risks float arrays
(N,) in [0, 1], weights float arrays (N,) or None (all 1); a weight of k counts a row k times, exactly. A value that the
rows do not define is NaN.
"""

from clinical_lstm.metrics.calibration.binned import (
    BINS,
    ece_equal_mass,
    ece_equal_width,
    equal_mass_ends,
    equal_width_bin,
)
from clinical_lstm.metrics.calibration.line import CalibrationFit, calibration_line, in_the_large
from clinical_lstm.metrics.calibration.logits import CLIP
from clinical_lstm.metrics.calibration.proper import BrierParts, brier, brier_parts, brier_skill, log_loss
from clinical_lstm.metrics.calibration.smooth import SmoothErrors, smooth_curve, smooth_errors, spline_knots
from clinical_lstm.metrics.weights import NAN, ascending

__all__ = [
    "BINS",
    "CLIP",
    "NAN",
    "BrierParts",
    "CalibrationFit",
    "SmoothErrors",
    "ascending",
    "brier",
    "brier_parts",
    "brier_skill",
    "calibration_line",
    "ece_equal_mass",
    "ece_equal_width",
    "equal_mass_ends",
    "equal_width_bin",
    "in_the_large",
    "log_loss",
    "smooth_curve",
    "smooth_errors",
    "spline_knots",
]
