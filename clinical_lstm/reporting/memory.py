"""How long an LSTM remembers: the half-lives of its units, as read from its gates at the explained predictions."""

from __future__ import annotations

from itertools import pairwise

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished, of_target

Target = tuple[str, float]
EDGES = [0.0, 0.5, 1, 2, 4, 8, 16, 32, 64]  # hours; the last bin is open
HEIGHT = 150


def units(half_lives: pl.DataFrame, target: Target) -> dict[str, list[float]]:
    """Return the half-lives (hours) of the units of every layer, each the median over the predictions."""
    own = of_target(half_lives, target).group_by("layer", "unit").agg(pl.col("half_life_hours").median())
    found: dict[str, list[float]] = {}
    for layer, _, hours in own.sort("layer", "unit").rows():
        found.setdefault(layer, []).append(hours)
    return {f"Layer {index}": hours for index, hours in enumerate(found.values(), start=1)}


def told(layers: dict[str, list[float]]) -> list[str]:
    """Return one sentence per layer.

    >>> told({"Layer 1": [1.0, 2.0, 3.0, 4.0, 50.0]})[0].replace("\\xa0", " ")
    'Layer 1: half of the 5 units have lost half of what they hold after 3 h; the slowest tenth after 31.6 h or later.'
    """
    found = []
    for name, hours in layers.items():
        own = pl.Series(hours)
        middle, late = (words.duration(own.quantile(q, "linear") or 0.0) for q in (0.5, 0.9))
        found.append(
            f"{name}: half of the {len(hours)} units have lost half of what they hold after {middle}; "
            f"the slowest tenth after {late} or later."
        )
    return found


def chart(layers: dict[str, list[float]]) -> Spec | None:
    """Return the histogram of the half-lives, the layers beside one another; None without units."""
    if not layers:
        return None
    names = [f"{_hours(low)}–{_hours(high)}" for low, high in pairwise(EDGES)] + [f"over {_hours(EDGES[-1])}"]
    names[0] = f"under {_hours(EDGES[1])}"
    rows = []
    for layer, hours in layers.items():
        places = [sum(edge <= value for edge in EDGES) - 1 for value in hours]
        rows += [{"l": layer, "b": name, "n": places.count(place)} for place, name in enumerate(names)]
    colours = alt.Scale(domain=list(layers), range=[theme.series(index)[0] for index in range(len(layers))])
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("b:O", title="Half-life (h)", sort=names, axis=alt.Axis(labelAngle=0, labelOverlap="greedy")),
            xOffset=alt.XOffset("l:N", sort=list(layers)),
            y=alt.Y("n:Q", title="Units", axis=alt.Axis(tickCount=4)),
            color=alt.Color("l:N", legend=None, scale=colours),
            tooltip=[
                alt.Tooltip("l:N", title="Layer"),
                alt.Tooltip("b:O", title="Half-life (h)"),
                alt.Tooltip("n:Q", title="Units"),
            ],
        )
    )
    return finished(bars, HEIGHT)


def _hours(value: float) -> str:
    return f"{value:g}"
