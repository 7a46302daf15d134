"""How the threshold of a single row is chosen: from which risk on to call it positive."""

from __future__ import annotations

import numpy as np

from clinical_lstm.errors import InputError, closest
from clinical_lstm.metrics.discrimination import best_min_se_ppv, youden_threshold
from clinical_lstm.metrics.utility import best_threshold, fitted_threshold

RULES = ["youden", "cinc2019", "cinc2019_fitted", "min_se_ppv"]


def chosen_threshold(rule: str, label: np.ndarray, risk: np.ndarray, gain: np.ndarray) -> float:
    """Return the threshold that is best by a rule.

        youden: sensitivity + specificity       cinc2019: the sum of gains       min_se_ppv: min(sensitivity, PPV)
        cinc2019_fitted: where a fit says that an alarm gains nothing (`utility.fitted_threshold`)

    `gain` (N,) is what an alarm adds to the challenge utility; only the rules named after it read it. `min_se_ppv` is
    event 1 of the PhysioNet Challenge 2012. Raises InputError on another rule.

    >>> label, risk = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.4, 0.8])
    >>> chosen_threshold("youden", label, risk, np.zeros(4))
    0.4
    """
    require_rule(rule)
    if rule == "cinc2019":
        return best_threshold(risk, gain)
    if rule == "cinc2019_fitted":
        return fitted_threshold(risk, gain)
    return best_min_se_ppv(label, risk)[1] if rule == "min_se_ppv" else youden_threshold(label, risk)


def require_rule(rule: str) -> None:
    """Raise InputError unless the rule exists."""
    if rule not in RULES:
        raise InputError(f"there is no threshold rule {rule!r}: {closest(rule, RULES)}")
