"""When an alarm is raised: a threshold on the risk, a silence after each alarm, a reset after each event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from clinical_lstm.errors import InputError

ABOVE_ALL = math.nextafter(1.0, 2.0)  # the threshold that not even a risk of exactly 1 reaches


@dataclass(frozen=True)
class Policy:
    """What turns risks into alarms; raises InputError on a threshold that is no risk, or on negative hours.

    Attributes:
        threshold: an alarm needs a risk of at least this, in [0, 1] (`ABOVE_ALL`: never an alarm).
        silence_hours: after an alarm at t there is none before t + silence_hours.
        reset_hours: after the end of an event there is none for so long.

    """

    threshold: float
    silence_hours: float = 0.0
    reset_hours: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise InputError(f"the {name} of an alarm policy is {value!r}: give a number")
        if not 0 <= self.threshold <= ABOVE_ALL:
            raise InputError(f"the threshold of an alarm policy is {self.threshold}: give a risk, from 0 to 1")
        for name in ("silence_hours", "reset_hours"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} of an alarm policy is {getattr(self, name)}: give hours, 0 or more")

    def to_json(self) -> dict[str, float]:
        """Return plain types that `from_json` turns into an equal policy.

        >>> Policy.from_json(Policy(0.2, 6.0).to_json())
        Policy(threshold=0.2, silence_hours=6.0, reset_hours=0.0)
        """
        return {name: float(value) for name, value in asdict(self).items()}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Policy:
        """Return the policy that `to_json` wrote; raises InputError on missing or foreign keys and on nonsense."""
        names = [field.name for field in fields(Policy)]
        if not isinstance(content, Mapping) or set(content) != set(names):
            raise InputError(f"an alarm policy has the keys {', '.join(names)}; found {content!r}")
        return Policy(**content)
