"""Circulatory failure: low pressure, or a drug that keeps it up, with raised lactate."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import (
    at_least,
    at_most,
    check_thresholds,
    episodes_from,
    held,
    mean_pressure,
    measured,
    moments,
    running,
)

_DRUGS = ["norepinephrine", "epinephrine", "dopamine", "dobutamine", "phenylephrine", "vasopressin", "vasopressor"]

NEEDS = [["lactate", state] for state in ("map", "map_noninvasive", *_DRUGS)]
MEMORY_HOURS = 6.5  # a run of 30 minutes whose lactate is 6 hours old when it begins


def circulatory_failure(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    at_or_below_mmhg: float = 65.0,
    lactate_at_or_above_mmol_l: float = 2.0,
    min_minutes: float = 30.0,
    pressure_hours: float = 2.0,
    lactate_hours: float = 6.0,
    cuff_minutes: float = 60.0,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of circulatory failure, assessed at every pressure, lactate and change of a drug.

    ```
        MAP              72     64   62   70   74           a reading holds for pressure_hours
        norepinephrine                 0.1 ............ 0   a rate holds until the next
        lactate          2.4                    1.6         a value holds for lactate_hours
                                |_______________|
        met(t) = (MAP <= 65 mmHg or a vasoactive drug runs) and lactate >= 2.0 mmol/L
    ```
    A drug that was never charted does not run. Unknown pressure or lactate leave t unassessed where they decide. A run
    counts when it lasts `min_minutes` (the source: two thirds of 45 minutes); its neighbours lie at most
    `lactate_hours` apart.

    Limits: an abnormal first pair is an onset at the later of the two: it was there when first looked for. Lactate is
    carried forward, not interpolated as in the source, so that no assessment looks ahead. A run too short to count is
    not known as such while it lasts. See `hypotension` for how arterial and cuff pressures combine.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        at_or_below_mmhg: mean pressure that counts. lactate_at_or_above_mmol_l: lactate that counts.
        min_minutes: how long a run lasts at least.
        pressure_hours, lactate_hours: how long a value holds.
        cuff_minutes: a cuff reading counts where no arterial one was taken in these minutes up to it.
        free_hours: episodes less than this apart are one.

    Source: Hyland et al., Nat Med 26:364-373 (2020), doi 10.1038/s41591-020-0789-4.
    """
    holds = {"pressure_hours": pressure_hours, "lactate_hours": lactate_hours, "free_hours": free_hours}
    values = {"at_or_below_mmhg": at_or_below_mmhg, "lactate_at_or_above_mmol_l": lactate_at_or_above_mmol_l}
    check_thresholds("circulatory_failure", **values, **holds, min_minutes=min_minutes, cuff_minutes=cuff_minutes)
    pressure, drugs = mean_pressure(observations, cuff_minutes), running(observations, _DRUGS)
    lactate = measured(observations, "lactate")
    known = held(moments(pressure, drugs, lactate), pressure, pressure_hours)
    known = held(held(known, drugs), lactate, lactate_hours)
    supported = (pl.col("running") > 0).fill_null(False)
    met = (at_most("map", at_or_below_mmhg) | supported) & at_least("lactate", lactate_at_or_above_mmol_l)
    return episodes_from(
        known.with_columns(met=met),
        "circulatory_failure",
        bridge_hours=lactate_hours,
        min_hours=min_minutes / 60,
        free_hours=free_hours,
    )
