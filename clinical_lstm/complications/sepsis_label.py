"""Sepsis as the data set labels it (PhysioNet/CinC 2019: Sepsis-3 onset)."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import stated

NEEDS: list[list[str]] = []  # the data set states it
MEMORY_HOURS = 0.0


def sepsis_label(stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Return the labelled sepsis episodes, one per stay at most.

    ```
      SepsisLabel   0 0 0 0 1 1 1 1 1 1 1 1 1 1
                            |           |     |
                        onset - 6     onset  onset + 3 = end of the record
    ```
    Onset: the earlier of suspected infection and a SOFA rise >= 2 within the organisers' windows; the label column is 1
    from 6 h before it. Limits: a record labelled from its first row may have had its onset less than 6 h after it.

    Source: Reyna et al., Crit Care Med 48(2):210-217 (2020), doi 10.1097/CCM.0000000000004145.
    """
    return stated(given, "sepsis_label")
