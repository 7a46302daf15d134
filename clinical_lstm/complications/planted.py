"""The event that the synthetic source plants, with a known true risk."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import stated

NEEDS: list[list[str]] = []  # the data set states it
MEMORY_HOURS = 0.0


def planted(stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Return the planted episodes of `sources.synthetic`; for tests of the pipeline, not of medicine."""
    return stated(given, "planted")
