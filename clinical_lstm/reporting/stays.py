"""Explained stays: what one card shows, gathered from the tables of a run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import fsum
from typing import Any, NamedTuple

import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.cells import Cells, cells_of, from_charting, ranked, summed, visible
from clinical_lstm.reporting.changes import Change, Changes, change
from clinical_lstm.reporting.contents import Contents
from clinical_lstm.reporting.contributions import Driver, Measurements, drivers, table
from clinical_lstm.reporting.figures import thinned
from clinical_lstm.reporting.footing import Observed, Quality, observed, quality
from clinical_lstm.reporting.ringing import Ringing, ringing

MAX_RISKS = 500
MAX_MEASUREMENTS = 240
MAX_CELLS = 700


class Size(NamedTuple):
    """How much a card shows, and how tall its charts are against those of the page of a run."""

    lanes: int = 6
    rows: int = 10
    drivers: int = 6
    height: float = 1.0


CARD = Size()
ALONE = Size(lanes=10, rows=20, drivers=12, height=1.4)


@dataclass(frozen=True)
class Lane:
    """The measurements of one variable: (hours, value) in time order."""

    variable: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Card:
    """One explained prediction with all that its chart and text show; `step` is 0 h on event times."""

    title: str
    reason: str
    target: str
    now: float
    risk: float
    logit: float
    baseline: float
    gap: float
    complete: bool
    threshold: float | None
    window: tuple[float, float]
    step: float
    onsets: list[float]
    risks: list[tuple[float, float]]
    lanes: list[Lane]
    rows: list[str]
    measured: dict[str, list[tuple[float, float]]]
    cells: Cells
    drivers: list[Driver]
    listed: float
    left_out: str
    contributions: list[list[str]]
    observed: Observed | None
    change: Change | None
    quality: Quality
    ringing: Ringing | None
    height: float

    @property
    def end(self) -> float:
        """The last hour of the time axis."""
        return max([self.now, self.window[1], *(hours for hours, _ in self.risks)])

    @property
    def rest(self) -> float:
        """What the variables that are not listed contribute together."""
        return self.logit - self.baseline - self.listed

    @property
    def outcome(self) -> str:
        """What happened after the explained prediction, in words."""
        later = [onset for onset in self.onsets if onset > self.now]
        if later:
            return f"onset {words.duration(later[0] - self.now)} later"
        return "onset before this time" if self.onsets else "no onset in this record"

    @property
    def alarm(self) -> str:
        """Whether the risk is above the threshold, in words."""
        if self.threshold is None:
            return "no alarm threshold"
        side = "above" if self.risk >= self.threshold else "below"
        return f"{side} the threshold of {words.percent(self.threshold)}"


def pseudonyms(contents: Contents) -> dict[str, str]:
    """Return the explained stays, each with its pseudonym: "Stay 1", "Stay 2", ... in the order of reading."""
    names: dict[str, str] = {}
    for row in _in_order(contents):
        names.setdefault(row["stay_id"], f"Stay {len(names) + 1}")
    return names


def cards(
    contents: Contents,
    changes: Changes | None = None,
    identifiers: bool = False,
    stay: str | None = None,
    size: Size = CARD,
) -> list[Card]:
    """Return the cards of all explained predictions, or of those of one stay: by reason, then highest risk first.

    Stays are called "Stay 1", "Stay 2", ... in that order; `identifiers` adds the stay's own name.
    """
    names = pseudonyms(contents)
    return [
        _card(contents, changes, row, titled(names, row["stay_id"], identifiers), size)
        for row in _in_order(contents)
        if stay in (None, row["stay_id"])
    ]


def titled(names: dict[str, str], stay: str, identifiers: bool) -> str:
    """Return what a stay is called on a page.

    >>> titled({"p17": "Stay 3"}, "p17", True), titled({"p17": "Stay 3"}, "p17", False)
    ('Stay 3 (p17)', 'Stay 3')
    """
    return f"{names[stay]} ({stay})" if identifiers else names[stay]


def _in_order(contents: Contents) -> list[dict[str, Any]]:
    if contents.explanations is None:
        return []
    known = {reason: rank for rank, reason in enumerate(words.REASONS)}

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        return known.get(row["reason"], len(known)), row["reason"], -row["risk"], row["stay_id"], row["hours"]

    return sorted(contents.explanations.explained.to_dicts(), key=place)


def _card(contents: Contents, changes: Changes | None, row: dict[str, Any], title: str, size: Size) -> Card:
    tables, task, now, stay = contents.explanations, contents.manifest["task"], row["hours"], row["stay_id"]
    assert tables is not None, "a row comes from them"
    target, cells = (row["complication"], row["horizon_hours"]), cells_of(tables.attributions, row)
    total, by_channel, _ = summed(cells)
    measurements, static = _measurements(tables.observations, stay), _static(tables.stays, stay)
    dynamic = [name for name in ranked(total) if "static" not in by_channel[name]]
    predictions, first = _predictions(tables.predictions, stay, target), now + float(task.get("gap_hours") or 0.0)
    shown, capped = visible(cells, dynamic[: size.rows], MAX_CELLS)
    lanes = [v for v in dynamic if v in measurements][: size.lanes]
    risks = predictions.select("hours", "risk").rows()
    return Card(
        title=title,
        reason=words.REASONS.get(row["reason"], words.plain(row["reason"])),
        target=words.target(*target),
        now=now,
        risk=row["risk"],
        logit=row["logit"],
        baseline=row["baseline_logit"],
        gap=row["gap"],
        complete=row["explained"],
        threshold=contents.threshold(target),
        window=(first, first + target[1]),
        step=float(task.get("step_hours") or 0.0),
        onsets=_onsets(tables.episodes, stay, target[0]),
        risks=thinned(risks, MAX_RISKS),
        lanes=[Lane(v, thinned(measurements[v], MAX_MEASUREMENTS)) for v in lanes],
        rows=dynamic[: size.rows],
        measured={v: measurements[v] for v in dynamic[: size.rows] if v in measurements},
        cells=shown,
        drivers=drivers(cells, measurements, static, now, size.drivers),
        listed=fsum(total[name] for name in ranked(total)[: size.drivers]),
        left_out=_left_out(len(risks), max([len(measurements[v]) for v in lanes], default=0), capped),
        contributions=table(total, by_channel),
        observed=observed(contents.curves, target, row["risk"]),
        change=change(changes, contents.calibrator, row, measurements, static) if changes else None,
        quality=quality(measurements, contents.manifest.get("variables", []), now, from_charting(by_channel)),
        ringing=ringing(predictions, contents.alarms),
        height=size.height,
    )


def _left_out(risks: int, measurements: int, cells: int) -> str:
    """Return one sentence on what the chart of a long stay does not show; empty when it shows all."""
    parts = []
    if cells:
        parts.append(f"the {words.count(cells)} weakest contributions above 1\N{NO-BREAK SPACE}%")
    if measurements > MAX_MEASUREMENTS:
        parts.append(f"all but {MAX_MEASUREMENTS} evenly chosen of up to {words.count(measurements)} points of a lane")
    if risks > MAX_RISKS:
        parts.append(f"all but {MAX_RISKS} evenly chosen of {words.count(risks)} risks")
    return f"A long stay; not drawn: {'; '.join(parts)}." if parts else ""


def _measurements(observations: pl.DataFrame, stay: str) -> Measurements:
    points: Measurements = defaultdict(list)
    chosen = observations.filter(pl.col("stay_id") == stay).sort("variable", "hours")
    for variable, hours, value in chosen.select("variable", "hours", "value").iter_rows():
        points[variable].append((hours, value))
    return dict(points)


def _static(stays: pl.DataFrame, stay: str) -> dict[str, Any]:
    return next(iter(stays.filter(pl.col("stay_id") == stay).to_dicts()), {})


def _predictions(predictions: pl.DataFrame, stay: str, target: tuple[str, float]) -> pl.DataFrame:
    complication, horizon = target
    chosen = predictions.filter(
        pl.col("stay_id") == stay, pl.col("complication") == complication, pl.col("horizon_hours") == horizon
    )
    return chosen.sort("hours")


def _onsets(episodes: pl.DataFrame, stay: str, complication: str) -> list[float]:
    chosen = episodes.filter(pl.col("stay_id") == stay, pl.col("complication") == complication)
    return chosen["onset_hours"].sort().to_list()
