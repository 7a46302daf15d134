"""Hyperkalaemia: potassium at or above a threshold."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import at_least, check_thresholds, episodes_from, measured

NEEDS = [["potassium"]]
MEMORY_HOURS = 0.0


def hyperkalaemia(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    at_or_above_mmol_l: float = 5.5,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of hyperkalaemia.

    ```
        potassium    5.1   5.5   6.2   5.4            met(t) = K(t) >= 5.5 mmol/L
                           |___________|              onset = first that is met, end = first that is not
    ```
    Limits: an abnormal first value is an onset at that value: it was there when first looked for. Haemolysed samples
    count (a source does not tell them). From 6.0 it is moderate, from 6.5 mmol/L severe (ERC): raise the threshold.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        at_or_above_mmol_l: potassium that counts.
        free_hours: episodes less than this apart are one.

    Source: Lott et al., European Resuscitation Council Guidelines 2021: cardiac arrest in special circumstances,
    Resuscitation 161:152-219 (2021), doi 10.1016/j.resuscitation.2021.02.011.
    """
    check_thresholds("hyperkalaemia", at_or_above_mmol_l=at_or_above_mmol_l, free_hours=free_hours)
    judged = measured(observations, "potassium").with_columns(met=at_least("potassium", at_or_above_mmol_l))
    return episodes_from(judged, "hyperkalaemia", free_hours=free_hours)
