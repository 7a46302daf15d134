"""Episodes and a task -> `schemas.Labels`: one row per prediction time and target."""

from __future__ import annotations

import numpy as np
import polars as pl

from clinical_lstm.data.task import Task


def episodes_of(task: Task, stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Return the episodes of the task's complications in one shard, sorted by stay, complication and onset."""
    from clinical_lstm import plugins

    found = [
        plugins.build("complications", spec, stays=stays, observations=observations, given=given) for spec in task.specs
    ]
    return pl.concat(found).sort("stay_id", "complication", "onset_hours")


def predicted(task: Task, hours: np.ndarray) -> np.ndarray:
    """Return which steps (N,) with end times `hours` (N,) are prediction times.

    >>> predicted(Task("t", ["death"], [6.0], every_hours=2.0, min_history_hours=3.0), np.array([1.0, 2, 3, 4]))
    array([False, False, False,  True])
    """
    chosen = hours >= task.min_history_hours - 1e-9
    if task.at_hours is not None:
        return chosen & (np.abs(hours - task.at_hours) < 1e-6)
    if task.every_hours is not None:
        cycles = hours / task.every_hours
        return chosen & (np.abs(cycles - np.round(cycles)) < 1e-6)
    return chosen


def label(task: Task, times: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """Return the labels at `times` (stay_id, hours, length_hours), in their order, the K targets of a time together.

    With n(t) the first onset after t + g and p(t) the last onset at or before t, of end e(t) (of a stay's first
    episode alone, unless `recurrent`):
        label(t)   = n(t) <= t + g + h, or (benchmarks) p(t) <= t <= p(t) + after_onset                              (1)
        at_risk(t) = not (t <= e(t)) and (recurrent or no p(t)) and (label or t + g + h <= length, if censoring)     (2)
    """
    rows = times.with_row_index("row")
    parts = []
    for k, (complication, horizon) in enumerate(task.targets):
        own = episodes.filter(pl.col("complication") == complication).select("stay_id", "onset_hours", "end_hours")
        if not task.recurrent:
            own = own.sort("stay_id", "onset_hours").unique("stay_id", keep="first", maintain_order=True)
        dated = _neighbours(rows, own, task.gap_hours)
        now, reach = pl.col("hours"), pl.col("hours") + task.gap_hours + horizon
        ahead = (pl.col("next_onset") <= reach).fill_null(False)
        after = pl.lit(False)
        if task.after_onset_hours is not None:
            after = (now <= pl.col("last_onset") + task.after_onset_hours).fill_null(False)
        free = (now > pl.col("last_end")).fill_null(True)
        if not task.recurrent:
            free = free & pl.col("last_onset").is_null()
        if task.censoring:
            free = free & (ahead | (reach <= pl.col("length_hours")))
        at_risk = free | after
        parts.append(
            dated.select(
                "row",
                pl.lit(k).alias("target"),
                "stay_id",
                "hours",
                pl.lit(complication).alias("complication"),
                pl.lit(horizon).alias("horizon_hours"),
                ((ahead | after) & at_risk).cast(pl.Int8).alias("label"),
                at_risk.alias("at_risk"),
                after.alias("after_onset"),
            )
        )
    return pl.concat(parts).sort("row", "target").drop("row", "target")


def _neighbours(rows: pl.DataFrame, episodes: pl.DataFrame, gap: float) -> pl.DataFrame:
    """Add next_onset (first onset > t + gap), last_onset (last onset <= t) and last_end."""
    ahead = episodes.select("stay_id", pl.col("onset_hours").alias("next_onset")).sort("next_onset")
    past = episodes.select(
        "stay_id", pl.col("onset_hours").alias("last_onset"), pl.col("end_hours").alias("last_end")
    ).sort("last_onset")
    return (
        rows.with_columns((pl.col("hours") + gap).alias("reach"))
        .sort("reach")
        .join_asof(
            ahead,
            left_on="reach",
            right_on="next_onset",
            by="stay_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("hours")
        .join_asof(
            past, left_on="hours", right_on="last_onset", by="stay_id", strategy="backward", check_sortedness=False
        )
        .sort("row")
    )
