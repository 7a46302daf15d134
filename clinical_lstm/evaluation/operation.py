"""How a predictor is operated: the threshold of a single row, and the policy by which it rings.

Both are chosen on the validation split. A policy is the threshold that finds most events within a budget of false
alarms per patient-day, silent for some hours after each alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.evaluation.rows import Target, rows_of, scored, targets
from clinical_lstm.metrics.alarms import Policy, tune


class Operation(NamedTuple):
    """The risk from which on a row is called positive, and how alarms ring."""

    threshold: float
    policy: Policy


@dataclass(frozen=True)
class AlarmBudget:
    """What a ward can bear.

    Attributes:
        budget: false alarms per patient-day, on the validation split. silence_hours: no alarm after an alarm.
        reset_hours: no alarm after the end of an event.

    """

    budget: float = 0.5
    silence_hours: float = 6.0
    reset_hours: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no budget."""
        for name in ("budget", "silence_hours", "reset_hours"):
            if not getattr(self, name) >= 0:
                raise InputError(f"alarm.{name} must be 0 or more, not {getattr(self, name)}")


def operations(
    predictions: pl.DataFrame, thresholds: Mapping[Target, float], alarm: AlarmBudget, what: str
) -> dict[Target, Operation]:
    """Return how to operate each target: its threshold, and the policy tuned on the validation rows."""
    table = scored(predictions, "val", what)
    require_thresholds(targets(table), thresholds, what)
    chosen = {}
    for target in targets(table):
        policy = tune(rows_of(table, target).course(), alarm.budget, alarm.silence_hours, alarm.reset_hours)
        chosen[target] = Operation(thresholds[target], policy)
    return chosen


def require_thresholds(found: Sequence[Target], threshold: Mapping[Target, float], predictor: str) -> None:
    """Raise InputError unless every target has a threshold that is a number."""
    absent = [target for target in found if not np.isfinite(threshold.get(target, np.nan))]
    if absent:
        known = ", ".join(str(target) for target in threshold) or "none"
        raise InputError(f"{predictor} has no alarm threshold for {absent}; there are: {known}; choose them on val")


def require_operation(found: Sequence[Target], operation: Mapping[Target, Operation], predictor: str) -> None:
    """Raise InputError unless every target is operated."""
    require_thresholds(found, {target: one.threshold for target, one in operation.items()}, predictor)


def record(chosen: Mapping[Target, Operation], alarm: AlarmBudget) -> list[dict[str, Any]]:
    """Return what `alarms.json` says of each target."""
    return [
        {"complication": target[0], "horizon_hours": target[1], **one.policy.to_json()}
        | {"budget": alarm.budget, "rule": "most events within the budget", "chosen_on": "val"}
        for target, one in chosen.items()
    ]
