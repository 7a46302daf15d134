"""The card of a run: every item with its answer, where that came from, and what people have still to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting.card import answers, bias, model, outcome, results, study
from clinical_lstm.reporting.card.answers import Item
from clinical_lstm.reporting.card.known import Fact, Known, Table, read

FILLED, MISSING, EXEMPT = "filled", "MISSING", "not applicable"
MODULES: dict[str, ModuleType] = {m.__name__.rsplit(".", 1)[1]: m for m in (bias, model, outcome, results, study)}
PARTS = {
    "tripod": "TRIPOD+AI: how it is reported",
    "card": "Beyond the checklists",
    "probast": "PROBAST+AI: signalling questions",
}
SOURCES = {
    "tripod": "Collins et al., BMJ 385:e078378 (2024), doi 10.1136/bmj-2023-078378",
    "probast": "Moons et al., BMJ 388:e082505 (2025), doi 10.1136/bmj-2024-082505",
}
CODE = "clinical_lstm/"  # a definition is read from the code, not from the run


@dataclass(frozen=True)
class Line:
    """One item with its answer.

    Attributes:
        status: filled, MISSING or not applicable. verdict: of a signalling question, else "".
        answer: paragraphs. tables: of the answer. files: where in the run it was read; `card.KEY` for what people said.
        reason: why it is MISSING or not applicable. open: the keys that people have still to fill.

    """

    id: str
    part: str
    chapter: str
    asks: str
    status: str
    verdict: str
    answer: list[str]
    tables: list[Table]
    files: list[str]
    reason: str
    open: list[str]


@dataclass(frozen=True)
class Card:
    """A model card: its lines, and what they add up to."""

    run: str
    lines: list[Line]

    @property
    def filled(self) -> int:
        """How many items are filled."""
        return sum(line.status == FILLED for line in self.lines)

    @property
    def applicable(self) -> int:
        """How many items apply."""
        return sum(line.status != EXEMPT for line in self.lines)

    @property
    def open(self) -> list[str]:
        """The keys that people have still to fill, each once."""
        return list(dict.fromkeys(key for line in self.lines for key in line.open))

    def asked(self) -> list[tuple[str, list[Line]]]:
        """Return each open key with the lines that wait for it."""
        return [(key, [line for line in self.lines if key in line.open]) for key in self.open]

    def told(self) -> str:
        """Return the card's state in one line."""
        asked = sum(bool(line.open) for line in self.lines)
        named = ", ".join(f"card.{key}=..." for key in self.open[:3]) + (", ..." if len(self.open) > 3 else "")
        people = f"{asked} need a human ({named})" if asked else "none needs a human"
        return f"{self.filled} of {self.applicable} items filled, {people}"

    def chapters(self) -> dict[str, dict[str, list[Line]]]:
        """Return the lines by part and chapter, in order."""
        found: dict[str, dict[str, list[Line]]] = {part: {} for part in PARTS}
        for line in self.lines:
            found[line.part].setdefault(line.chapter, []).append(line)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain types."""
        totals = {"filled": self.filled, "applicable": self.applicable, "items": len(self.lines), "open": self.open}
        lines = [asdict(line) for line in self.lines]
        return {"run": self.run, "sources": SOURCES, "summary": totals, "items": lines}


def card(run: Run, told: Mapping[str, str] | None = None) -> Card:
    """Return the card of a run, with what people said (`told`; None: what the run keeps).

    Parts of stages that have not run are MISSING. Raises InputError where the run has not been trained.
    """
    known = read(run)
    said = answers.checked(told) if told is not None else answers.kept(run)
    return Card(known.name, [line(item, known, said) for item in answers.items()])


def line(item: Item, known: Known, said: Mapping[str, str]) -> Line:
    """Return one item with the answer that the run and people give."""
    fact = _fact(item, known)
    given = {key: answers.paragraphs(said[key]) for key in item.keys if said.get(key)}
    # Where facts decide a question, or it does not arise, nobody is asked.
    decided = bool(fact.exempt or fact.verdict)
    lacking = [] if decided else [key for key in item.keys if not given.get(key)]
    exempt = fact.exempt if not given else ""
    status = EXEMPT if exempt else MISSING if fact.lacks or lacking else FILLED
    reasons = [fact.lacks] if fact.lacks else []
    if lacking:
        reasons.append("people have to say it" if item.part != "probast" else "needs a human judgement")
    files = [file for file in fact.files if file in known.files or file.startswith(CODE)]
    return Line(
        id=item.id,
        part=item.part,
        chapter=item.chapter,
        asks=item.asks,
        status=status,
        verdict=fact.verdict or (_opinion(lacking) if item.part == "probast" and not exempt else ""),
        answer=[*fact.says, *(text for texts in given.values() for text in texts)],
        tables=list(fact.tables),
        files=[*files, *(f"card.{key}" for key in given)],
        reason=exempt or "; ".join(reasons),
        open=lacking,
    )


def _fact(item: Item, known: Known) -> Fact:
    if not item.facts:
        return Fact()
    module, function = item.facts.split(".")
    found: Fact = getattr(MODULES[module], function)(known)
    return found


def _opinion(lacking: list[str]) -> str:
    return "needs a human judgement" if lacking else "judged by people"
