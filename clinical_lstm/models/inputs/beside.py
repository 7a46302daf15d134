"""What is remembered beside a model's own state, as one streaming state."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any


@cache
def _kind(own: Any, others: tuple[tuple[str, Any], ...]) -> Any:
    """Return the state class `own` with the fields of the `others` behind its own, each under its name."""
    fields = [*own._fields, *(f"{name}_{field}" for name, kind in others for field in kind._fields)]
    name = f"{own.__name__}And{''.join(kind.__name__ for _, kind in others)}"
    return type(name, (namedtuple(name, fields),), {"own": own, "others": others, "__slots__": ()})  # type: ignore[misc]


def together(own: Any, **others: Any) -> Any:
    """Return one streaming state of a model's own state and the named `others`; those that are None are left out."""
    kept = {name: state for name, state in others.items() if state is not None}
    if not kept:
        return own
    kind = _kind(own.__class__, tuple((name, state.__class__) for name, state in kept.items()))
    return kind(*own, *(part for state in kept.values() for part in state))


def apart(state: Any) -> tuple[Any, dict[str, Any]]:
    """Return the model's own state, and the others by name, of a state made by `together`."""
    kind = type(state)
    if not hasattr(kind, "others"):
        return state, {}
    parts = iter(state)
    own = kind.own(*(next(parts) for _ in kind.own._fields))
    return own, {name: other(*(next(parts) for _ in other._fields)) for name, other in kind.others}
