"""Charts of the whole cohort (ROC, precision-recall, calibration, importance, training) and their PNG files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import altair as alt
import polars as pl

from clinical_lstm.artifacts import Run, atomic_file
from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.contents import read

Spec = dict[str, Any]
MAX_POINTS = 300  # of one curve: more than the pixels can show
TOP_VARIABLES = 15
AXES = {
    "roc": ("False positive rate (1 − specificity)", "Sensitivity"),
    "pr": ("Sensitivity (recall)", "Positive predictive value (precision)"),
    "calibration": ("Predicted risk", "Observed share"),
}


def order(predictors: list[str]) -> list[str]:
    """Return the predictors with the model first and the differences left out.

    >>> order(["gradient_boosting", "model - gradient_boosting", "model"])
    ['model', 'gradient_boosting']
    """
    single = sorted({name for name in predictors if " - " not in name})
    return sorted(single, key=lambda name: (name != "model", name))


def thinned(rows: list[Any], most: int) -> list[Any]:
    """Return at most `most` of the rows, evenly spread, with the first and the last.

    >>> thinned([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def curve(curves: pl.DataFrame, target: tuple[str, float], kind: str, prevalence: float | None = None) -> Spec | None:
    """Return the chart of one kind of curve for a target, all predictors; None when there are no points.

    `curves`: schemas.Curves; `prevalence` draws the level of chance on a precision-recall chart.
    """
    complication, horizon = target
    chosen = curves.filter(
        pl.col("complication") == complication,
        pl.col("horizon_hours") == horizon,
        pl.col("curve").cast(pl.String) == kind,
    )
    if chosen.is_empty():
        return None
    rows = []
    for predictor in order(curves["predictor"].unique().to_list()):
        points = chosen.filter(pl.col("predictor") == predictor).select("x", "y", "n").rows()
        name = words.plain(predictor)
        rows += [
            {"p": name, "x": round(x, 4), "y": round(y, 4), "n": n, "i": i}
            for i, (x, y, n) in enumerate(thinned(points, MAX_POINTS))
        ]
    top = max(max(row["x"], row["y"]) for row in rows) if kind == "calibration" else 1.0
    layers = [_reference(kind, top, prevalence), *_lines(rows, kind, top, order(curves["predictor"].to_list()))]
    return finished(alt.layer(*[layer for layer in layers if layer is not None]), 250)


def _lines(rows: list[Spec], kind: str, top: float, predictors: list[str]) -> list[alt.Chart]:
    names = [words.plain(name) for name in predictors]
    looks = [theme.series(index) for index in range(len(names))]
    domain = alt.Scale(domain=[0, top], nice=kind == "calibration")
    across, up = AXES[kind]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "x:Q",
            title=across,
            scale=domain,
            axis=alt.Axis(tickCount=5, grid=False, labelOverlap="greedy", labelSeparation=4),
        ),
        y=alt.Y("y:Q", title=up, scale=domain, axis=alt.Axis(tickCount=5)),
        color=alt.Color("p:N", legend=None, scale=alt.Scale(domain=names, range=[look[0] for look in looks])),
    )
    line = base.mark_line(strokeWidth=2, clip=True).encode(
        order="i:O",
        strokeDash=alt.StrokeDash("p:N", legend=None, scale=alt.Scale(domain=names, range=[look[1] for look in looks])),
    )
    if kind != "calibration":
        return [line]
    tips = [
        alt.Tooltip("p:N", title="Predictor"),
        alt.Tooltip("x:Q", title="Predicted risk"),
        alt.Tooltip("y:Q", title="Observed share"),
        alt.Tooltip("n:Q", title="Predictions"),
    ]
    return [line, base.mark_circle(size=36, opacity=1).encode(tooltip=tips)]


def _reference(kind: str, top: float, prevalence: float | None) -> alt.Chart | None:
    """Return the line of chance (roc, pr) or of perfect calibration."""
    if kind == "pr" and prevalence is None:
        return None
    ends = [{"x": 0, "y": prevalence}, {"x": 1, "y": prevalence}] if kind == "pr" else [{"x": 0, "y": 0}]
    ends = ends if kind == "pr" else [*ends, {"x": top, "y": top}]
    return (
        alt.Chart(alt.Data(values=ends)).mark_line(color=theme.colour("quiet"), strokeWidth=1).encode(x="x:Q", y="y:Q")
    )


def importance(table: pl.DataFrame, target: tuple[str, float]) -> Spec | None:
    """Return the bars of mean |attribution| (logit) by variable, stacked by channel; None when there are none."""
    complication, horizon = target
    chosen = table.filter(pl.col("complication") == complication, pl.col("horizon_hours") == horizon)
    if chosen.is_empty():
        return None
    total = chosen.group_by("variable").agg(pl.col("mean_abs").sort().sum().alias("total"))
    top = total.with_columns(pl.col("total").round(9)).sort(["total", "variable"], descending=[True, False])
    names = top.head(TOP_VARIABLES)["variable"].to_list()
    rows = _importance_rows(chosen, names)
    channels = [name for name in words.CHANNELS.values() if any(row["c"] == name for row in rows)]
    colours = alt.Scale(domain=channels, range=[theme.colour(name) for name in channels])
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height=13)
        .encode(
            x=alt.X("a:Q", title="Mean absolute contribution to the logit", axis=alt.Axis(tickCount=5)),
            y=alt.Y(
                "v:N", title=None, sort=[words.label(name) for name in names], axis=alt.Axis(domain=False, ticks=False)
            ),
            color=alt.Color("c:N", legend=None, scale=colours),
            order="r:O",
            tooltip=[
                alt.Tooltip("v:N", title="Variable"),
                alt.Tooltip("c:N", title="Channel"),
                alt.Tooltip("a:Q", title="Mean |contribution|"),
                alt.Tooltip("s:Q", title="Mean contribution"),
            ],
        )
    )
    return finished(bars, 21 * len({row["v"] for row in rows}))


def _importance_rows(chosen: pl.DataFrame, names: list[str]) -> list[Spec]:
    ranks = {channel: rank for rank, channel in enumerate(words.CHANNELS)}
    return [
        {
            "v": words.label(row["variable"]),
            "c": words.CHANNELS[str(row["channel"])],
            "r": ranks[str(row["channel"])],
            "a": round(row["mean_abs"], 4),
            "s": round(row["mean_signed"], 4),
        }
        for row in chosen.sort("variable", "channel").to_dicts()
        if row["variable"] in names
    ]


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
    return bare(chart.properties(width="container", height=height).to_dict())


def bare(spec: Spec) -> Spec:
    """Return a specification without its schema address and configuration."""
    return {key: value for key, value in spec.items() if key not in ("$schema", "config")}


def write_figures(run: Run, folder: Path) -> list[Path]:
    """Write ROC, precision-recall, calibration and importance of every target as PNG; return the paths, sorted."""
    contents = read(run)
    written = []
    for target in contents.targets:
        specs = {kind: curve(contents.curves, target, kind) for kind in AXES}
        if contents.explanations is not None:
            specs["importance"] = importance(contents.explanations.importance, target)
        for kind, spec in specs.items():
            if spec is not None:
                stem = re.sub(r"[^A-Za-z0-9]+", "_", target[0]).strip("_")
                written.append(_write_png(spec, folder / f"{kind}_{stem}_{words.number(target[1])}h.png", target))
    return sorted(written)


def _write_png(spec: Spec, path: Path, target: tuple[str, float]) -> Path:
    import vl_convert

    titled = _with_legend({**spec, "width": 420, "title": words.target(*target), "config": theme.config()})
    image = vl_convert.vegalite_to_png({**theme.printed(titled), "background": "white"}, scale=2)
    with atomic_file(path) as partial:
        partial.write_bytes(image)
    return path


def _with_legend(spec: Any) -> Any:
    """Return a specification whose colours have a legend: on the page the text around a chart has it."""
    if isinstance(spec, list):
        return [_with_legend(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    shown = {key: _with_legend(part) for key, part in spec.items()}
    for channel in ("color", "strokeDash"):
        encoding = shown.get("encoding")
        if isinstance(encoding, dict) and isinstance(encoding.get(channel), dict) and "legend" in encoding[channel]:
            encoding[channel] = {**encoding[channel], "legend": {"title": None, "orient": "bottom", "columns": 2}}
    return cast("Spec", shown)
