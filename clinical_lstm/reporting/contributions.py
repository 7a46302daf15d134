"""What single variables contribute to a logit, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

from clinical_lstm.reporting import words
from clinical_lstm.reporting.cells import Cells, Channels, ranked, summed

Measurements = dict[str, list[tuple[float, float]]]  # variable -> (hours, value) in time order


@dataclass(frozen=True)
class Driver:
    """One variable's whole contribution to the logit, in words."""

    sentence: str
    through: str
    contribution: float

    @property
    def direction(self) -> str:
        """Whether it raises or lowers the risk."""
        return "raises" if self.contribution > 0 else "lowers"

    @property
    def odds(self) -> str:
        """The contribution as a factor on the odds."""
        return f"odds × {words.number(exp(self.contribution))}"


def drivers(cells: Cells, measurements: Measurements, static: Mapping[str, Any], now: float, most: int) -> list[Driver]:
    """Return up to `most` variables of the largest contributions, in words that know nothing from after `now`."""
    total, _, sizes = summed(cells)
    return [
        _driver(name, total[name], sizes[name], measurements.get(name, []), static, now)
        for name in ranked(total)[:most]
        if total[name] != 0
    ]


def _driver(
    variable: str,
    contribution: float,
    channels: dict[str, float],
    points: list[tuple[float, float]],
    static: Mapping[str, Any],
    now: float,
) -> Driver:
    main = max(sorted(channels), key=lambda channel: channels[channel])
    if main == "static":
        return Driver(words.static(variable, static.get(variable)), "", contribution)
    past = [point for point in points if point[0] <= now]
    return Driver(words.measured(variable, past, now), words.THROUGH[main], contribution)


def table(total: dict[str, float], by_channel: Channels) -> list[list[str]]:
    """Return every variable that contributes: its label, its contribution, and its parts by channel, in logits.

    >>> table({"map": 0.75}, {"map": {"value": 0.25, "mask": 0.5}})
    [['Mean arterial pressure', '+0.750', '+0.250', '+0.500', '–', '–']]
    """
    return [
        [words.label(name), words.decimals(total[name], 3, True)]
        + [words.decimals(by_channel[name].get(channel), 3, True) for channel in words.CHANNELS]
        for name in ranked(total)
        if any(by_channel[name].values())
    ]
