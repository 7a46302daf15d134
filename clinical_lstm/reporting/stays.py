"""Explained stays: what one card shows, gathered from the tables of a run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import exp, fsum
from typing import Any

import polars as pl

from clinical_lstm.reporting import words
from clinical_lstm.reporting.contents import Contents, Explanations
from clinical_lstm.reporting.figures import thinned

LANES = 6
ROWS = 10
DRIVERS = 6
MAX_RISKS = 500
MAX_MEASUREMENTS = 240
MAX_CELLS = 700
FAINT = 0.01  # cells below this share of the strongest one stay blank

Cells = dict[tuple[str, float], dict[str, float]]  # (variable, input_hours) -> channel -> attribution


@dataclass(frozen=True)
class Driver:
    """One variable's whole contribution to the logit, in words."""

    sentence: str
    through: str
    contribution: float

    @property
    def direction(self) -> str:
        """Whether it raises or lowers the risk."""
        return "raises" if self.contribution > 0 else "lowers"

    @property
    def odds(self) -> str:
        """The contribution as a factor on the odds."""
        return f"odds × {words.number(exp(self.contribution))}"


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
    end: float
    onsets: list[float]
    risks: list[tuple[float, float]]
    lanes: list[Lane]
    rows: list[str]
    measured: dict[str, list[tuple[float, float]]]
    cells: Cells
    drivers: list[Driver]
    listed: float
    left_out: str

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
        return ("alarm" if self.risk >= self.threshold else "no alarm") + f" at {words.percent(self.threshold)}"


def cards(contents: Contents, identifiers: bool = False) -> list[Card]:
    """Return the cards of all explained predictions: by reason, then highest risk first.

    Stays are called "Stay 1", "Stay 2", ... in that order; `identifiers` adds the stay's own name.
    """
    tables = contents.explanations
    if tables is None:
        return []
    known = {reason: rank for rank, reason in enumerate(words.REASONS)}
    explained = sorted(
        tables.explained.to_dicts(),
        key=lambda row: (
            known.get(row["reason"], len(known)),
            row["reason"],
            -row["risk"],
            row["stay_id"],
            row["hours"],
        ),
    )
    names: dict[str, str] = {}
    for row in explained:
        names.setdefault(row["stay_id"], f"Stay {len(names) + 1}")
    titles = {stay: f"{name} ({stay})" if identifiers else name for stay, name in names.items()}
    return [_card(contents, tables, row, titles[row["stay_id"]]) for row in explained]


def _card(contents: Contents, tables: Explanations, row: dict[str, Any], title: str) -> Card:
    task, now, stay = contents.manifest["task"], row["hours"], row["stay_id"]
    target, cells = (row["complication"], row["horizon_hours"]), _cells(tables.attributions, row)
    totals, channels = _totals(cells)
    ranked = sorted(totals, key=lambda name: (-round(abs(totals[name]), 9), name))
    measurements = _measurements(tables.observations, stay)
    dynamic = [name for name in ranked if "static" not in channels[name]]
    risks, first = _risks(tables.predictions, stay, target), now + float(task.get("gap_hours") or 0.0)
    static = tables.stays.filter(pl.col("stay_id") == stay).head(1).to_dicts()
    visible, capped = _visible(cells, dynamic[:ROWS])
    lanes = [v for v in dynamic if v in measurements][:LANES]
    drivers = [
        _driver(name, totals[name], channels[name], measurements.get(name, []), now, static[0] if static else {})
        for name in ranked[:DRIVERS]
        if totals[name] != 0
    ]
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
        end=max([now, first + target[1], *(hours for hours, _ in risks)]),
        onsets=_onsets(tables.episodes, stay, target[0]),
        risks=thinned(risks, MAX_RISKS),
        lanes=[Lane(v, thinned(measurements[v], MAX_MEASUREMENTS)) for v in lanes],
        rows=dynamic[:ROWS],
        measured={v: measurements[v] for v in dynamic[:ROWS] if v in measurements},
        cells=visible,
        drivers=drivers,
        listed=fsum(totals[name] for name in ranked[:DRIVERS]),
        left_out=_left_out(len(risks), max([len(measurements[v]) for v in lanes], default=0), capped),
    )


def _cells(attributions: pl.DataFrame, row: dict[str, Any]) -> Cells:
    key = ["stay_id", "hours", "complication", "horizon_hours"]
    chosen = attributions.filter(*[pl.col(name) == row[name] for name in key])
    cells: Cells = defaultdict(dict)
    for variable, hours, channel, share in chosen.select(
        "variable", "input_hours", pl.col("channel").cast(pl.String), "attribution"
    ).iter_rows():
        cells[variable, hours][channel] = share
    return cells


def _totals(cells: Cells) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the sum by variable, and the sum of magnitudes by variable and channel."""
    parts: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (variable, _), shares in cells.items():
        parts[variable] += shares.values()
        for channel, share in shares.items():
            sizes[variable][channel].append(abs(share))
    # fsum is exact: the order of the cells does not matter.
    totals = {variable: fsum(values) for variable, values in parts.items()}
    return totals, {v: {c: fsum(values) for c, values in by.items()} for v, by in sizes.items()}


def _visible(cells: Cells, rows: list[str]) -> tuple[Cells, int]:
    """Return the cells of the shown rows that are strong enough to be seen, and how many more the chart cannot hold."""
    size = {cell: abs(fsum(shares.values())) for cell, shares in cells.items() if cell[0] in rows}
    strongest = max(size.values(), default=0.0)
    seen = sorted((c for c in size if size[c] > FAINT * strongest), key=lambda c: (-round(size[c], 9), c))
    kept = sorted(seen[:MAX_CELLS], key=lambda c: (rows.index(c[0]), c[1]))
    return {cell: cells[cell] for cell in kept}, len(seen) - len(kept)


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


def _driver(
    variable: str,
    contribution: float,
    channels: dict[str, float],
    points: list[tuple[float, float]],
    now: float,
    static: dict[str, Any],
) -> Driver:
    main = max(sorted(channels), key=lambda channel: channels[channel])
    if main == "static":
        return Driver(words.static(variable, static.get(variable)), "", contribution)
    past = [point for point in points if point[0] <= now]
    return Driver(words.measured(variable, past, now), words.THROUGH[main], contribution)


def _measurements(observations: pl.DataFrame, stay: str) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    chosen = observations.filter(pl.col("stay_id") == stay).sort("variable", "hours")
    for variable, hours, value in chosen.select("variable", "hours", "value").iter_rows():
        points[variable].append((hours, value))
    return dict(points)


def _risks(predictions: pl.DataFrame, stay: str, target: tuple[str, float]) -> list[tuple[float, float]]:
    complication, horizon = target
    chosen = predictions.filter(
        pl.col("stay_id") == stay, pl.col("complication") == complication, pl.col("horizon_hours") == horizon
    )
    return chosen.sort("hours").select("hours", "risk").rows()


def _onsets(episodes: pl.DataFrame, stay: str, complication: str) -> list[float]:
    chosen = episodes.filter(pl.col("stay_id") == stay, pl.col("complication") == complication)
    return chosen["onset_hours"].sort().to_list()
