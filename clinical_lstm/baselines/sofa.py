"""SOFA at the prediction time: how many organs have failed already."""

from __future__ import annotations

from clinical_lstm.baselines.base import BedsideScore
from clinical_lstm.scores.sofa import sofa


class Sofa(BedsideScore):
    """The sequential organ failure assessment, 0 to 24 points; the arguments are those of `clinical_lstm.scores.sofa`.

    Source: Vincent et al., Intensive Care Med 22(7):707-710 (1996), doi 10.1007/BF01709751.
    """

    score = staticmethod(sofa)
    variables = (
        *("pao2", "fio2", "mechanical_ventilation", "platelets", "bilirubin_total", "map", "map_noninvasive"),
        *("dopamine", "dobutamine", "epinephrine", "norepinephrine", "gcs", "creatinine", "urine_output"),
    )

    def __init__(
        self, window_hours: int = 24, carry_hours: int = 0, fio2_hours: float = 12.0, urine_gap_hours: int = 8
    ) -> None:
        super().__init__(
            window_hours=window_hours, carry_hours=carry_hours, fio2_hours=fio2_hours, urine_gap_hours=urine_gap_hours
        )
