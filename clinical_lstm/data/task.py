"""The prediction geometry: when a risk is stated, and what it is a risk of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clinical_lstm import plugins
from clinical_lstm.errors import InputError
from clinical_lstm.schemas import YEAR_HOURS


@dataclass(frozen=True)
class Task:
    """A set of complications x horizons, predicted on a grid anchored on admission.

    ```
           lookback         now    gap      horizon
        |===================|......|###########|------->
        t - lookback        t     t+g        t+g+h
    label = 1 <=> an onset lies in (t+g, t+g+h]
    at_risk = 0 inside an episode, after the first event unless `recurrent`, in a stay that cannot be judged (nothing
    that the definition needs was measured), and (if `censoring`) where follow-up ends before t+g+h without an onset:
    for what is measured at the end of the record, for what the data set states at `follow_up_hours`.
    ```

    Attributes:
        complications: plug-ins of `complications/`, each a name or {"name": ..., arguments}.
        horizons_hours: h, ascending. gap_hours: g.
        lookback_hours: how far back the inputs reach; None: to admission.
        step_hours: width of an input step; None: one step per distinct time of observation.
        every_hours: spacing of the prediction times; None: every step.
        at_hours: predict once, at this hour.
        min_history_hours: no prediction before this hour.
        censoring: False says that a stay that ends without an event counts as event-free (discharge alive).
        whole_horizon: of what is measured, leave out every time whose horizon ends after the record, with an onset or
            without: for records that a clock cuts (PhysioNet 2012), where such a label is known only if it is 1.
        recurrent: whether later episodes count too.
        after_onset_hours: a benchmark's rows after the onset (CinC 2019: 3): label 1, at risk, flagged `after_onset`.
        min_events: a split with fewer stays that have an event, of any target, is refused.
        labels: a MEDS label file or folder; its prediction times and labels replace the geometry, and `complications`
            and `horizons_hours` (one of each) only name what they mean.

    """

    name: str
    complications: Sequence[Any]
    horizons_hours: Sequence[float]
    gap_hours: float = 0.0
    lookback_hours: float | None = None
    step_hours: float | None = 1.0
    every_hours: float | None = None
    at_hours: float | None = None
    min_history_hours: float = 0.0
    censoring: bool = True
    whole_horizon: bool = False
    recurrent: bool = False
    after_onset_hours: float | None = None
    min_events: int = 1
    labels: str | None = None

    def __post_init__(self) -> None:
        """Refuse a geometry that cannot be."""
        if not self.complications or not self.horizons_hours:
            there = ", ".join(plugins.names("complications"))
            raise InputError(
                f"task {self.name} needs at least one complication and one horizon; complication=[NAME,...] of: {there}"
            )
        if list(self.horizons_hours) != sorted(set(self.horizons_hours)) or self.horizons_hours[0] <= 0:
            raise InputError(f"task {self.name}: horizons_hours must ascend from above 0, not {self.horizons_hours}")
        if self.step_hours is not None and self.step_hours <= 0:
            raise InputError(f"task {self.name}: step_hours must be above 0 (or null for event times)")
        for name in ("lookback_hours", "every_hours", "at_hours"):
            hours = getattr(self, name)
            if hours is not None and hours <= 0:
                raise InputError(f"task {self.name}: {name} must be above 0 (or null), not {hours}")
            if hours and self.step_hours and abs((steps := hours / self.step_hours) - round(steps)) > 1e-6:
                raise InputError(f"task {self.name}: {name} must be a multiple of step_hours ({self.step_hours})")
        for name in ("gap_hours", "after_onset_hours"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"task {self.name}: {name} must not be negative")
        if len(set(names := [spec["name"] for spec in self.specs])) < len(names):
            raise InputError(f"task {self.name}: a complication stands twice in {', '.join(names)}")
        if self.labels and len(self.targets) > 1:
            raise InputError(f"task {self.name}: a label file has one target; give one complication and one horizon")

    @property
    def specs(self) -> list[dict[str, Any]]:
        """The complications as plug-in specifications."""
        return [{"name": c} if isinstance(c, str) else dict(c) for c in self.complications]

    @property
    def targets(self) -> list[tuple[str, float]]:
        """(complication, horizon) of every target, in the order of the K axis."""
        return [(spec["name"], float(h)) for spec in self.specs for h in self.horizons_hours]

    def record(self) -> dict[str, Any]:
        """Return the task as plain JSON types."""
        return asdict(self) | {"complications": self.specs, "horizons_hours": [float(h) for h in self.horizons_hours]}

    @staticmethod
    def of(spec: dict[str, Any]) -> Task:
        """Return the task of a configuration or manifest; raises InputError on an unknown key or complication."""
        try:
            task = Task(**spec)
        except TypeError as fault:
            raise InputError(f"task {spec.get('name')}: {str(fault).replace('Task.__init__() ', '')}") from None
        for complication in task.specs if not task.labels else []:
            plugins.bind("complications", complication, stays=None, observations=None, given=None)
        return task


def within(horizon_hours: float) -> str:
    """Return a horizon in words; one of a year or more means until discharge.

    >>> within(6.0), within(100_000.0)
    ('within 6 h', 'by discharge')
    """
    return "by discharge" if horizon_hours >= YEAR_HOURS else f"within {horizon_hours:g} h"


def needs(name: str) -> list[list[str]]:
    """Return the alternative sets of variables, any one of which lets a stay be judged; none: the data set states it.

    >>> needs("death")
    []
    """
    module = sys.modules[plugins.load("complications", name).__module__]
    if not isinstance(found := getattr(module, "NEEDS", None), list):
        raise InputError(f"{module.__name__} must say what it NEEDS: a list of lists of variables, [] if it is stated")
    return found
