"""What the complications share. A complication is a function (stays, observations, given) -> `schemas.Episodes`."""

from __future__ import annotations

import polars as pl


def stated(given: pl.DataFrame, complication: str) -> pl.DataFrame:
    """Return the episodes of `complication` that the data set itself states.

    >>> given = pl.DataFrame({"stay_id": ["a"], "complication": ["death"], "onset_hours": [50.0], "end_hours": [50.0]})
    >>> stated(given, "sepsis_label").height
    0
    """
    return given.filter(pl.col("complication") == complication)
