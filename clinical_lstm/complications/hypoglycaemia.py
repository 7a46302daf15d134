"""Hypoglycaemia: glucose below a threshold."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import below, check_thresholds, episodes_from, measured

NEEDS = [["glucose"]]
MEMORY_HOURS = 0.0


def hypoglycaemia(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    below_mg_dl: float = 70.0,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of hypoglycaemia.

    ```
        glucose     110    70    62    95             met(t) = glucose(t) < 70 mg/dL (3.9 mmol/L)
                                 |_____|              onset = first that is met, end = first that is not
    ```
    Limits: an abnormal first value is an onset at that value: it was there when first looked for. 70 itself does not
    count (it does in the alert value of the International Hypoglycaemia Study Group, "70 or less"). Bedside meters read
    several mg/dL off. Below 54 mg/dL (3.0 mmol/L) it is clinically important: lower the threshold.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        below_mg_dl: glucose under which a value counts.
        free_hours: episodes less than this apart are one.

    Source: International Hypoglycaemia Study Group, Diabetes Care 40:155-157 (2017), doi 10.2337/dc16-2215;
    level 1 as "< 70": Agiostratidou et al., Diabetes Care 40:1622-1630 (2017), doi 10.2337/dc17-1624.
    """
    check_thresholds("hypoglycaemia", below_mg_dl=below_mg_dl, free_hours=free_hours)
    judged = measured(observations, "glucose").with_columns(met=below("glucose", below_mg_dl))
    return episodes_from(judged, "hypoglycaemia", free_hours=free_hours)
