"""Which predictions to explain, their attributions as tables, what counts over a cohort, and whether to believe it."""

from clinical_lstm.explanation.cells import explain
from clinical_lstm.explanation.choice import choose, sample_before_onset, sample_by_outcome, sample_for_importance
from clinical_lstm.explanation.contrasts import contrasts
from clinical_lstm.explanation.dose import dose
from clinical_lstm.explanation.drivers import drivers, importance
from clinical_lstm.explanation.evidence import evidence
from clinical_lstm.explanation.keys import KEY
from clinical_lstm.explanation.readings import readings
from clinical_lstm.explanation.trust import checks, examine, told

__all__ = [
    "KEY",
    "checks",
    "choose",
    "contrasts",
    "dose",
    "drivers",
    "evidence",
    "examine",
    "explain",
    "importance",
    "readings",
    "sample_before_onset",
    "sample_by_outcome",
    "sample_for_importance",
    "told",
]
