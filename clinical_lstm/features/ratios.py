"""Quotients and differences that clinicians compute at the bedside."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from clinical_lstm.features.course import Course, Vocabulary
from clinical_lstm.features.engineered import Feature

SBP, DBP, MAP = (("sbp", "sbp_noninvasive"), ("dbp", "dbp_noninvasive"), ("map", "map_noninvasive"))
PULSE, BREATHS, SPO2, FIO2 = (("heart_rate",), ("respiratory_rate",), ("spo2",), ("fio2",))
AGE = ("age_years",)
# name -> (what is multiplied, what divides): the logarithm of the quotient
QUOTIENTS: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {
    "shock_index": ([PULSE], [SBP]),  # Allgower & Burri 1967
    "modified_shock_index": ([PULSE], [MAP]),
    "age_shock_index": ([AGE, PULSE], [SBP]),
    "diastolic_share": ([DBP], [SBP]),
    "bun_to_creatinine": ([("bun",)], [("creatinine",)]),
    "pao2_to_fio2": ([("pao2",)], [FIO2]),  # Horowitz index
    "spo2_to_fio2": ([SPO2], [FIO2]),
    "sao2_to_fio2": ([("sao2",)], [FIO2]),
    "rox": ([SPO2], [FIO2, BREATHS]),  # Roca et al. 2016
    "platelets_to_wbc": ([("platelets",)], [("wbc",)]),
    "lactate_shock_index": ([("lactate",), PULSE], [SBP]),
    "lactate_to_albumin": ([("lactate",)], [("albumin",)]),
    "neutrophils_to_lymphocytes": ([("neutrophils",)], [("lymphocytes",)]),
    "ast_to_alt": ([("ast",)], [("alt",)]),
    "direct_to_total_bilirubin": ([("bilirubin_direct",)], [("bilirubin_total",)]),
    "paco2_to_bicarbonate": ([("paco2",)], [("bicarbonate",)]),
    "pulse_per_temperature": ([PULSE], [("temperature",)]),
}
# name -> (from what, what is subtracted, scale in that unit)
DIFFERENCES: dict[str, tuple[tuple[str, ...], list[tuple[str, ...]], float]] = {
    "pulse_pressure": (SBP, [DBP], 20.0),
    "anion_gap": (("sodium",), [("chloride",), ("bicarbonate",)], 5.0),
    "saturation_gap": (SPO2, [("sao2",)], 5.0),
}


class Ratios:
    """Quotients as logarithms, differences in a clinical scale, of the values last measured.

        log(a b / c) = log a + log b - log c                                                                    (1)
        (a - b - c) / scale                                                                                     (2)

    Of pressures the arterial one is taken where the source has it, else the cuff's. A column whose parts the source
    does not measure is left out; what was not yet measured in a stay counts as the train median.
    """

    observation_process = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.quotients: dict[str, tuple[list[str], list[str]]] = {}
        self.differences: dict[str, tuple[list[str], float]] = {}
        for name, (over, under) in QUOTIENTS.items():
            chosen = self._chosen([*over, *under])
            if len(chosen) == len(over) + len(under):
                self.quotients[name] = (chosen[: len(over)], chosen[len(over) :])
        for name, (of, less, scale) in DIFFERENCES.items():
            chosen = self._chosen([of, *less])
            if len(chosen) == 1 + len(less):
                self.differences[name] = (chosen, scale)

    def _chosen(self, wanted: list[tuple[str, ...]]) -> list[str]:
        """Return what is taken of each part, of a measured variable or a static one; nothing of what is neither."""
        there = {*self.vocabulary.variables, *self.vocabulary.statics}
        return [name for name in (next((n for n in names if n in there), None) for names in wanted) if name]

    @property
    def features(self) -> list[Feature]:
        """The columns: quotients, then differences."""
        made = {name: over + under for name, (over, under) in self.quotients.items()}
        made |= {name: parts for name, (parts, _) in self.differences.items()}
        return [
            Feature(name, tuple(p for p in parts if p in self.vocabulary.variables)) for name, parts in made.items()
        ]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, F)."""
        columns = []
        for over, under in self.quotients.values():
            logs = [self._value(course, name).log() for name in over]
            logs += [-self._value(course, name).log() for name in under]
            columns.append(reduce(torch.add, logs))  # in one order, whatever the shape
        for chosen, scale in self.differences.values():
            columns.append(reduce(torch.sub, [course.native(name) for name in chosen]) / scale)
        return torch.stack(columns, dim=2) if columns else course.batch.values[..., :0]

    def _value(self, course: Course, name: str) -> Tensor:
        if name in self.vocabulary.variables:
            return course.native(name)
        return course.static(name).clamp_min(1.0).expand_as(course.batch.hours)
