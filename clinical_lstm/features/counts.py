"""How often, and how lately, anything was measured: what the ward itself thought of the patient."""

from __future__ import annotations

import torch
from torch import Tensor

from clinical_lstm.features.course import REACH_HOURS, Course, Vocabulary, over
from clinical_lstm.features.engineered import Feature

RECENT = 12.0
OF_ALL = ["vitals_now", "labs_now", "vitals_24h", "labs_24h", "log_hours_since_lab"]


class Counts:
    """Numbers of measurements: habits of a ward, informative inside it, and not sure to travel.

    log(1 + n_v),    log(1 + n_v in 12 h)                   of every variable v                              (1)
    how many vital signs, how many labs: now, in 24 h       as log(1 + n)                                    (2)
    log(1 + hours since the last lab of any kind)                                                            (3)
    """

    observation_process = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.names = vocabulary.variables
        self.vitals, self.labs = vocabulary.indices("vital"), vocabulary.indices("lab")
        self.recent, self.day = vocabulary.steps(RECENT), vocabulary.steps(REACH_HOURS)

    @property
    def features(self) -> list[Feature]:
        """The columns: equations 1, then 2 and 3."""
        own = [Feature(f"{name}:{column}") for column in ("log_count", "log_count_12h") for name in self.names]
        return own + [Feature(name) for name in OF_ALL]

    def __call__(self, course: Course) -> Tensor:
        """Return the columns (B, T, 2 V + 5)."""
        mask, length = course.long_mask, course.batch.mask.shape[1]
        found = [course.number, over(mask, self.recent, length, torch.add)]
        groups = [mask[..., places].sum(dim=2, keepdim=True) for places in (self.vitals, self.labs)]
        found += [group[:, -length:] for group in groups]
        found += [over(group, self.day, length, torch.add) for group in groups]
        hours = course.batch.hours[:, :, None]
        lately = course.batch.delta[..., self.labs].amin(dim=2, keepdim=True) if self.labs else hours
        return torch.log1p(torch.cat([*found, lately], dim=2))
