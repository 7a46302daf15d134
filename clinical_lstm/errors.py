"""The one exception that a user is meant to see: what is wrong, where, how many, what to do."""

from __future__ import annotations

MANY, FEW = 120, 10  # names: more than a screen, and how many are shown then


class InputError(Exception):
    """A fault in what the user gave: data, path, configuration or run directory.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


def closest(name: str, known: list[str]) -> str:
    """Return the advice for a mistyped name: the closest known one, and all that exist (of very many, the first few).

    >>> closest("lstn", ["gru", "lstm"])
    "did you mean 'lstm'? There are: gru, lstm"
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(sorted(known)) or "none"
    if len(known) > MANY:
        listed = f"{', '.join(sorted(known)[:FEW])}, ... ({len(known):,} in all)"
    return f"did you mean {near[0]!r}? There are: {listed}" if near else f"there are: {listed}"
