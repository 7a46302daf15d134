"""The card as files: Markdown for people, JSON for machines; equal runs give equal bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2

from clinical_lstm.artifacts import Run, atomic_file, write_json
from clinical_lstm.reporting import words
from clinical_lstm.reporting.card.build import PARTS, SOURCES, Card, card

TEMPLATES = Path(__file__).parents[1] / "templates"


def write_card(run: Run, folder: Path) -> Card:
    """Write card.md and card.json of a run into `folder`, each atomically, and return the card."""
    made = card(run)
    with atomic_file(folder / "card.md") as partial:
        partial.write_text(markdown(made), encoding="utf-8", newline="\n")
    write_json(folder / "card.json", made.to_json())
    return made


def markdown(made: Card) -> str:
    """Return the card as Markdown in which every text stands as it is, whatever signs it holds."""
    place = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,
        finalize=literal,  # every value, so that none is forgotten
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return place.get_template("card.md.j2").render(card=made, parts=PARTS, sources=SOURCES)


def literal(value: Any) -> str:
    r"""Return a value as Markdown that shows it literally, on one line and inside a table cell too.

    >>> literal("a|b *c* <script> _d_ card.intended_use [x](y)")
    'a\\|b \\*c\\* &lt;script&gt; \\_d\\_ card.intended_use \\[x\\](y)'
    >>> literal("1. item"), literal("- item"), literal("-0.5")
    ('1\\. item', '\\- item', '\\-0.5')
    """
    text = " ".join(words.clean(str(value)).split(" ")).strip()
    text = text.replace("\\", "\\\\")
    text = re.sub(r"([`*\[\]|~#$])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"^([-+=])", r"\\\1", re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text))
