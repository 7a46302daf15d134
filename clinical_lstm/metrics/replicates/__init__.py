"""The metrics of many bootstrap replicates at once: rows are gathered once, a replicate then costs milliseconds.

Every class is one family of metrics, made from the rows (N,) of one target (label, risk, ...), the code `patient` (N,)
of each row's patient and the number of all `patients`; called with counts (P, R), how often each patient was drawn in
each replicate, it returns {metric: values (R,)}, and without counts {metric: value}, the point values of
`metrics.calibration`, `metrics.discrimination`, `metrics.decision_curve` and `metrics.utility`.
"""

from clinical_lstm.metrics.replicates.calibration import Calibration
from clinical_lstm.metrics.replicates.decisions import Decisions, NetBenefit
from clinical_lstm.metrics.replicates.discrimination import Discrimination
from clinical_lstm.metrics.replicates.reliability import Reliability
from clinical_lstm.metrics.replicates.utility import Utility

__all__ = ["Calibration", "Decisions", "Discrimination", "NetBenefit", "Reliability", "Utility"]
