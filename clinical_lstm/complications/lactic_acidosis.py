"""Lactic acidosis: high lactate with a low pH close by."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import at_least, at_most, check_thresholds, episodes_from, held, measured, moments

NEEDS = [["lactate", "ph"]]
MEMORY_HOURS = 2.0


def lactic_acidosis(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    lactate_at_or_above_mmol_l: float = 4.0,
    ph_at_or_below: float = 7.35,
    within_hours: float = 2.0,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of lactic acidosis, assessed at every lactate and every pH.

    ```
        lactate   5.0 ..... 5.2 .....          a value holds for within_hours
        pH             7.31 ..... 7.40
                       |__________|            met(t) = lactate >= 4.0 mmol/L and pH <= 7.35
    ```
    Where the other of the two is unknown, a normal one settles that t is not met; a high lactate or a low pH alone
    settles nothing.

    Limits: an abnormal first pair is an onset at the later of the two: it was there when first looked for. The pH may
    be low for another reason (carbon dioxide), or kept up by treatment. The source speaks of a lactate above 4.0; here
    4.0 counts.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        lactate_at_or_above_mmol_l: lactate that counts. ph_at_or_below: pH that counts.
        within_hours: how old the other of the two may be.
        free_hours: episodes less than this apart are one.

    Source: Kraut and Madias, N Engl J Med 371:2309-2319 (2014), doi 10.1056/NEJMra1309483.
    """
    thresholds = {"lactate_at_or_above_mmol_l": lactate_at_or_above_mmol_l, "ph_at_or_below": ph_at_or_below}
    check_thresholds("lactic_acidosis", **thresholds, within_hours=within_hours, free_hours=free_hours)
    lactate, ph = measured(observations, "lactate"), measured(observations, "ph")
    known = held(held(moments(lactate, ph), lactate, within_hours), ph, within_hours)
    met = at_least("lactate", lactate_at_or_above_mmol_l) & at_most("ph", ph_at_or_below)
    return episodes_from(known.with_columns(met=met), "lactic_acidosis", free_hours=free_hours)
