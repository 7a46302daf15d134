"""How the model does at another place or time: home and away, what local patients repair, in what patients differ."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished
from clinical_lstm.reporting.names import metric_name
from clinical_lstm.reporting.tables import Grid, Row, Target, cell
from clinical_lstm.schemas import REFITS

LARGEST = 12  # shifts shown
HEIGHT = 230
SHOWN = ["auroc", "utility_cinc2019", "calibration_in_the_large"]
REPAIRED = ["utility_cinc2019", "youden_index"]  # by the rule of the threshold, the first that is there
METHODS = {
    "as_is": "As it came",
    "intercept": "Risks shifted",
    "intercept_and_slope": "Risks shifted and stretched",
    "threshold": "Threshold chosen anew",
    "oracle": "Best threshold there is",
}
REPAIRERS = {
    "calibration_slope": ["as_is", "intercept_and_slope"],
    "calibration_in_the_large": ["as_is", "intercept", "intercept_and_slope"],
}
MEASURES = {
    "mean_value": "mean",
    "share_of_steps_observed": "steps with a measurement",
    "share_of_stays_observed": "stays with any measurement",
    "share_of_stays_with_event": "stays with an event",
    "length": "length of stay",
}


def places(facts: dict[str, Any]) -> tuple[str, str]:
    """Return where the model learned and where it was judged.

    >>> places({"sites": {"train": ["A", "C"], "test": ["B"]}})
    ('A and C', 'B')
    """
    home, away = (words.listed([words.clean(name) for name in facts["sites"][key]]) for key in ("train", "test"))
    return home, away


def told(facts: dict[str, Any]) -> str:
    """Return one sentence on the places.

    >>> told({"sites": {"train": ["A"], "test": ["A"]}})
    'The model learned from patients of A and was judged on other patients of the same.'
    """
    home, away = places(facts)
    where = "other patients of the same" if home == away else f"patients of {away}, where it had seen nobody"
    return f"The model learned from patients of {home} and was judged on {where}."


def home_and_away(facts: dict[str, Any], target: Target) -> Grid:
    """Return the main metrics (columns) on patients of the places of training and on the judged ones (rows)."""
    own = next((one for one in facts["targets"] if (one["complication"], float(one["horizon_hours"])) == target), None)
    if own is None:
        return Grid([], [])
    shown = [name for name in SHOWN if name in own["away"]]
    rows = []
    for key, where in (("home", "At home, calibration patients"), ("away", "Away, judged patients")):
        counts = [(own[key][n], name) for n, name in (("n_stays", "stays"), ("n_positives", "positive predictions"))]
        hint = ", ".join(f"{words.count(count)} {name}" for count, name in counts)
        cells = [cell({**own[key][name], "metric": name} if name in own[key] else None) for name in shown]
        rows.append(Row(where, hint, "", cells))
    return Grid([metric_name(name) for name in shown], rows)


def repairs(table: pl.DataFrame, target: Target) -> dict[str, Spec]:
    """Return a chart per metric: what it is after so many local patients were used, by method, with its range."""
    own = table.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    there = own["metric"].unique().to_list()
    first = [name for name in REPAIRED if name in there][:1]
    methods = {name: ["as_is", "threshold", "oracle"] for name in first} | REPAIRERS
    charts = {name: _repair(own.filter(pl.col("metric") == name), name, how) for name, how in methods.items()}
    return {name: chart for name, chart in charts.items() if chart is not None}


def legend() -> list[dict[str, str]]:
    """Return the methods of repair as the charts draw them."""
    return theme.legend([METHODS[name] for name in REFITS])


def _repair(table: pl.DataFrame, metric: str, methods: list[str]) -> Spec | None:
    rows = [
        {"m": METHODS[row["method"]], "k": row["patients"], "y": round(row["value"], 4)}
        | {end: round(row["value"] if row[key] is None else row[key], 4) for end, key in (("l", "low"), ("h", "high"))}
        for row in table.filter(pl.col("value").is_not_null()).sort("method", "patients").to_dicts()
        if row["method"] in methods
    ]
    if not rows:
        return None
    names = [METHODS[name] for name in methods]
    looks = [theme.series(REFITS.index(name)) for name in methods]
    up = alt.Scale(zero=False, nice=True)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "k:O", title="Local patients used", axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=5)
        ),
        color=alt.Color("m:N", legend=None, scale=alt.Scale(domain=names, range=[look[0] for look in looks])),
    )
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("l:Q", title=metric_name(metric), scale=up), y2="h:Q")
    dashes = alt.Scale(domain=names, range=[look[1] for look in looks])
    line = base.mark_line(strokeWidth=2).encode(y="y:Q", strokeDash=alt.StrokeDash("m:N", legend=None, scale=dashes))
    tips = [
        alt.Tooltip("m:N", title="Method"),
        alt.Tooltip("k:O", title="Local patients"),
        alt.Tooltip("y:Q", title=metric_name(metric)),
        alt.Tooltip("l:Q", title="95 % of the draws from"),
        alt.Tooltip("h:Q", title="to"),
    ]
    dots = base.mark_circle(size=26, opacity=1).encode(y="y:Q", tooltip=tips)
    return finished(alt.layer(band, line, dots), HEIGHT)


def shifts(table: pl.DataFrame) -> list[list[str]]:
    """Return the twelve largest differences as text: what, source, target, standardised difference."""
    known = table.filter(pl.col("smd").is_not_null())
    order = [pl.col("smd").abs().round(9), pl.col("variable"), pl.col("measure")]
    largest = known.sort(order, descending=[True, False, False]).head(LARGEST)
    return [
        [_what(row), _value(row, row["source"]), _value(row, row["target"]), _standardised(row["smd"])]
        for row in largest.to_dicts()
    ]


def _what(row: dict[str, Any]) -> str:
    measure, variable = str(row["measure"]), row["variable"]
    if measure == "length":
        return "Length of stay, mean"
    name = words.complication(variable) if measure == "share_of_stays_with_event" else words.label(variable)
    return f"{name}: {MEASURES[measure]}"


def _value(row: dict[str, Any], value: float | None) -> str:
    measure = str(row["measure"])
    if value is None or measure.startswith("share"):
        return words.percent(value)
    unit = "h" if measure == "length" else words.unit(row["variable"])
    return f"{words.number(value)} {unit}".rstrip()


def _standardised(smd: float) -> str:
    return words.decimals(smd, 2, sign=True) if math.isfinite(smd) else "+∞" if smd > 0 else "−∞"
