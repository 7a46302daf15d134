"""Charts of the whole run (what counts, over all and before an onset; training), and what all charts share."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words

Spec = dict[str, Any]
TOP_VARIABLES = 15
TOP_MAP = 10  # variables of the map by hours before the onset


def thinned(rows: list[Any], most: int) -> list[Any]:
    """Return at most `most` of the rows, evenly spread, with the first and the last.

    >>> thinned([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def importance(table: pl.DataFrame, target: tuple[str, float], kind: str = "variable") -> Spec | None:
    """Return the bars of mean |contribution| (logit) by variable or system, stacked by channel, with their interval.

    `table` is `schemas.Drivers`. None where there are no values: nothing was explained, or in too few patients.
    """
    own = of_target(table, target).filter(
        pl.col("dimension").cast(pl.String) == "all",
        pl.col("kind").cast(pl.String) == kind,
        pl.col("mean_abs").is_not_null(),
    )
    whole = own.filter(pl.col("channel").cast(pl.String) == "all")
    whole = whole.with_columns(pl.col("mean_abs").round(9)).sort(["mean_abs", "group"], descending=[True, False])
    whole = whole.filter(pl.col("mean_abs") > 0).head(TOP_VARIABLES)
    if whole.is_empty():
        return None
    names = whole["group"].to_list()
    up = alt.Y("v:N", title=None, sort=[named(kind, name) for name in names], axis=alt.Axis(domain=False, ticks=False))
    bars = _bars(_importance_rows(own.filter(pl.col("group").is_in(names)), kind), up, kind)
    return finished(alt.layer(bars, _whiskers(whole, up, kind)), 21 * len(names))


def _bars(rows: list[Spec], up: alt.Y, kind: str) -> alt.Chart:
    channels = [name for name in words.CHANNELS.values() if any(row["c"] == name for row in rows)]
    colours = alt.Scale(domain=channels, range=[theme.colour(name) for name in channels])
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(height=13)
    return bars.encode(
        x=alt.X("a:Q", title="Mean absolute contribution to the logit", axis=alt.Axis(tickCount=5)),
        y=up,
        color=alt.Color("c:N", legend=None, scale=colours),
        order="r:O",
        tooltip=[
            alt.Tooltip("v:N", title="Variable" if kind == "variable" else "Organ system"),
            alt.Tooltip("c:N", title="Channel"),
            alt.Tooltip("a:Q", title="Mean |contribution|"),
            alt.Tooltip("s:Q", title="Mean contribution"),
        ],
    )


def _whiskers(whole: pl.DataFrame, up: alt.Y, kind: str) -> alt.Chart:
    """Return the intervals of whole bars."""
    ends = [
        {"v": named(kind, row["group"]), "l": short(row["low"]), "h": short(row["high"])}
        for row in whole.filter(pl.col("low").is_not_null(), pl.col("high").is_not_null()).to_dicts()
    ]
    lines = alt.Chart(alt.Data(values=ends)).mark_rule(color=theme.colour("ink"), strokeWidth=1.4)
    return lines.encode(x="l:Q", x2="h:Q", y=up)


def _importance_rows(own: pl.DataFrame, kind: str) -> list[Spec]:
    ranks = {channel: rank for rank, channel in enumerate(words.CHANNELS)}
    return [
        {
            "v": named(kind, row["group"]),
            "c": words.CHANNELS[row["channel"]],
            "r": ranks[row["channel"]],
            "a": short(row["mean_abs"]),
            "s": short(row["mean_signed"]),
        }
        for row in own.with_columns(pl.col("channel").cast(pl.String)).sort("group", "channel").to_dicts()
        if row["channel"] != "all"
    ]


def before_onset(table: pl.DataFrame, target: tuple[str, float]) -> Spec | None:
    """Return the map of mean |contribution| by variable and hours before the onset, which is on the right.

    The variables are the top ones over all hours. None where fewer than two bins have enough patients.
    """
    own = of_target(table, target).filter(
        pl.col("dimension").cast(pl.String) == "to_onset",
        pl.col("kind").cast(pl.String) == "variable",
        pl.col("channel").cast(pl.String) == "all",
        pl.col("mean_abs").is_not_null(),
    )
    bins = sorted(own["level"].unique(), key=lambda name: -float(name.split("-")[0]))
    if len(bins) < 2:
        return None
    sums = own.group_by("group").agg(total=pl.col("mean_abs").sort().sum().round(9))
    names = sums.sort(["total", "group"], descending=[True, False]).head(TOP_MAP)["group"].to_list()
    rows = [
        {"v": words.label(row["group"]), "b": _bin(row["level"])}
        | {"a": short(row["mean_abs"]), "l": short(row["low"]), "h": short(row["high"])}
        | {"s": short(row["mean_signed"]), "n": row["n_predictions"]}
        for row in own.sort("group", "level").to_dicts()
        if row["group"] in names
    ]
    return finished(_map(rows, [_bin(name) for name in bins], [words.label(name) for name in names]), 21 * len(names))


def _bin(level: str) -> str:
    return level.replace("-", "–").removesuffix(" h")


def _map(rows: list[Spec], across: list[str], up: list[str]) -> alt.Chart:
    shades = alt.Scale(domain=[0, max(row["a"] for row in rows)], range=[0.04, 1])
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy", domain=False, ticks=False)
    cells = alt.Chart(alt.Data(values=rows)).mark_rect(color=theme.colour("accent"))
    return cells.encode(
        x=alt.X("b:N", title="Hours before the onset", sort=across, axis=axis),
        y=alt.Y("v:N", title=None, sort=up, axis=alt.Axis(domain=False, ticks=False)),
        opacity=alt.Opacity("a:Q", scale=shades, legend=None),
        tooltip=[
            alt.Tooltip("v:N", title="Variable"),
            alt.Tooltip("b:N", title="Hours before the onset"),
            alt.Tooltip("a:Q", title="Mean |contribution|"),
            alt.Tooltip("l:Q", title="95 % interval from"),
            alt.Tooltip("h:Q", title="to"),
            alt.Tooltip("s:Q", title="Mean contribution"),
            alt.Tooltip("n:Q", title="Predictions"),
        ],
    )


def of_target(table: pl.DataFrame, target: tuple[str, float]) -> pl.DataFrame:
    """Return the rows of a target."""
    return table.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])


def named(kind: str, group: str) -> str:
    """Return a variable or an organ system as the page names it.

    >>> named("variable", "map"), named("system", "acid-base")
    ('Mean arterial pressure', 'Acid-base')
    """
    return words.label(group) if kind == "variable" else words.plain(group)


def short(value: float | None) -> float | None:
    """Return a number with as many digits as a pixel needs.

    >>> short(0.123456), short(None)
    (0.1235, None)
    """
    return None if value is None else float(f"{value:.4g}")


def training(history: list[dict[str, float | None]], best_epoch: int | None) -> Spec | None:
    """Return the chart of the losses by epoch with the chosen epoch marked; None without a history."""
    names = {"train_loss": "Train", "val_loss": "Validation"}
    rows = [
        {"e": row["epoch"], "s": names[key], "y": round(float(row[key] or 0.0), 5)}
        for key in names
        for row in history
        if row.get(key) is not None
    ]
    if not rows:
        return None
    domain = list(names.values())
    colours = alt.Scale(domain=domain, range=[theme.series(1)[0], theme.series(0)[0]])
    dashes = alt.Scale(domain=domain, range=[theme.DASHES[1], theme.DASHES[0]])
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("e:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, grid=False, format="d")),
            y=alt.Y("y:Q", title="Loss", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
            color=alt.Color("s:N", legend=None, scale=colours),
            strokeDash=alt.StrokeDash("s:N", legend=None, scale=dashes),
        )
    )
    if best_epoch is None:
        return finished(lines, 170)
    mark = alt.Chart(alt.Data(values=[{"e": best_epoch}])).mark_rule(color=theme.colour("quiet"), strokeDash=[3, 3])
    return finished(alt.layer(mark.encode(x="e:Q"), lines), 170)


def finished(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int) -> Spec:
    """Return a chart as a bare specification: as wide as its place, without the configuration all charts share."""
    return bare(chart.properties(width="container", height=height).to_dict(validate=False))  # a test does, once


def bare(spec: Spec) -> Spec:
    """Return a specification without its schema address and configuration."""
    return {key: value for key, value in spec.items() if key not in ("$schema", "config")}
