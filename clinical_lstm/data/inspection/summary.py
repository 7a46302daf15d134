"""An inspection as text, at most 110 columns wide: what looks wrong first, what to do at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from clinical_lstm.data.inspection import Inspection

_WIDTH = 110
_LISTED = 20  # unknown labels and conversions that are printed; the rest is counted


def summary(inspection: Inspection, title: str) -> list[str]:
    """Return the lines of the report.

    A section without content is left out; `!` marks a suspicious variable.
    """
    sections = [
        ("", _totals(inspection, title)),
        ("Suspicious values", _suspicious(inspection.variables)),
        ("Unknown labels", _unknown(inspection.unknown)),
        ("The source says", _wrapped(inspection.findings)),
        ("Refused rows", _refused(inspection.rejects)),
        ("Converted units", _converted(inspection.conversions)),
        ("Stated outcomes", _episodes(inspection)),
        ("Variables (canonical units; `every`: median hours between two values in a stay)", _variables(inspection)),
        ("What to do", _wrapped(_advice(inspection), numbered=True)),
    ]
    lines: list[str] = []
    for heading, content in sections:
        if content:
            lines += ["", *([heading] if heading else []), *(f"  {line}" for line in content)]
    return lines[1:]


def _totals(inspection: Inspection, title: str) -> list[str]:
    count = {name: f"{int(value):,}" for name, value in inspection.totals.items()}
    sites = ", ".join(f"{site} {stays:,}" for site, stays in inspection.sites.rows()[:6])
    more = f", and {inspection.sites.height - 6} more" if inspection.sites.height > 6 else ""
    return [
        title,
        f"{count['stays']} stays of {count['patients']} patients, {count['hours']} hours; site: {sites}{more}",
        f"{count['observations']} rows, {count['kept']} measurements left after cleaning; "
        f"{count['unmeasured']} stays without any",
    ]


def _suspicious(variables: pl.DataFrame) -> list[str]:
    doubted = variables.filter(pl.col("severity") > 0)
    rows = doubted.select("variable", "median", "unit", "low", "high", "severity", "suspicion").rows()
    return [
        f"{name:23} {f'median {_number(median)} {unit}'.removesuffix(' 1'):20} {words}"
        + (f" (plausible: {low:g} to {high:g})" if severity == 1 else "")
        for name, median, unit, low, high, severity, words in rows
    ]


def _unknown(unknown: pl.DataFrame) -> list[str]:
    shown = [
        f"{(label or '(no name)')[:40]:42}{rows:>11,} rows{'   maybe: ' + ', '.join(names) if names else ''}"
        for label, rows, names in unknown.rows()[:_LISTED]
    ]
    rest = unknown[_LISTED:]
    return [*shown, f"... and {rest.height:,} more, {rest['rows'].sum():,} rows"] if rest.height else shown


def _refused(rejects: pl.DataFrame) -> list[str]:
    return [f"{rule:18}{rows:>11,} rows   {_cut(labels, 70)}" for rule, rows, labels in rejects.rows()]


def _converted(conversions: pl.DataFrame) -> list[str]:
    """Return what was calculated, then in one line what was only spelt otherwise."""
    same = (pl.col("factor") == 1) & (pl.col("offset") == 0)
    lines = []
    for label, unit, variable, factor, offset, rows in conversions.filter(~same).rows()[:_LISTED]:
        shift = f" {offset:+.4g}" if offset else ""
        lines.append(f"{label[:30]:31}{unit:>10}   x {factor:<9.5g}{shift:7} -> {variable:22}{rows:>11,} rows")
    if rest := conversions.filter(~same).height - len(lines):
        lines.append(f"... and {rest} more")
    spelt = conversions.filter(same)
    return [*lines, f"{spelt.height} label(s) in a unit that is only spelt otherwise"] if spelt.height else lines


def _episodes(inspection: Inspection) -> list[str]:
    if not inspection.labelled:
        return ["none: the data do not say what happened (complications derived from measurements need no more)"]
    stated = [
        f"{name:24}{episodes:>9,} episodes in {stays:,} stays ({stays / inspection.totals['stays']:.1%})"
        for name, episodes, stays in inspection.episodes.rows()
    ]
    return stated or ["no episode at all, though the data state outcomes"]


def _variables(inspection: Inspection) -> list[str]:
    heading = (
        f"  {'':23}{'unit':10}{'rows':>11}{'stays':>7}{'every':>8}{'1 %':>9}{'median':>9}{'99 %':>9}{'implausible':>13}"
    )
    lines = [heading] if inspection.variables.height else []
    for row in inspection.variables.iter_rows(named=True):
        every = "" if row["interval_hours"] is None else f"{row['interval_hours']:.3g} h"
        quantiles = "".join(f"{_number(row[key]):>9}" for key in ("q01", "median", "q99"))
        implausible = f"{row['implausible_share']:.1%}" if row["implausible_share"] >= 0.0005 else "-"
        lines.append(
            f"{'! ' if row['severity'] else '  '}{row['variable']:23}{row['unit']:10}{row['rows']:>11,}"
            f"{row['stays_share']:>7.0%}{every:>8}{quantiles}{implausible:>13}"
        )
    if inspection.never:
        lines += textwrap.wrap(f"never: {', '.join(inspection.never)}", _WIDTH - 4, initial_indent="  ")
    return lines


def _advice(inspection: Inspection) -> list[str]:
    advice = []
    other_unit = inspection.variables.filter(pl.col("severity") > 1)["variable"].to_list()
    if other_unit:
        advice.append(
            f"Check the units of {', '.join(other_unit)} in the data, then state them in the mapping (code map) of the "
            f"source, e.g. {{LABEL: {{name: {other_unit[0]}, unit: ...}}}}. No value is changed on suspicion."
        )
    if inspection.unknown.height:
        advice.append("Map the unknown labels that you need to a variable of the vocabulary; the others are left out.")
    odd = inspection.variables.filter(pl.col("severity") == 1)["variable"].to_list()
    if odd:
        advice.append(f"See what the implausible values of {', '.join(odd)} are: they are refused, not corrected.")
    if inspection.totals["unmeasured"] > 0.1 * inspection.totals["stays"]:
        advice.append("Many stays have no measurement: do the ids and the times of the tables belong together?")
    if not inspection.labelled:
        advice.append("Choose a task whose complications are derived from measurements, or state episodes.")
    return advice


def _wrapped(texts: Sequence[str], numbered: bool = False) -> list[str]:
    lines = []
    for number, text in enumerate(texts, start=1):
        mark = f"{number}. " if numbered else "- "
        lines += textwrap.wrap(text, _WIDTH - 2, initial_indent=mark, subsequent_indent=" " * len(mark))
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
