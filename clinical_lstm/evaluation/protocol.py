"""How predictors are judged: which rows, how many replicates, which subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.subgroups import require_dimensions


@dataclass(frozen=True)
class Protocol:
    """How predictors are judged.

    Attributes:
        split: whose rows count. replicates, seed: of the bootstrap of patients.
        utility: whether to add the score of the PhysioNet/CinC Challenge 2019.
        subgroups: dimensions (`subgroups.KNOWN`, or static variables) on which the first predictor is judged too.
        least_patients: a subgroup with fewer patients with a positive row, or without one, gets counts and no values.

    """

    split: str = "test"
    replicates: int = 1000
    seed: int = 0
    utility: bool = False
    subgroups: Sequence[str] = ("site",)
    least_patients: int = 10

    def __post_init__(self) -> None:
        """Refuse dimensions that do not exist, and counts that count nothing."""
        require_dimensions(self.subgroups)
        for name, least in {"replicates": 0, "least_patients": 1}.items():
            if getattr(self, name) < least:
                raise InputError(f"evaluation.{name} must be {least} or more, not {getattr(self, name)}")
