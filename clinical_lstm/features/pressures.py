"""Blood pressure, whichever way it was taken."""

from __future__ import annotations

import torch
from torch import Tensor

from clinical_lstm.features.course import LEAST, Course, Vocabulary, over
from clinical_lstm.features.engineered import Feature
from clinical_lstm.features.ratios import DBP, MAP, PULSE, SBP

HALF_DAY, DAY = 12.0, 24.0
SCALE = 20.0  # mmHg
COLUMNS = ["last", "mean_12h", "min_12h", "max_12h", "mean_24h", "min_24h", "max_24h"]
JOINT = ["last", "mean_24h"]


class Pressures:
    """Arterial and cuff pressures as one: many stays have only one of them, or an arterial line for some hours.

        last = w v_cuff + (1 - w) v_arterial,    w = sigmoid(delta_arterial - delta_cuff): the newer one        (1)
        mean = (last + sum of v) / (1 + n)    of the n values v measured either way at the steps of (t - w, t]  (2)
        min, max                              of these and the last                                             (3)
        log(heart rate / systolic),    systolic - diastolic         now (1), and with the mean of 24 h (2)      (4)

    In units of 20 mmHg. Where both are as old (1) is their mean, where neither was measured the train medians'; by (2)
    and (3) a measurement comes and goes without a jump. A source that has not both ways has no column here.
    """

    observation_process = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        both = [names for names in (SBP, MAP, DBP) if set(names) <= set(vocabulary.variables)]
        self.pairs = {names[0]: [vocabulary.variables.index(name) for name in names] for names in both}
        self.names = {names[0]: names for names in both}
        self.windows = {f"{hours:g}h": vocabulary.steps(hours) for hours in (HALF_DAY, DAY)}
        self.pulse = vocabulary.first(PULSE) if "sbp" in self.pairs else None
        self.amplitude = {"sbp", "dbp"} <= set(self.pairs)

    @property
    def features(self) -> list[Feature]:
        """The columns: each pressure, then equations 4."""
        made = [f"{name}_either_way:{column}" for name in self.pairs for column in COLUMNS]
        made += [f"shock_index_either_way:{column}" for column in JOINT if self.pulse]
        made += [f"pulse_pressure_either_way:{column}" for column in JOINT if self.amplitude]
        return [Feature(name) for name in made]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, 7 x pressures + 4)."""
        found = {name: self._either(course, name) for name in self.pairs}
        columns = [own[column] / SCALE for own in found.values() for column in COLUMNS]
        if self.pulse:
            pulse = course.native(self.pulse).log()
            columns += [pulse - found["sbp"][column].clamp_min(LEAST).log() for column in JOINT]
        if self.amplitude:
            columns += [(found["sbp"][column] - found["dbp"][column]) / SCALE for column in JOINT]
        return torch.stack(columns, dim=2) if columns else course.batch.values[..., :0]

    def _either(self, course: Course, name: str) -> dict[str, Tensor]:
        """Return the columns (B, T) of a pressure, in mmHg."""
        pair, names = self.pairs[name], self.names[name]
        waited = course.batch.delta[..., pair]
        newer = torch.sigmoid(waited[..., 0] - waited[..., 1])
        last = newer * course.native(names[1]) + (1 - newer) * course.native(names[0])  # equation 1
        long = torch.stack([course.native(way, course.plain) for way in names], dim=2)  # (B, P + T, 2)
        mask, length = course.long_mask[..., pair], last.shape[1]
        columns = {"last": last}
        low = high = last
        begin = 0
        for window, steps in self.windows.items():  # the longer one goes on where the shorter one ends
            total, number = (
                over(part.sum(2, keepdim=True), steps, length, torch.add)[..., 0] for part in (mask * long, mask)
            )
            columns[f"mean_{window}"] = (last + total) / (1 + number)  # equation 2
            for lag in range(begin, steps):
                there = slice(long.shape[1] - length - lag, long.shape[1] - lag)
                for way in range(2):
                    value = last + mask[:, there, way] * (long[:, there, way] - last)
                    low, high = torch.minimum(low, value), torch.maximum(high, value)  # equation 3
            columns[f"min_{window}"], columns[f"max_{window}"], begin = low, high, steps
        return columns
