"""Which measurements are taken in: the rules of cleaning, one by one, and those that only a stream needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from clinical_lstm.batch import Scaler
from clinical_lstm.streaming.beds import Bed
from clinical_lstm.variables import dynamic_names, static_names, vocabulary

MOST_WAITING = 10_000  # cells of steps not yet closed: a week of hourly values of every variable
FARTHEST_HOURS = 1e9  # a stamp that no stay has
RULES = [
    "unknown_variable",  # no measured variable of the vocabulary
    "unknown_stay",  # not in the ward
    "not_finite",  # value or stamp is no number
    "implausible",  # outside low..high of variables.csv
    "before_admission",  # a negative stamp
    "unused_variable",  # the model of this run has no such input
    "late",  # stamped into a step that has been closed, or before the record
    "too_many_waiting",  # the stay has `MOST_WAITING` cells in open steps: advance it first
]


class Rules:
    """The vocabulary as one model sees it."""

    def __init__(self, scaler: Scaler) -> None:
        self.measured, self.static = (
            {name: (codes.get(name), vocabulary()[name].low, vocabulary()[name].high) for name in names}
            for names, codes in [
                (dynamic_names(), {name: code for code, name in enumerate(scaler.variables)}),
                (static_names(), {name: code for code, name in enumerate(scaler.statics)}),
            ]
        )
        self.n_static = len(scaler.statics)

    def judge(self, admitted: bool, hours: Any, variable: str, value: Any) -> tuple[str | None, int]:
        """Return the first rule that refuses a measurement, whatever has been closed, else None; and its variable."""
        code, low, high = self.measured.get(variable, (-1, 0.0, 0.0))
        if code == -1:
            return "unknown_variable", -1
        if not admitted:
            return "unknown_stay", -1
        if not (_is_number(value) and _is_number(hours) and abs(hours) < FARTHEST_HOURS):
            return "not_finite", -1
        if not low <= value <= high:
            return "implausible", -1
        if hours < 0:
            return "before_admission", -1
        return (None, code) if code is not None else ("unused_variable", -1)

    @staticmethod
    def place(end: float, bed: Bed) -> str | None:
        """Return the rule that refuses a measurement of the step that ends at `end`, else None."""
        if end <= bed.closed:
            return "late"
        return "too_many_waiting" if bed.cells >= MOST_WAITING else None

    def statics(self, given: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, str]]:
        """Return the static variables (S,) in the model's order, NaN where unknown, and name -> rule of the refused."""
        values, refused = np.full(self.n_static, np.nan), {}
        for name, value in given.items():
            code, low, high = self.static.get(name, (-1, 0.0, 0.0))
            if code == -1:
                refused[name] = "unknown_variable"
            elif value is None or (isinstance(value, float) and math.isnan(value)):
                continue
            elif not _is_number(value):
                refused[name] = "not_finite"
            elif not low <= value <= high:
                refused[name] = "implausible"
            elif code is None:
                refused[name] = "unused_variable"
            else:
                values[code] = value
        return values, refused


def _is_number(given: Any) -> bool:
    try:
        return math.isfinite(given)
    except (TypeError, OverflowError):
        return False
