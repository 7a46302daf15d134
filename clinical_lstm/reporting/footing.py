"""What a risk stands on: how often such risks came true, and how fresh and full the data behind it are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.contributions import Measurements
from clinical_lstm.variables import vocabulary

RECENT_HOURS = 24.0
KINDS = {"vital": "vital sign", "lab": "laboratory value"}


@dataclass(frozen=True)
class Observed:
    """How often the onset came at a risk, with its 95 % interval where that was resampled; all as shares."""

    share: float
    low: float | None
    high: float | None
    horizon_hours: float

    @property
    def said(self) -> str:
        """One sentence."""
        bounds = ""
        if self.low is not None and self.high is not None:
            low, high = words.number(100 * self.low), words.percent(self.high)
            bounds = f" ({low} to {high})"
        return (
            f"of predictions with this risk, {words.percent(self.share)}{bounds} "
            f"had the onset {words.ahead(self.horizon_hours)}"
        )


def observed(curves: pl.DataFrame, target: tuple[str, float], risk: float) -> Observed | None:
    """Return the smoothed observed share at `risk`, between the points of the model's curve; None outside of them."""
    own = curves.filter(
        pl.col("predictor") == "model",
        pl.col("complication") == target[0],
        pl.col("horizon_hours") == target[1],
        pl.col("subset") == "all",
        pl.col("curve").cast(pl.String) == "smooth",
    ).sort("x")
    if own.is_empty() or not own["x"][0] <= risk <= own["x"][-1]:
        return None
    known = [name for name in ("low", "high") if name in own.columns and own[name].null_count() == 0]
    found = {name: float(np.interp(risk, own["x"].to_numpy(), own[name].to_numpy())) for name in ["y", *known]}
    return Observed(found["y"], found.get("low"), found.get("high"), target[1])


@dataclass(frozen=True)
class Quality:
    """How fresh and full the data behind a prediction are.

    Attributes:
        ages: hours since the last measurement of each of `KINDS` that the model reads, None: there was none.
        recent: how many variables were measured in the last 24 h. known: how many the model reads.
        charting: share of missingness and staleness in the size of all contributions.

    """

    ages: dict[str, float | None]
    recent: int
    known: int
    charting: float | None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What a reader should know of the data: name and text."""
        ages = [(f"Last {KINDS[kind]}", self._age(hours)) for kind, hours in self.ages.items()]
        recent = f"{self.recent} of {self.known} variables"
        share = [("From missingness and staleness", f"{words.percent(self.charting)} of the contributions")]
        return [*ages, ("Measured in the last 24 h", recent), *(share if self.charting is not None else [])]

    @staticmethod
    def _age(hours: float | None) -> str:
        if hours is None:
            return "none up to this time"
        return "at this time" if hours <= 1e-9 else f"{words.duration(hours)} before"


def quality(measurements: Measurements, variables: Iterable[str], now: float, charting: float | None) -> Quality:
    """Return how fresh and full the measurements up to `now` of the model's `variables` are.

    >>> found = quality({"map": [(2.0, 70.0), (9.0, 66.0)], "lactate": [(1.0, 2.0)]}, ["map", "lactate"], 5.0, None)
    >>> found.ages, found.recent, found.known
    ({'vital': 3.0, 'lab': 4.0}, 2, 2)
    """
    names = list(variables)
    past = {name: [hours for hours, _ in measurements.get(name, []) if hours <= now] for name in names}
    ages: dict[str, float | None] = {}
    for kind in KINDS:
        own = [name for name in names if (known := vocabulary().get(name)) and known.kind == kind]
        last = [past[name][-1] for name in own if past[name]]
        if own:
            ages[kind] = now - max(last) if last else None
    recent = sum(bool(hours) and hours[-1] > now - RECENT_HOURS for hours in past.values())
    return Quality(ages, recent, len(names), charting)
