"""How the threshold of a single row is chosen: from which risk on to call it positive."""

from __future__ import annotations

import numpy as np

from clinical_lstm.errors import InputError, closest
from clinical_lstm.metrics.discrimination import youden_threshold
from clinical_lstm.metrics.utility import best_threshold

RULES = ["youden", "cinc2019"]


def chosen_threshold(rule: str, label: np.ndarray, risk: np.ndarray, gain: np.ndarray) -> float:
    """Return the threshold with the best sensitivity + specificity (`youden`), or the best sum of gains (`cinc2019`).

    `gain` (N,) is what an alarm adds to the challenge utility; `youden` does not read it. Raises InputError on another
    rule.

    >>> label, risk = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.4, 0.8])
    >>> chosen_threshold("youden", label, risk, np.zeros(4))
    0.4
    """
    require_rule(rule)
    return float(best_threshold(risk, gain) if rule == "cinc2019" else youden_threshold(label, risk))


def require_rule(rule: str) -> None:
    """Raise InputError unless the rule exists."""
    if rule not in RULES:
        raise InputError(f"there is no threshold rule {rule!r}: {closest(rule, RULES)}")
