"""Write the page of a run: one HTML file that needs no network, no server and no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clinical_lstm.artifacts import Run
from clinical_lstm.data.task import YEAR_HOURS, within
from clinical_lstm.reporting import drivers, figures, performance, records, tables, words
from clinical_lstm.reporting.card.build import PARTS, SOURCES, Card, card
from clinical_lstm.reporting.changes import Changes, read_changes
from clinical_lstm.reporting.contents import Contents, read
from clinical_lstm.reporting.embedding import Charts
from clinical_lstm.reporting.frame import filled, write
from clinical_lstm.reporting.stay_page import entries
from clinical_lstm.reporting.stays import cards

MOST_NAMED = 4  # complications in the title; of more it gives the number


def write_page(run: Run, out: Path, identifiers: bool = False) -> Path:
    """Write the page of `run` to `out`, atomically, and return `out`; equal runs give equal bytes.

    Stays are numbered, not named, unless `identifiers`. Raises InputError when the run lacks what a page needs.
    """
    return write(render(read(run), card(run), read_changes(run), identifiers), out)


def render(contents: Contents, model_card: Card, changes: Changes | None = None, identifiers: bool = False) -> str:
    """Return the page as HTML."""
    card_facts = {"model_card": model_card, "card_parts": PARTS, "card_sources": SOURCES}
    return filled("page.html.j2", _context(contents, changes, identifiers) | card_facts)


def _context(contents: Contents, changes: Changes | None, identifiers: bool) -> dict[str, Any]:
    charts = Charts()
    manifest, cohort = contents.manifest, contents.cohort
    return {
        "contents": contents,
        "manifest": manifest,
        "cohort": cohort,
        "task": _task(contents),
        "split": f"{contents.split} split" if contents.split else "evaluated split",
        "source": {"title": "", "citation": "", "licence": "", "name": "", **cohort.get("source", {})},
        "headlines": tables.headlines(contents.scores, contents.targets[0]),
        "performance": performance.chapter(contents, charts),
        "policies": records.policies(contents.alarms),
        "splits": records.splits(cohort),
        "checks": _checks(contents),
        "coverage": records.coverage(cohort, [*manifest.get("variables", []), *manifest.get("statics", [])]),
        "drivers": drivers.chapter(contents, charts),
        "cards": entries(charts, cards(contents, changes, identifiers)),
        "training": charts.add(
            figures.training(contents.history, manifest.get("best_epoch")),
            "Training and validation loss by epoch",
            f"The dotted line marks the chosen epoch ({manifest.get('best_epoch')}).",
        ),
    }


def _checks(contents: Contents) -> dict[str, Any]:
    """Return the counts and gaps of the explanations, None where they are not recorded."""
    names = ["n", "n_explained", "median_gap", "max_gap", "tolerance"]
    found = contents.explanations.checks if contents.explanations else {}
    return {name: found.get(name) for name in names}


def _task(contents: Contents) -> dict[str, Any]:
    """Return the task's numbers as text, with what is not recorded left empty."""
    task = contents.manifest["task"]
    complications = [words.complication(name) for name in dict.fromkeys(name for name, _ in contents.targets)]
    hours = sorted({horizon for _, horizon in contents.targets})
    every = task.get("every_hours") or task.get("step_hours")
    if task.get("at_hours"):
        when = f"Once, {words.duration(task['at_hours'])} after admission,"
    elif every:
        when = f"Every {'hour' if every == 1 else words.duration(every)} of a stay"
    else:
        when = "At every measurement of a stay"
    ahead = words.listed([words.duration(horizon).replace(" ", "\N{NO-BREAK SPACE}") for horizon in hours])
    ahead = ahead if hours[-1] < YEAR_HOURS else "until discharge"
    return {
        "complications": words.listed([complications[0], *(name[:1].lower() + name[1:] for name in complications[1:])])
        if len(complications) <= MOST_NAMED
        else f"{len(complications)} complications",
        "horizons": ahead,
        "ahead": f"{ahead} ahead" if hours[-1] < YEAR_HOURS else within(hours[-1]),
        "window": f"within the next {ahead}" if hours[-1] < YEAR_HOURS else "before discharge",
        "lookback": words.duration(back) if (back := task.get("lookback_hours")) else "",
        "gap": words.duration(task.get("gap_hours") or 0.0),
        "when": when,
        "settings": records.settings(task),
    }
