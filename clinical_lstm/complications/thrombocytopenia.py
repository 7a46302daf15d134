"""Thrombocytopenia: platelets below a threshold."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import below, check_thresholds, episodes_from, measured

NEEDS = [["platelets"]]
MEMORY_HOURS = 0.0


def thrombocytopenia(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    below_10e9_l: float = 100.0,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of thrombocytopenia.

    ```
        platelets   140   100    96    104            met(t) = platelets(t) < 100 x 10^9/L
                                 |_____|              onset = first that is met, end = first that is not
    ```
    Limits: an abnormal first value is an onset at that value: it was there when first looked for, often since before
    admission. A transfusion can end an episode. Studies in intensive care use < 150, < 100 and < 50; the relative fall
    (by half, as in heparin-induced thrombocytopenia) is not looked at.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        below_10e9_l: platelets under which a count counts.
        free_hours: episodes less than this apart are one.

    Source: Hui et al., Chest 139:271-278 (2011), doi 10.1378/chest.10-2243.
    """
    check_thresholds("thrombocytopenia", below_10e9_l=below_10e9_l, free_hours=free_hours)
    judged = measured(observations, "platelets").with_columns(met=below("platelets", below_10e9_l))
    return episodes_from(judged, "thrombocytopenia", free_hours=free_hours)
