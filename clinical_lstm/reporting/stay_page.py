"""Stays on pages: the entries of their cards, and one page for one stay alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from clinical_lstm.artifacts import Run
from clinical_lstm.errors import InputError, closest
from clinical_lstm.reporting import frame
from clinical_lstm.reporting.changes import read_changes
from clinical_lstm.reporting.contents import Contents, read
from clinical_lstm.reporting.embedding import Charts
from clinical_lstm.reporting.spoken import spoken
from clinical_lstm.reporting.stays import ALONE, Card, cards, pseudonyms, titled
from clinical_lstm.reporting.timelines import timeline

SAFE = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"  # names that every file system takes


def entries(charts: Charts, found: list[Card]) -> list[dict[str, Any]]:
    """Return the cards with their charts, numbered, as the template wants them."""
    return [
        {"id": f"stay-{number}", "card": card, "chart": charts.add(timeline(card), spoken(card), card.left_out)}
        for number, card in enumerate(found, 1)
    ]


def write_stays(run: Run, stays: list[str], folder: Path, identifiers: bool = False) -> list[Path]:
    """Write one page per stay, all its explained predictions larger, to `folder`; return the paths.

    A stay is named by its id or by its pseudonym on the page of the run ("Stay 3"). Files are called by the pseudonym,
    with `identifiers` by the id. Raises InputError, before anything is written, when a stay was not explained.
    """
    contents = read(run)
    names = pseudonyms(contents)
    chosen = _chosen(run, names, stays)
    changes, written = read_changes(run), []
    for stay in chosen:
        found = cards(contents, changes, identifiers, stay, ALONE)
        page = render(contents, titled(names, stay, identifiers), found)
        written.append(frame.write(page, folder / f"{_stem(names[stay], stay, identifiers)}.html"))
    return written


def render(contents: Contents, title: str, found: list[Card]) -> str:
    """Return the page of one stay as HTML."""
    context = {"contents": contents, "title": title, "cards": entries(Charts(), found)}
    return frame.filled("stay.html.j2", context)


def _chosen(run: Run, names: dict[str, str], asked: list[str]) -> list[str]:
    """Return the ids of the stays that were asked for, each once; raises InputError on one without explanation."""
    if not names:
        raise InputError(f"run {run.path} has no explained stay; explain it with: clinical-lstm explain run={run.name}")
    if not asked:
        raise InputError("name at least one stay: stay=ID, or stay=[A,B]")
    by_pseudonym = {name: stay for stay, name in names.items()}
    absent = [one for one in asked if one not in names and one not in by_pseudonym]
    if absent:
        raise InputError(
            f"{len(absent)} of {len(asked)} stays were not explained, the first is {absent[0]!r}: run {run.name} "
            f"explains {len(names)} stays ({closest(absent[0], [*names])}); explain more with: "
            f"clinical-lstm explain run={run.name} explanation.per_reason=..."
        )
    return list(dict.fromkeys(one if one in names else by_pseudonym[one] for one in asked))


def _stem(pseudonym: str, stay: str, identifiers: bool) -> str:
    """Return the name of a stay's file: an id that no file could carry keeps its pseudonym.

    >>> _stem("Stay 3", "p17", True), _stem("Stay 3", "../p17", True), _stem("Stay 3", "p17", False)
    ('p17', 'stay-3', 'stay-3')
    """
    return stay if identifiers and re.fullmatch(SAFE, stay) else pseudonym.lower().replace(" ", "-")
