"""What a check hands back: a verdict, the rule behind it, a sentence, and the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

Verdict = dict[str, Any]
DIGITS = 4


def verdict(passed: bool | None, rule: str, finding: str, **numbers: Any) -> Verdict:
    """Return a check's result, fit for JSON: numbers with 4 digits, what is not finite as None.

    `passed` is None where the rule cannot be applied: there was nothing to judge.

    >>> found = verdict(True, "gap < 0.01", "The gap is 0.002.", gap=0.00204083, least=float("nan"))
    >>> found["gap"], found["least"]
    (0.002041, None)
    """
    return {"passed": passed, "rule": rule, "finding": finding} | {k: _plain(value) for k, value in numbers.items()}


def undecided(rule: str, why: str, **numbers: Any) -> Verdict:
    """Return the result of a check that had nothing to judge."""
    return verdict(None, rule, f"Not judged: {why}.", **numbers)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value
