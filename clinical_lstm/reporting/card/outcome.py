"""How the outcome is defined and found; the definition is read from the plug-in that computes it."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any, NamedTuple

from clinical_lstm import plugins
from clinical_lstm.data.task import needs
from clinical_lstm.reporting import words
from clinical_lstm.reporting.card.known import Fact, Known

FRAMES = ["stays", "observations", "given"]


class Definition(NamedTuple):
    """A complication as its plug-in tells it; `uses`: the variables that its rule reads, none where it is stated."""

    name: str
    says: str
    limits: str
    source: str
    arguments: dict[str, Any]
    uses: list[str]


def definitions(known: Known) -> list[Definition]:
    """Return the definitions of the shipped complications of a run; a user's own, or a file of labels, has none."""
    if known.task.get("labels"):
        return []
    specs = known.task.get("complications") or []
    shipped = plugins.names("complications")
    return [_definition(spec) for spec in specs if spec["name"] in shipped]


def _definition(spec: dict[str, Any]) -> Definition:
    plugin = plugins.load("complications", spec["name"])
    module = sys.modules[plugin.__module__]
    text = re.sub(r"```.*?```", "", inspect.getdoc(plugin) or "", flags=re.DOTALL)  # without the drawings
    blocks = [" ".join(block.replace("`", "").split()) for block in re.split(r"\n\s*\n", text)]
    parts = [part.strip() for block in blocks for part in re.split(r"(?<=\. )(?=(?:Onset|Limits|Source|Args):)", block)]
    named = {part.split(":")[0]: part.split(":", 1)[1].strip() for part in parts[1:] if ":" in part}
    what = [(module.__doc__ or "").strip().split("\n")[0], re.sub(r"^Return the ", "The ", parts[0])]
    keywords = inspect.signature(plugin).parameters.items()
    return Definition(
        name=spec["name"],
        says=" ".join([*what, f"Onset: {named['Onset']}"] if "Onset" in named else what),
        limits=named.get("Limits", ""),
        source=named.get("Source", ""),
        arguments={key: p.default for key, p in keywords if key not in FRAMES} | _arguments(spec),
        uses=sorted({name for one in needs(spec["name"]) for name in one}),
    )


def _arguments(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "name"}


def stated(known: Known) -> bool | None:
    """Say whether an outcome is stated by the data (or a file) and not computed by a rule; None: not known."""
    if known.task.get("labels"):
        return True
    found = definitions(known)
    whole = len(found) == len(known.task.get("complications") or [])
    return any(not one.uses for one in found) if whole and found else None


def definition(known: Known) -> Fact:
    """Say what the outcome is and how far ahead."""
    task = known.task
    says = [_geometry(known)]
    if task.get("labels"):
        return Fact([*says, "The labels are those of a file."], ["manifest.json"])
    found = definitions(known)
    for one in found:
        settings = ", ".join(f"{name} = {value}" for name, value in one.arguments.items())
        says.append(f"{words.complication(one.name)}: {one.says}" + (f" Arguments: {settings}." if settings else ""))
        says += [f"Source: {one.source}"] if one.source else []
    names = [str(spec["name"]) for spec in task.get("complications") or []]
    others = [words.complication(name) for name in names if name not in {one.name for one in found}]
    lacks = f"there is no shipped definition of {words.listed(others)}" if others else ""
    return Fact(says, ["manifest.json", *files(known)], lacks=lacks)


def files(known: Known) -> list[str]:
    """Return the files of the code in which the definitions stand, drawings and tables included."""
    return [f"clinical_lstm/complications/{one.name}.py" for one in definitions(known)]


def horizon(known: Known) -> Fact:
    """Say how far ahead is predicted."""
    return Fact([_geometry(known)], ["manifest.json"])


def _geometry(known: Known) -> str:
    gap = words.duration(known.task.get("gap_hours") or 0)
    hours = words.listed([words.duration(hours) for hours in sorted({hours for _, hours in known.targets})])
    wanted = "A prediction at t is positive when an onset lies in (t + gap, t + gap + horizon]"
    return f"{wanted}; gap {gap}, horizon {hours}."


def assessors(known: Known) -> Fact:
    """Say whether somebody's opinion made the outcome."""
    if stated(known) is False:
        return Fact(exempt="a rule computes the outcome; opinion enters only where a measurement is one (T9c)")
    return Fact()


def blinding(known: Known) -> Fact:
    """Say whether the outcome was judged apart from the predictors."""
    if stated(known) is False:
        return Fact(exempt="a rule computes the outcome; what it shares with the predictors stands in PE3.3")
    return Fact()
