"""What only people can say: the texts under `card.KEY`, checked, and kept in the run."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clinical_lstm.artifacts import Run, digest, read_json, write_json
from clinical_lstm.errors import InputError, closest
from clinical_lstm.reporting import words

FILE = "card_answers.json"


@dataclass(frozen=True)
class Item:
    """A row of `items.csv`: what is asked, which function answers it (may be ""), which keys a human fills."""

    id: str
    part: str
    chapter: str
    asks: str
    facts: str
    keys: tuple[str, ...]


@cache
def items() -> list[Item]:
    """Return all items of the card, in its order."""
    with (Path(__file__).parent / "items.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [Item(r["id"], r["part"], r["chapter"], r["asks"], r["facts"], tuple(r["keys"].split())) for r in rows]


def keys() -> list[str]:
    """Return the keys that a human fills, in the order of the items.

    >>> keys()[:3]
    ['background', 'intended_use', 'intended_users']
    """
    return list(dict.fromkeys(key for item in items() for key in item.keys))


def checked(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that are given; null ones are left out. Raises InputError on an unknown key or what is no text.

    >>> checked({"funding": "None was received.", "contact": None})
    {'funding': 'None was received.'}
    """
    for key, value in given.items():
        if key not in keys():
            raise InputError(f"card takes no {key!r}: {closest(str(key), keys())}")
        if value is not None and not isinstance(value, str):
            raise InputError(f"card.{key} must be a text, not {value!r}: put it in quotes")
    return {key: value.strip() for key, value in given.items() if value is not None}


def keep(run: Run, given: Mapping[str, Any]) -> dict[str, str]:
    """Write the answers into the run, over those that it has, and return them all; an empty text takes one back."""
    before = kept(run)
    told = {key: text for key, text in (before | checked(given)).items() if text}
    if told != before:
        write_json(run.path / FILE, {"of": _trained(run), "answers": told})
    return told


def kept(run: Run) -> dict[str, str]:
    """Return the answers in the run; none where they are of a training before this one."""
    path = run.path / FILE
    content = read_json(path) if path.is_file() else {}
    if not isinstance(content, dict) or content.get("of") != _trained(run):
        return {}
    found = content.get("answers") or {}
    return checked({key: text for key, text in found.items() if key in keys()})  # an older file may have others


def paragraphs(text: str) -> list[str]:
    """Return a text as paragraphs of one line each, without control characters.

    >>> paragraphs("One\\nline.\\n\\nAnother.")
    ['One line.', 'Another.']
    """
    cleaned = [" ".join(words.clean(part).split()) for part in re.split(r"\n\s*\n", text)]
    return [part for part in cleaned if part]


def _trained(run: Run) -> str:
    return digest(run.json("manifest.json"))
