"""When the alarm policy of a run rings in one stay, and when it is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.metrics.alarms import Policy, raised
from clinical_lstm.reporting import words

Span = tuple[float, float]


@dataclass(frozen=True)
class Ringing:
    """The alarms of one stay: (hours, risk) of each, and the spans in which the policy keeps silent."""

    policy: Policy
    alarms: list[tuple[float, float]]
    silent: list[Span]

    @property
    def threshold(self) -> float | None:
        """The risk from which on it rings; None where it never does."""
        return self.policy.threshold if self.policy.threshold < 1 else None

    def state(self, now: float) -> str:
        """Say in words whether it rings at `now`."""
        if self.threshold is None:
            return "the alarm policy never rings"
        at = f"the alarm policy (from {words.percent(self.threshold)})"
        past = [hours for hours, _ in self.alarms if hours <= now]
        if past and past[-1] == now:
            return f"{at} rings now"
        if any(start < now < end for start, end in self.silent):
            rang = f": it rang {words.duration(now - past[-1])} ago" if past else ""
            return f"{at} is silent now{rang}"
        last = f"; it rang last {words.duration(now - past[-1])} ago" if past else ""
        return f"{at} does not ring now{last}"


def ringing(rows: pl.DataFrame, policies: list[dict[str, Any]]) -> Ringing | None:
    """Return the alarms in the predictions of one stay and target (`schemas.Predictions`); None without a policy.

    Nothing rings inside an episode or after the first one, as far as the data tell.
    """
    rows = rows.sort("hours")
    own = rows.head(1).select("complication", "horizon_hours").rows()
    found = [one for one in policies if (one["complication"], float(one["horizon_hours"])) in own]
    if not found:
        return None
    policy = Policy(*(float(found[0][name]) for name in ("threshold", "silence_hours", "reset_hours")))
    followed = rows["follow_up_hours"].is_not_null().to_numpy()
    told = followed.any() or rows["after_onset"].any()
    waiting = followed if told else np.ones(len(rows), bool)  # or nothing is known of the whole stay
    hours, risk = rows["hours"].to_numpy(), rows["risk"].to_numpy()
    ended = _last(np.where(waiting, np.nan, hours))
    stay = np.zeros(int(waiting.sum()), np.int64)
    rings = raised(stay, hours[waiting], risk[waiting], policy, ended[waiting])
    alarms = list(zip(hours[waiting][rings].tolist(), risk[waiting][rings].tolist()))
    ends = np.unique(ended[waiting & ~np.isnan(ended)]).tolist()
    spans = [(at, at + policy.silence_hours) for at, _ in alarms] + [(at, at + policy.reset_hours) for at in ends]
    return Ringing(policy, alarms, merged(spans))


def merged(spans: list[Span]) -> list[Span]:
    """Return the union of spans as spans that do not touch, in time order; spans without a length are none.

    >>> merged([(5.0, 9.0), (1.0, 3.0), (2.0, 4.0), (7.0, 7.0)])
    [(1.0, 4.0), (5.0, 9.0)]
    """
    union: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


def _last(hours: np.ndarray) -> np.ndarray:
    """Return at each row (N,) the last hour up to it that is a number; NaN before the first."""
    at = np.maximum.accumulate(np.where(np.isnan(hours), -1, np.arange(len(hours))))
    return np.where(at < 0, np.nan, hours[np.maximum(at, 0)])
