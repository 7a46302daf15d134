"""Death in hospital, as the data set states it."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import stated

NEEDS: list[list[str]] = []  # the data set states it
MEMORY_HOURS = 0.0


def death(stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Return the deaths, one per stay at most; onset = end = time of death.

    Limits: in PhysioNet 2012 the time is known by day only, and lies after the 48-hour record.
    Source: Silva et al., Comput Cardiol 39:245-248 (2012).
    """
    return stated(given, "death")
