"""Direction and dose: what a measured value adds to the logit, against the value in its own unit."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished, of_target, short, thinned
from clinical_lstm.variables import vocabulary

Target = tuple[str, float]
Row = dict[str, Any]
SHOWN, FEW = 12, 4  # variables: of a page with few targets, with many
POINTS = 60  # of a chart
HEIGHT = 150
LONG = 30  # letters
UP = "Contribution to the logit"  # where no text says it
EDGE = 0.02  # of the points that may lie outside of the axes on each side
STRONG, SOME = 0.7, 0.3  # |rank correlation| from which a direction is clear, and from which there is one


def charts(
    dose: pl.DataFrame, directions: pl.DataFrame, target: Target, most: int = SHOWN, title: str | None = None
) -> list[tuple[Row, Spec]]:
    """Return the direction (a row of `schemas.Directions`) and the chart of each variable, the strongest first.

    All charts of a target have one scale of contributions, so that they can be compared; `title` is that of its axis.
    """
    rows = of_target(directions, target).sort("rank").head(most).to_dicts()
    own = of_target(dose, target).with_columns(pl.col("kind").cast(pl.String))
    parts = [(row, own.filter(pl.col("variable") == row["variable"])) for row in rows]
    span = _span([part for _, part in parts])
    return [(row, _chart(row, part, span, title)) for row, part in parts if not part.is_empty()]


def direction(row: Row) -> str:
    """Return in words whether the contribution rises or falls with the value, and how surely.

    >>> row = {"spearman": 0.781, "low": 0.66, "high": 0.87, "n_predictions": 172, "variable": "lactate"}
    >>> direction(row).replace("\\xa0", " ")
    'Rises with the value: rank correlation 0.78 (0.66 to 0.87), 172 predictions.'
    >>> direction(row | {"spearman": None})
    'Too few patients, or too equal values, to say a direction; 172 predictions.'
    """
    predictions = f"{words.count(row['n_predictions'])} predictions."
    rho, low, high = row["spearman"], row["low"], row["high"]
    if rho is None:
        return f"Too few patients, or too equal values, to say a direction; {predictions}"
    sure = low is not None and high is not None and not low <= 0 <= high
    if not sure or abs(rho) < SOME:
        text = "No clear direction"
    else:
        yes = "if yes" if _indicator(row["variable"]) else "with the value"
        text = f"{'Rises' if rho > 0 else 'Falls'} {'' if abs(rho) >= STRONG else 'in part '}{yes}"
    ends = f" ({words.decimals(low, 2)} to {words.decimals(high, 2)})" if low is not None and high is not None else ""
    return f"{text}: rank correlation {words.decimals(rho, 2)}{ends}, {predictions}"


def axis_title(variable: str) -> str:
    """Return a variable with its unit.

    >>> axis_title("temperature"), axis_title("ph"), axis_title("male")
    ('Body temperature (°C)', 'Arterial pH', 'Male sex (0 no, 1 yes)')
    """
    if _indicator(variable):
        return f"{words.label(variable)} (0 no, 1 yes)"
    unit = words.unit(variable)
    return f"{words.label(variable)} ({unit})" if unit else words.label(variable)


def sheet(dose: pl.DataFrame, directions: pl.DataFrame, target: Target, width: int, most: int = FEW) -> Spec | None:
    """Return the charts of the first variables beside one another, two in a row of `width` each; None without any."""
    found = [{**spec, "width": width} for _, spec in charts(dose, directions, target, most, UP)]
    return {"concat": found, "columns": 2, "spacing": 24} if found else None


def _indicator(variable: str) -> bool:
    return variable in vocabulary() and vocabulary()[variable].unit == "0/1"


def _lines(title: str) -> str | list[str]:
    """Return a title in two lines where it is longer than a small chart is wide.

    >>> _lines("Lactate (mmol/L)"), _lines("Oxygen saturation (pulse oximeter) (%)")
    ('Lactate (mmol/L)', ['Oxygen saturation', '(pulse oximeter) (%)'])
    """
    parts = title.split(" (", 1)
    return [parts[0], f"({parts[1]}"] if len(title) > LONG and len(parts) > 1 else title


def _span(parts: list[pl.DataFrame]) -> list[float]:
    """Return the scale of contributions: all curves with their intervals, and nearly all points; 0 is on it."""
    edges = [0.0]
    for part in parts:
        curve, points = part.filter(kind="curve"), part.filter(kind="point")["contribution"]
        edges += [value for name in ("low", "high", "contribution") for value in curve[name].drop_nulls().to_list()]
        edges += [value for q in (EDGE, 1 - EDGE) if (value := points.quantile(q, "nearest")) is not None]
    return [min(edges), max(edges)]


def _chart(row: Row, own: pl.DataFrame, span: list[float], title: str | None) -> Spec:
    """Return the points, the banded curve with its interval, the level 0 and the reference range."""
    name = row["variable"]
    points = own.filter(kind="point").sort("value", "contribution")
    curve = own.filter(kind="curve").sort("value")
    values = points["value"]
    low, high = (_edge(values, q) for q in (EDGE, 1 - EDGE))
    if low == high or _indicator(name):
        low, high = low - 0.5, high + 0.5
    skewed = name in vocabulary() and vocabulary()[name].skewed and low > 0
    scale = alt.Scale(domain=[low, high], nice=False, **({"type": "log"} if skewed else {"zero": False}))
    ticks: dict[str, Any] = {"values": [0, 1]} if _indicator(name) else {"tickCount": 4}
    ticks |= {"format": "~g"} if skewed else {}
    axis = alt.Axis(grid=False, labelOverlap="greedy", labelSeparation=6, **ticks)
    across = alt.X("x:Q", title=_lines(axis_title(name)), scale=scale, axis=axis)
    up = alt.Y("y:Q", title=title, scale=alt.Scale(domain=[*map(short, span)], nice=True), axis=alt.Axis(tickCount=4))
    layers = [
        *_reference(row, low, high),
        alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(color=theme.colour("quiet"), strokeWidth=1).encode(y=up),
        _points(points, across, up),
        *(_curve(curve, across, up, title) if not curve.is_empty() else []),
    ]
    return finished(alt.layer(*layers), HEIGHT)


def _edge(values: pl.Series, share: float) -> float:
    return float(f"{values.quantile(share, 'nearest'):.4g}")


def _reference(row: Row, low: float, high: float) -> list[alt.Chart]:
    """Return the reference range as a shade, as far as it is on the axis."""
    normal_low, normal_high = row["normal_low"], row["normal_high"]
    if normal_low is None and normal_high is None:
        return []
    start, end = max(low, low if normal_low is None else normal_low), min(high, normal_high or high)
    if start >= end:
        return []
    data = alt.Data(values=[{"a": start, "b": end}])
    return [alt.Chart(data).mark_rect(color=theme.colour("band")).encode(x="a:Q", x2="b:Q")]


def _points(points: pl.DataFrame, across: alt.X, up: alt.Y) -> alt.Chart:
    rows = [{"x": short(x), "y": short(y)} for x, y in thinned(points.select("value", "contribution").rows(), POINTS)]
    dots = alt.Chart(alt.Data(values=rows)).mark_circle(color=theme.colour("quiet"), size=14, opacity=0.5, clip=True)
    return dots.encode(x=across, y=up)


def _curve(curve: pl.DataFrame, across: alt.X, up: alt.Y, title: str | None) -> list[alt.Chart]:
    """Return the mean of each band of values and, where it is known, its interval."""
    columns = {"x": "value", "y": "contribution", "l": "low", "h": "high", "n": "n"}
    rows = [{key: short(row[name]) for key, name in columns.items()} for row in curve.to_dicts()]
    base, blue = alt.Chart(alt.Data(values=rows)).encode(x=across), theme.colour("accent")
    sure = alt.Chart(alt.Data(values=[row for row in rows if row["l"] is not None])).encode(x=across)
    band = sure.mark_area(color=blue, opacity=0.2, clip=True)
    line = base.mark_line(color=blue, strokeWidth=2, clip=True).encode(y=up)
    tips = [
        alt.Tooltip("x:Q", title="Mean value"),
        alt.Tooltip("y:Q", title="Mean contribution"),
        alt.Tooltip("l:Q", title="95 % interval from"),
        alt.Tooltip("h:Q", title="to"),
        alt.Tooltip("n:Q", title="Predictions"),
    ]
    dots = base.mark_circle(color=blue, size=24, opacity=1, clip=True).encode(y=up, tooltip=tips)
    return [band.encode(y=alt.Y("l:Q", title=title), y2="h:Q"), line, dots]
