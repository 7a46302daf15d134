"""qSOFA at the prediction time: three signs and no laboratory."""

from __future__ import annotations

from clinical_lstm.baselines.base import BedsideScore
from clinical_lstm.scores.qsofa import qsofa


class Qsofa(BedsideScore):
    """The quick SOFA, 0 to 3 points; the argument is that of `clinical_lstm.scores.qsofa`.

    Source: Seymour et al., JAMA 315(8):762-774 (2016), doi 10.1001/jama.2016.0288.
    """

    score = staticmethod(qsofa)
    variables = ("respiratory_rate", "sbp", "sbp_noninvasive", "gcs", "not_alert")

    def __init__(self, carry_hours: int = 12) -> None:
        super().__init__(carry_hours=carry_hours)
