"""Points of the bedside scores, with soft edges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from clinical_lstm.features.course import Course, Vocabulary, over
from clinical_lstm.features.engineered import Feature
from clinical_lstm.features.ratios import FIO2, MAP, PULSE, SBP, SPO2

SOFTNESS = 0.05  # an edge is a ramp over that share of itself, to both sides
# part -> (variables, of which the first is divided by the second; edges at which a point is added: below, above)
Edges = tuple[list[float], list[float]]
SOFA: dict[str, tuple[list[tuple[str, ...]], Edges]] = {
    "respiration": ([("pao2",), FIO2], ([400, 300, 200, 100], [])),
    "respiration_by_spo2": ([SPO2, FIO2], ([302, 221, 142, 67], [])),  # Pandharipande et al. 2009
    "coagulation": ([("platelets",)], ([150, 100, 50, 20], [])),
    "liver": ([("bilirubin_total",)], ([], [1.2, 2.0, 6.0, 12.0])),
    "circulation": ([MAP], ([70], [])),
    "consciousness": ([("gcs",)], ([14.5, 12.5, 9.5, 5.5], [])),
    "kidney": ([("creatinine",)], ([], [1.2, 2.0, 3.5, 5.0])),
}
NEWS: dict[str, tuple[list[tuple[str, ...]], Edges]] = {
    "respiration": ([("respiratory_rate",)], ([11.5, 8.5, 8.5], [20.5, 20.5, 24.5])),
    "saturation": ([SPO2], ([95.5, 93.5, 91.5], [])),
    "systolic": ([SBP], ([110.5, 100.5, 90.5], [219.5, 219.5, 219.5])),
    "pulse": ([PULSE], ([50.5, 40.5, 40.5], [90.5, 110.5, 130.5])),
    "temperature": ([("temperature",)], ([36.05, 35.05, 35.05], [38.05, 39.05])),
    "oxygen": ([FIO2], ([], [0.22, 0.22])),
    "consciousness": ([("gcs",)], ([14.5, 14.5, 14.5], [])),
}
QSOFA: dict[str, tuple[list[tuple[str, ...]], Edges]] = {
    "respiration": ([("respiratory_rate",)], ([], [21.5])),
    "systolic": ([SBP], ([100.5], [])),
    "consciousness": ([("gcs",)], ([14.5], [])),
}
SIRS: dict[str, tuple[list[tuple[str, ...]], Edges]] = {
    "temperature": ([("temperature",)], ([36.0], [38.0])),
    "pulse": ([PULSE], ([], [90.0])),
    "respiration": ([("respiratory_rate",)], ([], [20.0])),
    "white_cells": ([("wbc",)], ([4.0], [12.0])),
}
SCORES = {"sofa": SOFA, "news": NEWS, "qsofa": QSOFA, "sirs": SIRS}
NARROW = {"temperature": 0.2, "saturation": 0.5, "consciousness": 0.5}  # ramps in the unit: 5 % would be too wide


class Severity:
    """The components and totals of SOFA, NEWS, qSOFA and SIRS, as far as what is measured goes, and their course.

        points(x) = sum over edges e above  ramp((x - e) / w)  +  sum over edges e below  ramp((e - x) / w)     (1)
        ramp(u) = clip((u + 1) / 2, 0, 1),    w = 5 % of the edge                                               (2)
        total = sum of the components                                                                           (3)
        sofa_rise_24h = total of  component - its least in 24 h                                                 (4)
        news_max_12h = greatest total of 12 h                                                                   (5)

    With hard edges no gradient could explain them. The scores themselves are in `clinical_lstm.scores`; these are
    inputs: no vasopressors, no urine, no ventilation (PaO2/FiO2 alone has up to 4 points), the values last measured
    however old, the train median where there is none.
    Source: Vincent et al. 1996, doi 10.1007/BF01709751; Royal College of Physicians 2017; Singer et al. 2016,
    doi 10.1001/jama.2016.0287; Bone et al. 1992, doi 10.1378/chest.101.6.1644.
    """

    observation_process = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.half_day, self.day = vocabulary.steps(12.0), vocabulary.steps(24.0)
        self.parts: dict[str, dict[str, tuple[list[str], Edges]]] = {}
        for score, components in SCORES.items():
            own: dict[str, tuple[list[str], Edges]] = {}
            for part, (wanted, edges) in components.items():
                names = [name for name in map(vocabulary.first, wanted) if name]
                if len(names) == len(wanted) and not (part == "respiration_by_spo2" and "respiration" in own):
                    own[part] = (names, edges)
            if own:
                self.parts[score] = own
        self.vocabulary = vocabulary

    @property
    def features(self) -> list[Feature]:
        """The columns: components of SOFA and NEWS, totals, course."""
        shown = [score for score in ("sofa", "news") if score in self.parts]
        columns = [Feature(f"{score}:{part}") for score in shown for part in self.parts[score]]
        columns += [Feature(f"{score}:total") for score in self.parts]
        return columns + [Feature(f"{score}:{course}") for score, course in self._courses()]

    def _courses(self) -> list[tuple[str, str]]:
        courses = [("sofa", "rise_24h"), ("news", "max_12h")]
        return [(score, course) for score, course in courses if score in self.parts]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, F)."""
        now = {
            score: [self._points(course, course.batch.values, part, *own) for part, own in parts.items()]
            for score, parts in self.parts.items()
        }
        columns = [points for score in ("sofa", "news") for points in now.get(score, [])]
        columns += [reduce(torch.add, points) for points in now.values()]  # in one order, whatever the shape
        if "sofa" in self.parts:
            columns.append(self._rise(course, now["sofa"]))
        if "news" in self.parts:
            long = [self._points(course, course.plain, part, *own) for part, own in self.parts["news"].items()]
            length = course.batch.hours.shape[1]
            total = reduce(torch.add, long)[:, :, None]
            columns.append(over(total, self.half_day, length, torch.maximum)[..., 0])
        return torch.stack(columns, dim=2) if columns else course.batch.values[..., :0]

    def _rise(self, course: Course, now: Sequence[Tensor]) -> Tensor:
        """Return equation 4 (B, T); a component counts once all of it has been measured."""
        total = torch.zeros_like(course.batch.hours)
        for (part, (names, edges)), points in zip(self.parts["sofa"].items(), now):
            long = self._points(course, course.long, part, names, edges)[:, :, None]
            least = over(long, self.day, points.shape[1], torch.minimum)[..., 0]
            seen = course.seen[..., [self.vocabulary.variables.index(name) for name in names]].all(dim=2)
            total = total + torch.where(seen, points - least, 0.0)
        return total

    def _points(self, course: Course, values: Tensor, part: str, names: Sequence[str], edges: Edges) -> Tensor:
        """Return equation 1 (B, T') of `values` (B, T', V)."""
        x = course.native(names[0], values)
        if len(names) > 1:
            x = x / course.native(names[1], values)
        below, above = edges
        points = torch.zeros_like(x)
        for edge in below:
            points = points + (((edge - x) / NARROW.get(part, SOFTNESS * edge) + 1) / 2).clamp(0, 1)
        for edge in above:
            points = points + (((x - edge) / NARROW.get(part, SOFTNESS * edge) + 1) / 2).clamp(0, 1)
        return points
