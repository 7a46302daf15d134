"""The AUROC of the model in each subgroup as points with intervals, below that of all predictions."""

from __future__ import annotations

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.figures import Spec, finished
from clinical_lstm.reporting.names import SUBSETS, subset_name
from clinical_lstm.reporting.subgroups import judged, levels
from clinical_lstm.reporting.tables import Score, Target, scores_of

ROW = 21  # pixels of a subgroup
METRIC = "auroc"


def chart(scores: pl.DataFrame, target: Target) -> Spec | None:
    """Return the chart of AUROC with its interval by subgroup; None where no subgroup has one."""
    named = [(SUBSETS[name], scores_of(scores, target, name).get(("model", METRIC))) for name in SUBSETS]
    parts = [
        (words.clean(subset_name(f"{dimension}={level}")), table.get(METRIC))
        for dimension, tables in levels(scores, target).items()
        for level, table in tables.items()
        if judged(table)
    ]
    rows = [_row(name, score) for name, score in [*named, *parts] if score and score["value"] is not None]
    if not any(score and score["value"] is not None for _, score in parts):
        return None
    names = [row["v"] for row in rows]
    edges = [row[key] for row in rows for key in ("l", "h", "x")]
    across = alt.Scale(domain=[min(edges), max(edges)], nice=True, zero=False)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("v:N", title=None, sort=names, axis=alt.Axis(domain=False, ticks=False)),
        tooltip=[
            alt.Tooltip("v:N", title="Subgroup"),
            alt.Tooltip("x:Q", title="AUROC"),
            alt.Tooltip("l:Q", title="95 % interval from"),
            alt.Tooltip("h:Q", title="to"),
            alt.Tooltip("n:Q", title="Stays"),
        ],
    )
    low, middle = (alt.X(name, title="AUROC", scale=across, axis=alt.Axis(tickCount=6)) for name in ("l:Q", "x:Q"))
    spans = base.mark_rule(color=theme.colour("accent"), strokeWidth=2).encode(x=low, x2="h:Q")
    dots = base.mark_circle(color=theme.colour("accent"), size=54, opacity=1).encode(x=middle)
    whole = alt.Chart(alt.Data(values=[{"x": rows[0]["x"]}]))
    level = whole.mark_rule(color=theme.colour("quiet"), strokeDash=[5, 4]).encode(x="x:Q")
    return finished(alt.layer(level, spans, dots), ROW * len(rows))


def _row(name: str, score: Score) -> Spec:
    low, high = score["low"], score["high"]
    value = round(score["value"], 4)
    ends = {"l": value if low is None else round(low, 4), "h": value if high is None else round(high, 4)}
    return {"v": name, "x": value, **ends, "n": score["n_stays"]}
