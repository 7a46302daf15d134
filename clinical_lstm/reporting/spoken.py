"""The chart of a stay in words, for those who cannot see it."""

from __future__ import annotations

from clinical_lstm.reporting import words
from clinical_lstm.reporting.stays import Card

MOST_ALARMS = 6


def spoken(card: Card) -> str:
    """Return what the chart of a stay shows: course of the risk, thresholds, alarms, onset, lanes, contributions."""
    parts = [_course(card), *_levels(card), _alarms(card)]
    onsets = [words.duration(onset) for onset in card.onsets if onset <= card.end]
    parts.append(f"Onset at {words.listed(onsets)}." if onsets else "No onset.")
    if card.lanes:
        parts.append(f"Below, the measurements of {_names([lane.variable for lane in card.lanes])}.")
    if card.cells:
        parts.append(f"Last, the contributions over time of {_names(card.rows)}; a table of them follows.")
    return " ".join(parts)


def _course(card: Card) -> str:
    target = f"{card.target[:1].lower()}{card.target[1:]}"
    if not card.risks:
        return f"{card.title}: no course of the risk of {target}."
    (first, _), (last, _) = card.risks[0], card.risks[-1]
    least, most = (pick(card.risks, key=lambda one: one[1]) for pick in (min, max))
    return (
        f"{card.title}: the risk of {target} from {words.duration(first)} to {words.duration(last)} after admission, "
        f"lowest {words.percent(least[1])} at {words.duration(least[0])}, highest {words.percent(most[1])} at "
        f"{words.duration(most[0])}; {words.percent(card.risk)} at {words.duration(card.now)}, the explained time."
    )


def _levels(card: Card) -> list[str]:
    rings = card.ringing.threshold if card.ringing else None
    levels = [("Threshold", card.threshold), ("The alarm policy rings from", rings)]
    return [f"{name} {words.percent(risk)}." for name, risk in levels if risk is not None]


def _alarms(card: Card) -> str:
    if card.ringing is None:
        return "The run has no alarm policy."
    hours = [words.duration(at) for at, _ in card.ringing.alarms]
    if not hours:
        return "No alarm."
    more = f" and {len(hours) - MOST_ALARMS} more" if len(hours) > MOST_ALARMS else ""
    some = ", ".join(hours[:MOST_ALARMS]) + more if more else words.listed(hours)
    return f"{len(hours)} alarm{'s' if len(hours) > 1 else ''} at {some}."


def _names(variables: list[str]) -> str:
    return words.listed([words.label(name) for name in variables])
