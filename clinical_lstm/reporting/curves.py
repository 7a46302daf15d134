"""Charts of the curves of a target: the model beside the strongest baselines, with the operating point marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished, thinned

POINTS = {True: 120, False: 60}  # of the model, of a baseline: as many as the pixels can show
HEIGHT = 250
TOPS = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0]  # where an axis of precision may end
AXES = {
    "roc": ("False positive rate (1 − specificity)", "Sensitivity"),
    "pr": ("Sensitivity (recall)", "Positive predictive value (precision)"),
    "calibration": ("Predicted risk", "Observed share"),
    "decision": ("Threshold", "Net benefit per prediction"),
    "event_pr": ("Event recall", "Alarm precision"),
    "by_onset": ("Hours before onset, up to", "Sensitivity"),
}
OPERATES = {
    "roc": ("specificity", "sensitivity"),
    "pr": ("sensitivity", "ppv"),
    "event_pr": ("event_recall", "alarm_precision"),
}


@dataclass(frozen=True)
class Curves:
    """What the charts of one target are drawn from.

    Attributes:
        table: `schemas.Curves` of the target, all predictions. predictors: to draw, the first one in front.
        model: values of the scores of the first one, by metric. threshold: of single rows, None: the run has none.

    """

    table: pl.DataFrame
    predictors: Sequence[str]
    model: dict[str, float | None]
    threshold: float | None

    def points(self, kind: str, predictor: str) -> list[tuple[float, float, int]]:
        """Return the points (x, y, n) of a curve, in the order in which they are joined."""
        own = self.table.filter(pl.col("predictor") == predictor, pl.col("curve").cast(pl.String) == kind)
        return [(x, y, n) for x, y, n in own.select("x", "y", "n").rows()]

    def operating(self, kind: str) -> tuple[float, float] | None:
        """Return where the first predictor is operated on a curve, or None where that is not defined."""
        x, y = (self.model.get(metric) for metric in OPERATES.get(kind, ("", "")))
        if x is None or y is None:
            return None
        return (1 - x if kind == "roc" else x), y


def chart(kind: str, curves: Curves) -> Spec | None:
    """Return the chart of one kind of curve; None where the first predictor has no points."""
    if not curves.points(kind, curves.predictors[0]):
        return None
    drawings = {"calibration": _calibration, "decision": _decision, "by_onset": _by_onset}
    return finished(alt.layer(*drawings.get(kind, _ranking)(curves, kind)), HEIGHT)


def _ranking(curves: Curves, kind: str) -> list[alt.Chart]:
    """Draw ROC, precision-recall and its form of events: lines in the unit square, chance, the operating point."""
    top = 1.0 if kind == "roc" else _top(curves, kind)
    ends = {"roc": [(0.0, 0.0), (1.0, 1.0)]}.get(kind, [])
    prevalence = curves.model.get("prevalence")
    if kind == "pr" and prevalence is not None:
        ends = [(0.0, prevalence), (1.0, prevalence)]
    layers = [*_rule(ends), _lines(curves, kind, kind, [0.0, 1.0], [0.0, top])]
    point = curves.operating(kind)
    return layers + ([_dots([{"p": _name(curves), "x": point[0], "y": point[1]}], curves, kind)] if point else [])


def _calibration(curves: Curves, kind: str) -> list[alt.Chart]:
    """Draw the smooth curves up to the risk that 1 % of the predictions exceed, and the bins of the first predictor."""
    binned = curves.points(kind, curves.predictors[0])
    bins: list[Spec] = [{"p": _name(curves), "x": x, "y": y, "n": n} for x, y, n in binned]
    smooth = _smooth(curves, curves.predictors[0])
    top = max(max(x, y) for x, y, _ in binned + smooth)
    layers = _rule([(0.0, 0.0), (top, top)])
    layers += [_lines(curves, "smooth", kind, [0.0, top], [0.0, top])] if smooth else []
    return [*layers, _dots(bins, curves, kind)]


def _smooth(curves: Curves, predictor: str) -> list[tuple[float, float, int]]:
    points = curves.points("smooth", predictor)
    most = max((n for *_, n in points), default=0)
    return [point for point in points if point[2] <= 0.99 * most] or points


def _decision(curves: Curves, kind: str) -> list[alt.Chart]:
    """Draw net benefit, that of alarming always (from the prevalence) and never, and the threshold in use."""
    shown = [curves.points(kind, predictor) for predictor in curves.predictors]
    end = max(x for points in shown for x, *_ in points)
    top = max(max(y for points in shown for _, y, _ in points), 1e-6)
    layers = _rule([(0.0, 0.0), (end, 0.0)])
    prevalence = curves.model.get("prevalence")
    if prevalence is not None:
        across = [end * i / 60 for i in range(61)]
        layers += _rule([(t, prevalence - (1 - prevalence) * t / (1 - t)) for t in across])
    if curves.threshold is not None and curves.threshold <= end:
        data = alt.Data(values=[{"x": _short(curves.threshold)}])
        layers += [alt.Chart(data).mark_rule(color=theme.colour("quiet"), strokeDash=[5, 4]).encode(x="x:Q")]
    return [*layers, _lines(curves, kind, kind, [0.0, end], [-0.25 * top, 1.05 * top])]


def _by_onset(curves: Curves, kind: str) -> list[alt.Chart]:
    """Draw the sensitivity in bins of hours before the onset, which is on the right."""
    ends = sorted({x for predictor in curves.predictors for x, *_ in curves.points(kind, predictor)})
    names = {end: f"{start:g}–{end:g} h" for start, end in pairwise([0.0, *ends])}
    rows = [
        {"p": words.plain(predictor), "h": x, "b": names[x], "y": _short(y), "n": n}
        for predictor in curves.predictors
        for x, y, n in curves.points(kind, predictor)
    ]
    base = _coloured(alt.Chart(alt.Data(values=rows)), curves).encode(
        x=alt.X("h:O", title=AXES[kind][0], sort=ends[::-1], axis=alt.Axis(labelAngle=0)),
        y=_axis(alt.Y, kind, [0.0, 1.0]),
    )
    tips = [
        alt.Tooltip("p:N", title="Predictor"),
        alt.Tooltip("b:N", title="Before onset"),
        alt.Tooltip("y:Q", title="Sensitivity"),
        alt.Tooltip("n:Q", title="Predictions"),
    ]
    line = _dashed(base.mark_line(strokeWidth=2), curves)
    return [line, base.mark_circle(size=30, opacity=1).encode(tooltip=tips)]


def _lines(curves: Curves, kind: str, axes: str, across: list[float], up: list[float]) -> alt.Chart:
    """Return the lines of all predictors; a line is one row of data, so that a page with many of them stays small."""
    rows: list[Spec] = []
    for predictor in curves.predictors:
        points = _smooth(curves, predictor) if kind == "smooth" else curves.points(kind, predictor)
        kept = thinned(points, POINTS[predictor == curves.predictors[0]])
        if kept:
            x, y, _ = zip(*kept)
            rows.append({"p": words.plain(predictor), "x": [*map(_short, x)], "y": [*map(_short, y)]})
    flat = alt.Chart(alt.Data(values=rows)).transform_flatten(["x", "y"])
    lines = flat.mark_line(strokeWidth=2, clip=True, order=False)  # joined as they come, not by x
    return _dashed(_coloured(lines, curves), curves).encode(x=_axis(alt.X, axes, across), y=_axis(alt.Y, axes, up))


def _dots(rows: list[Spec], curves: Curves, kind: str) -> alt.Chart:
    rows = [{key: _short(value) if key in ("x", "y") else value for key, value in row.items()} for row in rows]
    tips = [
        alt.Tooltip("p:N", title="Predictor"),
        alt.Tooltip("x:Q", title=AXES[kind][0]),
        alt.Tooltip("y:Q", title=AXES[kind][1]),
        *([alt.Tooltip("n:Q", title="Predictions")] if "n" in rows[0] else []),
    ]
    size = 36 if kind == "calibration" else 90
    dots = alt.Chart(alt.Data(values=rows)).mark_circle(size=size, opacity=1, clip=True).encode(tooltip=tips)
    return _coloured(dots, curves).encode(x="x:Q", y="y:Q")


def _rule(ends: Sequence[tuple[float, float]]) -> list[alt.Chart]:
    """Return a thin grey line through points, or nothing."""
    rows = [{"x": _short(x), "y": _short(y)} for x, y in ends]
    line = alt.Chart(alt.Data(values=rows)).mark_line(color=theme.colour("quiet"), strokeWidth=1, clip=True)
    return [line.encode(x="x:Q", y="y:Q")] if rows else []


def _axis(channel: Any, kind: str, domain: list[float]) -> Any:
    title = AXES[kind][channel is alt.Y]
    axis = alt.Axis(tickCount=5, grid=channel is alt.Y, labelOverlap="greedy", labelSeparation=4)
    field = "y:Q" if channel is alt.Y else "x:Q"
    return channel(field, title=title, scale=alt.Scale(domain=[*map(_short, domain)], nice=False), axis=axis)


def _coloured(base: alt.Chart, curves: Curves) -> alt.Chart:
    names = [words.plain(name) for name in curves.predictors]
    colours = [theme.series(index)[0] for index in range(len(names))]
    return base.encode(color=alt.Color("p:N", legend=None, scale=alt.Scale(domain=names, range=colours)))


def _dashed(base: alt.Chart, curves: Curves) -> alt.Chart:
    names = [words.plain(name) for name in curves.predictors]
    dashes = [theme.series(index)[1] for index in range(len(names))]
    return base.encode(strokeDash=alt.StrokeDash("p:N", legend=None, scale=alt.Scale(domain=names, range=dashes)))


def _top(curves: Curves, kind: str) -> float:
    """Return where the axis of precision ends: above all of it but the first few positives, which are noise."""
    seen = [y for predictor in curves.predictors for x, y, _ in curves.points(kind, predictor) if x >= 0.05]
    return next((top for top in TOPS if top >= max(seen, default=1.0)), 1.0)


def _name(curves: Curves) -> str:
    return words.plain(curves.predictors[0])


def _short(value: float) -> float:
    """Return a coordinate with as many digits as a pixel needs."""
    return float(f"{value:.4g}")
