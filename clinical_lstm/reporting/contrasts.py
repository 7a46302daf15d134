"""What drives errors, and whether the model argues otherwise in some patients: levels against a reference level."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from clinical_lstm.reporting import theme, words
from clinical_lstm.reporting.card.known import apart
from clinical_lstm.reporting.figures import Spec, finished, of_target, short
from clinical_lstm.reporting.subgroups import dimension_name
from clinical_lstm.reporting.tables import Cell, Grid, Row, Target

LARGEST = 10  # differences in a chart
ERRORS = {
    "false_alarm": ("False alarms against true silence", "false alarms", "true silences"),
    "missed_event": ("Missed events against true alarms", "missed events", "true alarms"),
}
CHANNELS = {"all": "All", "value": "Value", "mask": "Missingness", "delta": "Staleness", "static": "Static"}
TOO_FEW = "too few patients to say"


def errors(contrasts: pl.DataFrame, target: Target) -> list[dict[str, Any]]:
    """Return title, sentence and chart of both kinds of errors; the chart is None where too few were explained."""
    own = of_target(contrasts, target).filter(pl.col("dimension").cast(pl.String) == "outcome")
    own = own.with_columns(pl.col("kind", "channel").cast(pl.String))
    found = []
    for level, (title, wrong, right) in ERRORS.items():
        rows = own.filter(pl.col("level") == level)
        found.append({"title": title, "said": _said(rows, wrong, right), "chart": _forest(rows)})
    return found


def _said(rows: pl.DataFrame, wrong: str, right: str) -> str:
    if rows.is_empty():
        return f"Not compared: no {wrong} or no {right} were explained."
    first = rows.row(0, named=True)
    counts = (
        f"{words.count(first['n_patients'])} patients with {wrong}, {words.count(first['n_reference'])} with {right}"
    )
    known = rows.filter(pl.col("simultaneous_low").is_not_null())
    if known.is_empty():
        return f"Not compared, {TOO_FEW}: {counts}. Explain more with a larger explanation.cohort_sample."
    held = _held(known)
    whole = known.filter(pl.col("kind") == "all", pl.col("channel") == "all")
    total = "".join(f" Together the inputs put the logit {_text(row)} apart." for row in whole.to_dicts())
    many = f"{words.count(first['comparisons'])} differences were looked at together"
    if held.is_empty():
        return f"{counts}.{total} {many}, and none of them holds: what stands out below may be chance."
    single = held.filter(pl.col("kind") == "variable", pl.col("channel") != "all")
    named = [f"{_label(row)} {_text(row)}" for row in _largest(single).head(3).to_dicts()]
    told = f"; of single inputs: {'; '.join(named)}" if named else ", none of a single input"
    return f"{counts}.{total} {many}; {held.height} hold with intervals that are right for all at once{told}."


def _held(known: pl.DataFrame) -> pl.DataFrame:
    return known.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))


def _largest(rows: pl.DataFrame) -> pl.DataFrame:
    size = rows.with_columns(size=pl.col("value").abs().round(9))
    return size.sort(["size", "group", "channel"], descending=[True, False, False]).drop("size")


def _label(row: dict[str, Any]) -> str:
    return f"{words.label(row['group'])}, {words.CHANNELS[row['channel']]}"


def _text(row: dict[str, Any]) -> str:
    ends = [words.decimals(row[name], 2, sign=True) for name in ("simultaneous_low", "simultaneous_high")]
    return f"{words.decimals(row['value'], 2, sign=True)} ({' to '.join(ends)})"


def _forest(rows: pl.DataFrame) -> Spec | None:
    """Return the differences of single inputs, those that hold first, then the largest, with simultaneous intervals."""
    single = rows.filter(
        pl.col("kind") == "variable", pl.col("channel") != "all", pl.col("simultaneous_low").is_not_null()
    )
    if single.is_empty():
        return None
    columns = {"x": "value", "l": "simultaneous_low", "h": "simultaneous_high"}
    largest = (
        pl.concat([_largest(_held(single)), _largest(single)]).unique(maintain_order=True).head(LARGEST).to_dicts()
    )
    names = [_label(row) for row in largest]
    shown: list[Spec] = [
        {"v": name} | {key: short(row[column]) for key, column in columns.items()} for name, row in zip(names, largest)
    ]
    base = alt.Chart(alt.Data(values=shown)).encode(
        y=alt.Y(
            "v:N",
            title=None,
            sort=names,
            axis=alt.Axis(domain=False, ticks=False, labelLimit=190),
        ),
        tooltip=[
            alt.Tooltip("v:N", title="Input"),
            alt.Tooltip("x:Q", title="Difference (logit)"),
            alt.Tooltip("l:Q", title="95 % interval, all at once, from"),
            alt.Tooltip("h:Q", title="to"),
        ],
    )
    low, middle = (alt.X(name, title="Difference (logit)", axis=alt.Axis(tickCount=5)) for name in ("l:Q", "x:Q"))
    nought = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color=theme.colour("quiet"), strokeDash=[5, 4])
    spans = base.mark_rule(color=theme.colour("accent"), strokeWidth=2).encode(x=low, x2="h:Q")
    dots = base.mark_circle(color=theme.colour("accent"), size=46, opacity=1).encode(x=middle)
    return finished(alt.layer(nought.encode(x="x:Q"), spans, dots), 21 * len(shown))


def subgroups(drivers: pl.DataFrame, target: Target) -> Grid:
    """Return the shares of the channels (columns) in each band of age and sex (rows), with their intervals."""
    own = of_target(drivers, target).filter(
        pl.col("dimension").cast(pl.String).is_in(["all", "age", "sex"]), pl.col("kind").cast(pl.String) == "all"
    )
    own = own.with_columns(pl.col("dimension", "channel").cast(pl.String))
    channels = [name for name in words.CHANNELS if name in set(own["channel"])]
    rows = []
    for dimension in ["all", "age", "sex"]:
        part = own.filter(pl.col("dimension") == dimension)
        levels = part["level"].unique(maintain_order=True).to_list()
        sizes = apart({level: part.filter(pl.col("level") == level)["n_patients"][0] for level in levels})
        group = dimension_name(dimension) if dimension != "all" else ""
        for level in levels:
            found = {row["channel"]: row for row in part.filter(pl.col("level") == level).to_dicts()}
            cells = [_share(found.get(channel)) for channel in channels]
            known = any(cell.value != "–" for cell in cells)
            name = "Everyone" if dimension == "all" else words.plain(level).replace("-", "–")
            hint = f"{sizes[level]} patients"
            rows.append(Row(name, hint, group, cells if known else [], "" if known else TOO_FEW))
            group = ""
    return Grid([CHANNELS[name] for name in channels], rows if len(rows) > 1 else [])


def _share(row: dict[str, Any] | None) -> Cell:
    if row is None or row["share"] is None:
        return Cell("–")
    ends = [row["share_low"], row["share_high"]]
    return Cell(tenths(row["share"]), "" if None in ends else "–".join(f"{100 * end:.1f}" for end in ends))


def tenths(share: float) -> str:
    """Return a share in per cent with one digit.

    >>> tenths(0.185).replace("\\xa0", " ")
    '18.5 %'
    """
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def compared(contrasts: pl.DataFrame, target: Target) -> str:
    """Return how many ratios of shares between subgroups were looked at and which hold; empty where none was."""
    own = of_target(contrasts, target).filter(
        pl.col("measure").cast(pl.String) == "ratio", pl.col("simultaneous_low").is_not_null()
    )
    if own.is_empty():
        return ""
    held = own.filter((pl.col("simultaneous_low") > 1) | (pl.col("simultaneous_high") < 1))
    looked = f"{own.height} shares of channels, organ systems and variables were compared with the largest group"
    if held.is_empty():
        return f"{looked}: none differs with intervals that are right for all of a group at once."
    held = held.with_columns(pl.col("dimension", "kind", "channel").cast(pl.String))
    shown = held.sort("dimension", "level", "kind", "group", "channel").head(LARGEST)
    named = "; ".join(_ratio(row) for row in shown.to_dicts()) + ("; and others" if held.height > LARGEST else "")
    return f"{looked}: {held.height} differ with intervals that are right for all of a group at once: {named}."


def _ratio(row: dict[str, Any]) -> str:
    if row["kind"] == "all":
        what = words.CHANNELS[row["channel"]]
    else:
        what = words.label(row["group"]) if row["kind"] == "variable" else f"{row['group']} system"
    ends = [words.decimals(row[name], 2) for name in ("simultaneous_low", "simultaneous_high")]
    who = f"{words.plain(row['dimension']).lower()} {words.clean(row['level'])}"
    return f"{who}, {what} × {words.decimals(row['value'], 2)} ({'–'.join(ends)})"
