"""The chart of one explained stay: risk, measurements and attributions above one another on one time axis."""

from __future__ import annotations

from math import fsum
from typing import Any

import altair as alt

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, bare
from clinical_lstm.reporting.ringing import Ringing
from clinical_lstm.reporting.stays import Card, Lane
from clinical_lstm.variables import vocabulary

WIDTH = 640  # the page replaces it by the width it has
RISK, LANE, ROW = 130, 44, 17  # heights in px; a page of its own stretches them
EVENT_CELLS = 150  # on event times a cell has no width of its own: this share of the time axis
Layers = alt.LayerChart | alt.FacetChart  # what Altair says that a layer is
# The wheel alone scrolls the page; with Ctrl (or a pinch) it zooms the chart.
ZOOM = "wheel![event.ctrlKey || event.metaKey]"


class Datasets:
    """The data of one chart by name, beside the chart: Altair copies and checks a chart many times, its data never."""

    def __init__(self, hours: list[float]) -> None:
        self.rows: dict[str, list[Spec]] = {}
        self.hours = self.add([{"h": hour, "t": hour} for hour in hours])

    def add(self, rows: list[Spec]) -> alt.NamedData:
        """Keep the rows and return the name a chart uses for them."""
        name = f"d{len(self.rows)}"
        self.rows[name] = rows
        return alt.NamedData(name=name)


def timeline(card: Card) -> Spec:
    """Return one vconcat specification with a shared time axis, linked zoom and hover: risk, lanes, attributions.

    Pointing at a risk, a measurement or a cell draws a line at its hour through all views.
    """
    data = Datasets(_hours(card))
    views = [_risk(card, data), *[_lane(card, lane, index, data) for index, lane in enumerate(card.lanes)]]
    if card.cells:
        views.append(_attributions(card, data))
    chart = alt.vconcat(*views, spacing=12).resolve_scale(x="shared", color="independent", opacity="independent")
    spec = bare(chart.to_dict(validate=False)) | {"datasets": data.rows}
    # Altair renames the views of a stack, so zoom and hover are tied to the names they got.
    names = [layer["name"] for view in spec["vconcat"] for layer in view["layer"] if "name" in layer]
    dots = [name for name in names if name.startswith("dots")]
    whole = [name for name in names if name not in dots]
    by_wheel = alt.IntervalSelectionConfig(type="interval", encodings=["x"], zoom=ZOOM)
    zoom = alt.TopLevelSelectionParameter(name="zoom", select=by_wheel, bind="scales", views=whole)
    at = alt.PointSelectionConfig(type="point", fields=["t"], on="pointerover", clear="pointerout")
    heat = [name for name in whole if name.startswith("attributions")]
    hover = alt.TopLevelSelectionParameter(name="hover", select=at, views=[*dots, *heat])
    return spec | {"params": [zoom.to_dict(), hover.to_dict()]}


def _hours(card: Card) -> list[float]:
    """Return every hour at which something can be pointed at, in time order."""
    lanes = [hours for lane in card.lanes for hours, _ in lane.points]
    return sorted({round(hours, 3) for hours in [*(at for at, _ in card.risks), *lanes, *(at for _, at in card.cells)]})


def _time(card: Card, labelled: bool) -> alt.X:
    """Return the time axis. The field has one name in all views: the zoom links views through it."""
    axis = alt.Axis(tickCount=8) if labelled else alt.Axis(labels=False, ticks=False, domain=False, tickCount=8)
    title = "Hours since admission" if labelled else None
    return alt.X("h:Q", title=title, axis=axis, scale=alt.Scale(domain=[0, card.end], nice=False))


def _risk(card: Card, data: Datasets) -> Layers:
    """Return the risk over time with thresholds, alarms, silence, the explained time, the window and the onset."""
    rings = card.ringing.threshold if card.ringing else None
    top = 1.25 * max([card.risk, card.threshold or 0.0, rings or 0.0, *(risk for _, risk in card.risks)])
    up = alt.Y("r:Q", title=None, axis=alt.Axis(format="~%", tickCount=4), scale=alt.Scale(domain=[0, top], nice=False))
    window = (
        alt.Chart(data.add([{"h": card.window[0], "e": card.window[1]}]))
        .mark_rect(color=theme.colour("accent"), opacity=0.1, clip=True)
        .encode(x=_time(card, not card.lanes and not card.cells), x2="e:Q")
    )
    risks = [{"h": round(hours, 3), "t": round(hours, 3), "r": round(risk, 5)} for hours, risk in card.risks]
    tips = [alt.Tooltip("h:Q", title="Hours since admission"), alt.Tooltip("r:Q", title="Risk", format=".2%")]
    base = alt.Chart(data.add(risks)).encode(x="h:Q", y=up)
    line = base.mark_line(color=theme.colour("ink"), strokeWidth=2, clip=True).properties(name="risk")
    dots = base.mark_circle(color=theme.colour("ink"), size=60, opacity=0, clip=True).encode(tooltip=tips)
    now = (
        alt.Chart(data.add([{"h": card.now, "r": card.risk}]))
        .mark_circle(color=theme.colour("accent"), size=70, opacity=1, clip=True)
        .encode(x="h:Q", y="r:Q")
    )
    silent, alarms = _rings(card.ringing, card.end, data) if card.ringing else ([], [])
    levels = [*_level(card.threshold, [5, 4], data), *_level(rings, [1, 3], data)]
    marks = [window, *silent, *levels, *_marks(card, data, text=True), line, now, *alarms]
    title = alt.Title(f"Risk of {card.target[:1].lower()}{card.target[1:]}", frame="group")
    return alt.layer(*marks, dots.properties(name="dots")).properties(
        width=WIDTH, height=round(RISK * card.height), title=title
    )


def _level(risk: float | None, dash: list[int], data: Datasets) -> list[alt.Chart]:
    """Return a threshold as a level line, or nothing."""
    if risk is None:
        return []
    level = alt.Chart(data.add([{"r": risk}])).mark_rule(color=theme.colour("quiet"), strokeDash=dash, strokeWidth=1.5)
    return [level.encode(y="r:Q")]


def _rings(ringing: Ringing, end: float, data: Datasets) -> tuple[list[alt.Chart], list[alt.Chart]]:
    """Return the silent spans as shades and the alarms as triangles, each where there are any."""
    spans = [{"h": round(start, 3), "e": round(min(stop, end), 3)} for start, stop in ringing.silent if start < end]
    rang = [{"h": round(hours, 3), "r": round(risk, 5)} for hours, risk in ringing.alarms]
    shade = alt.Chart(data.add(spans)).mark_rect(color=theme.colour("quiet"), opacity=0.16, clip=True)
    sign = alt.Chart(data.add(rang)).mark_point(
        shape="triangle-up", filled=True, size=95, color=theme.colour("warn"), opacity=1, yOffset=-11, clip=True
    )
    tips = [alt.Tooltip("h:Q", title="Alarm, hours since admission"), alt.Tooltip("r:Q", title="Risk", format=".2%")]
    return (
        [shade.encode(x="h:Q", x2="e:Q")] if spans else [],
        [sign.encode(x="h:Q", y="r:Q", tooltip=tips)] if rang else [],
    )


def _marks(card: Card, data: Datasets, text: bool) -> list[alt.Chart]:
    """Return the vertical lines at the explained time, at each onset and where the reader points; named on top."""
    marks = [(card.now, "explained", "accent", 8)]
    marks += [(onset, "onset", "raise", 22) for onset in card.onsets if onset <= card.end]
    layers = []
    for hours, name, colour, height in marks:
        base = alt.Chart(data.add([{"h": hours, "t": name}])).encode(x="h:Q")
        dash = [1, 0] if name == "onset" else [2, 2]
        layers.append(base.mark_rule(color=theme.colour(colour), strokeDash=dash, strokeWidth=1.5, clip=True))
        if text:
            late = hours > 0.6 * card.end
            words_at = base.mark_text(
                align="right" if late else "left", dx=-5 if late else 5, color=theme.colour(colour), clip=True
            )
            layers.append(words_at.encode(text="t:N", y=alt.value(height)))
    pointed = alt.Chart(data.hours).mark_rule(color=theme.colour("quiet"), strokeWidth=1, clip=True).encode(x="h:Q")
    return [*layers, pointed.transform_filter({"param": "hover", "empty": False})]


def _lane(card: Card, lane: Lane, index: int, data: Datasets) -> Layers:
    """Return the observed points of one variable over its reference band; points after the prediction are faint."""
    low, high = _span(lane)
    known = vocabulary().get(lane.variable)
    up = alt.Y(
        "v:Q", title=None, axis=alt.Axis(tickCount=2, grid=False), scale=alt.Scale(domain=[low, high], nice=False)
    )
    layers = []
    if known and (known.normal_low is not None or known.normal_high is not None):
        bottom = known.normal_low if known.normal_low is not None else low
        ceiling = known.normal_high if known.normal_high is not None else high
        band = alt.Chart(data.add([{"v": max(bottom, low), "w": min(ceiling, high)}])).mark_rect(
            color=theme.colour("band"), opacity=1, clip=True
        )
        layers.append(band.encode(y=up, y2="w:Q"))
    rows = [{"h": (at := round(h, 3)), "t": at, "v": round(v, 4), "s": int(h <= card.now)} for h, v in lane.points]
    base = alt.Chart(data.add(rows)).encode(x=_time(card, False), y=up)
    seen = alt.condition("datum.s == 1", alt.value(1), alt.value(0.35))
    tips = [alt.Tooltip("h:Q", title="Hours since admission"), alt.Tooltip("v:Q", title=words.label(lane.variable))]
    line = base.mark_line(color=theme.colour("quiet"), strokeWidth=0.8, opacity=0.55, clip=True)
    line = line.properties(name=f"lane{index}")
    dots = base.mark_circle(color=theme.colour("ink"), size=22, clip=True).encode(opacity=seen, tooltip=tips)
    dots = dots.properties(name=f"dots{index}")
    layers += [*_marks(card, data, text=False), line, dots]
    unit = words.unit(lane.variable)
    title = alt.Title(
        words.label(lane.variable) + (f", {unit}" if unit else ""), frame="group", fontWeight=400, fontSize=11, offset=3
    )
    return alt.layer(*layers).properties(width=WIDTH, height=round(LANE * card.height), title=title)


def _span(lane: Lane) -> tuple[float, float]:
    """Return the value axis: all measurements and the finite reference bounds, with a margin."""
    known = vocabulary().get(lane.variable)
    bounds = [bound for bound in (known.normal_low, known.normal_high) if bound is not None] if known else []
    values = [value for _, value in lane.points] + bounds
    margin = 0.1 * (max(values) - min(values)) or 0.1 * abs(values[0]) or 1.0
    return round(min(values) - margin, 4), round(max(values) + margin, 4)


def _attributions(card: Card, data: Datasets) -> Layers:
    """Return the heat map variable x time: colour is the direction, depth of colour the size."""
    rows = [_cell(card, cell, shares) for cell, shares in card.cells.items()]
    strongest = max(abs(row["a"]) for row in rows) or 1.0
    names = [words.label(name) for name in card.rows]
    colours = alt.Scale(domain=["raises", "lowers"], range=[theme.colour("raise"), theme.colour("lower")])
    tips = [
        alt.Tooltip("n:N", title="Variable"),
        alt.Tooltip("e:Q", title="Hours since admission"),
        alt.Tooltip("m:N", title="Measured"),
        alt.Tooltip("a:Q", title="Contribution (logit)"),
        alt.Tooltip("cv:Q", title="… by its value"),
        alt.Tooltip("cm:Q", title="… by missingness"),
        alt.Tooltip("cd:Q", title="… by staleness"),
    ]
    # The root keeps weak cells visible beside one very strong one.
    depth = alt.Scale(type="sqrt", domain=[0, strongest], range=[0, 1])
    axis = alt.Axis(domain=False, ticks=False)
    heat = (
        alt.Chart(data.add(rows))
        .mark_rect(clip=True)
        .encode(
            x=_time(card, True),
            x2="e:Q",
            y=alt.Y("n:N", title=None, sort=names, scale=alt.Scale(domain=names), axis=axis),
            color=alt.Color("d:N", legend=None, scale=colours),
            opacity=alt.Opacity("z:Q", legend=None, scale=depth),
            tooltip=tips,
        )
        .properties(name="attributions")
    )
    title = alt.Title("Contribution to the logit", frame="group", offset=4)
    layers = alt.layer(heat, *_marks(card, data, text=False))
    return layers.properties(width=WIDTH, height=ROW * len(names), title=title)


def _cell(card: Card, cell: tuple[str, float], shares: dict[str, float]) -> dict[str, Any]:
    variable, hours = cell
    total = fsum(shares.values())
    values = [value for at, value in card.measured.get(variable, []) if at == hours or hours - card.step < at <= hours]
    parts = {f"c{channel[0]}": float(f"{share:.3g}") for channel, share in shares.items()}
    unit = words.unit(variable)
    return {
        "n": words.label(variable),
        "h": round(hours - (card.step or card.end / EVENT_CELLS), 3),
        "e": round(hours, 3),
        "t": round(hours, 3),
        "a": float(f"{total:.3g}"),
        "z": float(f"{abs(total):.3g}"),
        "d": "raises" if total > 0 else "lowers",
        "m": f"{', '.join(map(words.number, values[:3]))} {unit}".rstrip() if values else "no",
        **parts,
    }
