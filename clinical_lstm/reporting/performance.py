"""Chapter 1 of the page, how good it is: sentences, tables and charts of every target, and of another place."""

from __future__ import annotations

from typing import Any

import polars as pl

from clinical_lstm.reporting import curves, forest, names, subgroups, tables, theme, transport, words
from clinical_lstm.reporting.contents import Contents
from clinical_lstm.reporting.embedding import Charts
from clinical_lstm.reporting.tables import Target

TITLES = {
    "ranking": "Beside the others",
    "calibration": "Calibration",
    "alarms": "Alarms",
    "subgroups": "Subgroups",
    "limits": "What limits it",
}


def chapter(contents: Contents, charts: Charts) -> dict[str, Any]:
    """Return what the template of the chapter shows."""
    every, drawn = names.order(contents.scores["predictor"].to_list()), names.drawn(contents.scores)
    return {
        "overview": tables.overview(contents.scores, contents.targets),
        "targets": [_target(contents, target, charts) for target in contents.targets],
        "predictors": theme.legend([words.plain(name) for name in drawn]),
        "undrawn": len(every) - len(drawn),
        "transport": _transport(contents, charts),
    }


def drawable(contents: Contents, target: Target) -> curves.Curves | None:
    """Return what the curves of a target are drawn from; None where the model has none."""
    own = contents.curves.filter(
        pl.col("complication") == target[0], pl.col("horizon_hours") == target[1], pl.col("subset") == "all"
    )
    drawn = [name for name in names.drawn(contents.scores) if name in set(own["predictor"])]
    if "model" not in drawn:
        return None
    found = tables.scores_of(contents.scores, target)
    model = {metric: score["value"] for (name, metric), score in found.items() if name == "model"}
    return curves.Curves(own, drawn, model, contents.threshold(target))


def _target(contents: Contents, target: Target, charts: Charts) -> dict[str, Any]:
    scores, name = contents.scores, words.target(*target)
    early = tables.has_early(scores, target)
    found = tables.scores_of(scores, target)
    return {
        "name": name,
        "said": _said(contents, target),
        "facts": next((score for (who, _), score in found.items() if who == "model"), None),
        "main": tables.performance(scores, target, names.drawn(scores), main=True),
        "every": tables.performance(scores, target),
        "differences": tables.differences(scores, target),
        "comparison": tables.comparison(contents.comparison, target),
        "charts": _curves(contents, target, charts),
        "early": tables.subsets(scores, target) if early else None,
        "early_every": tables.performance(scores, target, subset="pre_onset") if early else None,
        "early_differences": tables.differences(scores, target, "pre_onset") if early else None,
        "subgroups": subgroups.grid(scores, target),
        "compared": subgroups.compared(contents.gaps, target),
        "held": subgroups.held(contents.gaps, target),
        "forest": charts.add(
            forest.chart(scores, target),
            f"AUROC of the model in each subgroup, with 95 % intervals. {name}.",
            "The dashed line is the AUROC of all predictions. Subgroups with too few patients are left out.",
        ),
    }


def _said(contents: Contents, target: Target) -> list[tuple[str, list[str]]]:
    """Return the sentences of the summary under their titles."""
    summary = contents.summary.get(target, {})
    found = [(title, [names.said(text) for text in summary.get(key, [])]) for key, title in TITLES.items()]
    return [(title, sentences) for title, sentences in found if sentences]


def _curves(contents: Contents, target: Target, charts: Charts) -> list[dict[str, Any]]:
    found = drawable(contents, target)
    if found is None:
        return []
    name, texts = words.target(*target), _captions(found)
    drawn = [
        charts.add(curves.chart(kind, found), f"{text} {name}.".replace("\N{NO-BREAK SPACE}", " "), text)
        for kind, text in texts.items()
    ]
    return [chart for chart in drawn if chart]


def _captions(found: curves.Curves) -> dict[str, str]:
    """Return what each curve says to a reader, in the order of the page."""
    prevalence = words.decimals(found.model.get("prevalence"))
    threshold = words.percent(found.threshold)
    mark = "The dot is the threshold in use."
    return {
        "calibration": "Calibration. On the diagonal a risk of 10\N{NO-BREAK SPACE}% comes true 10 times in 100. "
        "Lines: smoothed; dots: bins of equal size of the model.",
        "decision": "Decision curve: what acting above a threshold is worth. Grey: acting always (falling) and never"
        + (f"; dashed: the threshold in use, {threshold}." if found.threshold is not None else "."),
        "event_pr": "Events found and alarms that are true, over all thresholds. The dot is the policy in use.",
        "by_onset": "Share of predictions above the threshold, by hours before the onset.",
        "roc": f"ROC. The diagonal is chance. {mark}",
        "pr": f"Precision and recall. The level line is the prevalence, {prevalence}. {mark}",
    }


def _transport(contents: Contents, charts: Charts) -> dict[str, Any] | None:
    """Return home and away, repair and shift; None where nothing is known of another place."""
    facts, table, shift = contents.transport, contents.recalibration, contents.shift
    if facts is None and table is None and shift is None:
        return None
    rows: list[dict[str, Any]] = []
    for target in contents.targets:
        name = words.target(*target)
        specs = transport.repairs(table, target) if table is not None else {}
        drawn = [
            charts.add(spec, f"{names.metric_name(metric)} by the number of local patients used. {name}.")
            for metric, spec in specs.items()
        ]
        grid = transport.home_and_away(facts, target) if facts is not None else tables.Grid([], [])
        rows.append({"name": name, "grid": grid, "charts": [chart for chart in drawn if chart]})
    return {
        "told": transport.told(facts) if facts is not None else "",
        "route": " → ".join(transport.places(facts)) if facts is not None else "",
        "targets": [row for row in rows if row["grid"].rows or row["charts"]],
        "methods": transport.legend(),
        "shifts": transport.shifts(shift) if shift is not None else [],
    }
