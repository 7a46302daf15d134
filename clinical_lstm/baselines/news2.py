"""NEWS2 at the prediction time: what the ward already has."""

from __future__ import annotations

from collections.abc import Sequence

from clinical_lstm.baselines.base import BedsideScore
from clinical_lstm.scores.news2 import news2


class News2(BedsideScore):
    """The national early warning score, 0 to 20 points; the arguments are those of `clinical_lstm.scores.news2`.

    Source: Royal College of Physicians. National Early Warning Score (NEWS) 2. London: RCP, 2017 (no DOI).
    """

    score = staticmethod(news2)
    variables = (
        *("respiratory_rate", "spo2", "fio2", "oxygen_flow", "mechanical_ventilation"),
        *("sbp", "sbp_noninvasive", "heart_rate", "not_alert", "gcs", "temperature"),
    )

    def __init__(self, carry_hours: int = 12, scale_2_stays: Sequence[str] = ()) -> None:
        super().__init__(carry_hours=carry_hours, scale_2_stays=scale_2_stays)
