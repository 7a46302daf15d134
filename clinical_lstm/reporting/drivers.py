"""Chapter 3 of the page, what drives the risk: how far to trust it, what counts, at which values, and in whom."""

from __future__ import annotations

from typing import Any

import polars as pl

from clinical_lstm.reporting import contrasts, doses, figures, memory, theme, trust, words
from clinical_lstm.reporting.contents import Contents, Summaries
from clinical_lstm.reporting.contrasts import tenths
from clinical_lstm.reporting.embedding import Charts
from clinical_lstm.reporting.tables import Target

MANY = 3  # more targets than these get fewer charts each, so that the page stays small
SAYS = {
    "mask": "whether something was measured",
    "delta": "how long ago",
    "value": "the measured values",
    "static": "what was known at admission",
}
SMALL_PART = 0.1  # of the risk: below it, when to measure tells little
LARGE_PART = 0.3


def chapter(contents: Contents, charts: Charts) -> dict[str, Any] | None:
    """Return what the template of the chapter shows; None where nothing has been explained."""
    if contents.explanations is None:
        return None
    checks, summaries = contents.explanations.checks, contents.explanations.summaries
    found = trust.badges(checks)
    few = len(contents.targets) <= MANY
    targets = [_target(summaries, target, charts, few) for target in contents.targets]
    return {
        "badges": found,
        "verdict": trust.verdict(found),
        "trust": [
            charts.add(spec, f"Mean change of the logit by the {trust.CURVES[kind].lower()}, in two orders")
            for kind, spec in trust.curves(checks).items()
        ],
        "orders": trust.legend(),
        "full": few,
        "summarised": summaries.drivers is not None,
        "targets": [target for target in targets if target],
    }


def shares(drivers: pl.DataFrame, target: Target) -> dict[str, dict[str, Any]]:
    """Return the rows of the channels over all variables and the whole cohort, by channel; empty where too few."""
    own = figures.of_target(drivers, target).filter(
        pl.col("dimension").cast(pl.String) == "all",
        pl.col("kind").cast(pl.String) == "all",
        pl.col("share").is_not_null(),
    )
    return {str(row["channel"]): row for row in own.to_dicts() if str(row["channel"]) != "all"}


def told(found: dict[str, dict[str, Any]]) -> str:
    """Return what moves the risk, in words, what was measured when first.

    >>> row = {"share": 0.185, "share_low": 0.17, "share_high": 0.2}
    >>> told({"mask": row, "value": row | {"share": 0.815, "share_low": None}}).replace("\\xa0", " ")
    '18.5 % (17.0 to 20.0) of what moves the risk is whether something was measured: read that before trusting a \
value. 81.5 % is the measured values.'
    """
    if not found:
        return ""
    habits = [name for name in ("mask", "delta") if name in found]
    rest = [name for name in ("value", "static") if name in found]
    sentences = []
    for names in (habits, rest):
        parts = [f"{_part(found[name])} {'is ' if k == 0 else ''}{SAYS[name]}" for k, name in enumerate(names)]
        if names is habits and parts:
            parts[0] = parts[0].replace(" is ", " of what moves the risk is ", 1)
        sentences += [", ".join(parts)] if parts else []
    if habits:
        part = sum(found[name]["share"] for name in habits)
        warned = "" if part < SMALL_PART else ": read that before trusting a value"
        sentences[0] += warned
        if part > LARGE_PART:
            sentences.append(
                "When to measure is a decision of the staff: "
                "a model that leans this much on the habits of one hospital may not travel to another"
            )
    return " ".join(f"{sentence}." for sentence in sentences)


def _part(row: dict[str, Any]) -> str:
    low, high = row["share_low"], row["share_high"]
    ends = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return tenths(row["share"]) + ends


def _target(found: Summaries, target: Target, charts: Charts, few: bool) -> dict[str, Any] | None:
    """Return the parts of one target; None where it has none."""
    name, drivers = words.target(*target), found.drivers
    if drivers is None or figures.of_target(drivers, target).is_empty():
        return None
    channels = shares(drivers, target)
    whole = figures.of_target(drivers, target).filter(pl.col("dimension").cast(pl.String) == "all").row(0, named=True)
    return {
        "name": name,
        "sizes": f"{words.count(whole['n_predictions'])} predictions of {words.count(whole['n_patients'])} patients",
        "told": told(channels),
        "variables": charts.add(
            figures.importance(drivers, target), f"Mean contribution of the variables, by channel. {name}."
        ),
        "systems": charts.add(
            figures.importance(drivers, target, "system") if few else None,
            f"Mean contribution of the organ systems, by channel. {name}.",
        ),
        "before": charts.add(
            figures.before_onset(drivers, target) if few else None,
            f"Mean contribution of the first variables by the hours before the onset. {name}.",
        ),
        "seldom": "to_onset" in figures.of_target(drivers, target)["dimension"].cast(pl.String).unique(),
        "doses": _doses(found, target, charts, few),
        "errors": _errors(found, target, charts, few),
        "subgroups": contrasts.subgroups(drivers, target),
        "compared": contrasts.compared(found.contrasts, target) if found.contrasts is not None else "",
        **_memory(found, target, charts, few),
    }


def _doses(found: Summaries, target: Target, charts: Charts, few: bool) -> list[dict[str, Any] | None]:
    if found.dose is None or found.directions is None:
        return []
    drawn = doses.charts(found.dose, found.directions, target, doses.SHOWN if few else doses.FEW)
    return [
        charts.add(
            spec,
            f"Contribution to the logit by {doses.axis_title(row['variable'])}. {doses.direction(row)}",
            doses.direction(row),
        )
        for row, spec in drawn
    ]


def _errors(found: Summaries, target: Target, charts: Charts, few: bool) -> list[dict[str, Any]]:
    if found.contrasts is None:
        return []
    return [
        error
        | {"chart": charts.add(error["chart"] if few else None, f"{error['title']}: the largest differences, by input")}
        for error in contrasts.errors(found.contrasts, target)
    ]


def _memory(found: Summaries, target: Target, charts: Charts, few: bool) -> dict[str, Any]:
    layers = memory.units(found.half_lives, target) if found.half_lives is not None else {}
    spec = memory.chart(layers) if few else None
    return {
        "memory": memory.told(layers),
        "layers": theme.legend(list(layers)),
        "half_lives": charts.add(spec, "How many units of each layer have which half-life of their memory"),
    }
