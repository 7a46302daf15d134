"""The tables of what was done: splits, coverage of the variables, settings; as text in rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clinical_lstm.reporting import words
from clinical_lstm.variables import Variable, vocabulary


def splits(cohort: Mapping[str, Any]) -> list[list[str]]:
    """Return the splits by target: split, target, stays, patients, rows at risk, positives with their share, events."""
    rows = []
    for name in ["train", "val", "calib", "test"]:
        whole = cohort.get("splits", {}).get(name)
        for counts in (whole.get("targets") or [whole]) if whole else []:
            of = words.target(counts["complication"], counts["horizon_hours"]) if "complication" in counts else "all"
            share = counts["positives"] / counts["rows"] if counts["rows"] else None
            positives = f"{words.count(counts['positives'])} ({words.percent(share)})"
            sizes = [words.count(whole["stays"]), words.count(whole["patients"]), words.count(counts["rows"])]
            rows.append([name, of, *sizes, positives, words.count(counts["events"])])
    return rows


def coverage(cohort: Mapping[str, Any], variables: list[str]) -> list[dict[str, Any]]:
    """Return the variables with unit, ranges and how often they are measured, in the model's order."""
    found = cohort.get("coverage", {})
    rows = []
    for name in [*variables, *sorted(set(found) - set(variables))]:
        known, facts = vocabulary().get(name), found.get(name, {})
        rows.append(
            {
                "label": words.label(name),
                "unit": words.unit(name),
                "plausible": _plausible(known),
                "normal": words.reference(known),
                "observations": words.count(facts.get("observations")),
                "stays": facts.get("stays_share"),
                "steps": facts.get("steps_share"),
            }
        )
    return rows


def policies(alarms: list[dict[str, Any]]) -> list[list[str]]:
    """Return the alarm policy of each target in words: target, when an alarm rings, how that was chosen.

    >>> policy = {"threshold": 0.05, "silence_hours": 6.0, "reset_hours": 0.0, "budget": 0.5, "chosen_on": "val"}
    >>> for text in policies([{"complication": "sepsis", "horizon_hours": 6.0, **policy}])[0]:
    ...     print(text.replace("\xa0", " "))
    Sepsis within 6 h
    at a risk of 5 % or more, then none for 6 h
    most events within 0.5 false alarms per patient-day, val
    """
    return [
        [
            words.target(one["complication"], one["horizon_hours"]),
            _rings(one),
            f"most events within {words.number(one['budget'])} false alarms per patient-day, {one['chosen_on']}",
        ]
        for one in alarms
    ]


def _rings(policy: Mapping[str, Any]) -> str:
    """Return when an alarm rings; a threshold of 1 or more is that of a policy that never does."""
    if policy["threshold"] >= 1:
        return "never: no threshold keeps within the budget"
    parts = [f"at a risk of {words.percent(policy['threshold'])} or more"]
    parts += [f"then none for {words.duration(policy['silence_hours'])}"] if policy["silence_hours"] else []
    parts += [f"none for {words.duration(policy['reset_hours'])} after an episode"] if policy["reset_hours"] else []
    return ", ".join(parts)


def settings(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return settings as (name, text); nested ones get dotted names.

    >>> settings({"lr": 0.001, "loss": {"name": "bce"}, "monotone": True})
    [('loss.name', 'bce'), ('lr', '0.001'), ('monotone', 'yes')]
    """
    rows: list[tuple[str, str]] = []
    for key in sorted(content):
        value = content[key]
        if isinstance(value, Mapping):
            rows += settings(value, f"{prefix}{key}.")
        elif isinstance(value, bool) or value is None:
            rows.append((prefix + key, "none" if value is None else "yes" if value else "no"))
        else:
            rows.append((prefix + key, value if isinstance(value, str) else json.dumps(value)))
    return rows


def _plausible(variable: Variable | None) -> str:
    if variable is None:
        return ""
    return "no or yes" if variable.unit == "0/1" else words.interval(variable.low, variable.high)
