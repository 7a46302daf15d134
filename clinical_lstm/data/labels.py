"""Episodes and a task -> `schemas.Labels`: one row per prediction time and target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import plugins, schemas
from clinical_lstm.data.external import external_labels
from clinical_lstm.data.task import Task, needs

ORDER = ["stay_id", "hours"]
EVENTS = ["antibiotic", "culture"]


class Outcome(NamedTuple):
    """What a task says of one shard.

    Attributes:
        episodes: `schemas.Episodes`. labels: `schemas.Labels` of the prediction times.
        judged: per complication that is measured, the ids of the stays that can be judged.
        asked: (N,) bool, which steps are prediction times.
        external: what became of the labels of a file (`external_labels`).

    """

    episodes: pl.DataFrame
    labels: pl.DataFrame
    judged: dict[str, pl.Series]
    asked: np.ndarray
    external: Mapping[str, int] = MappingProxyType({})


def outcome(
    task: Task, stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame, times: pl.DataFrame
) -> Outcome:
    """Return the episodes and labels of one shard; `times` are the ends of all its steps (`tensors.step_times`)."""
    if task.labels:
        [(complication, horizon)] = task.targets
        rows, counts = external_labels(Path(task.labels), stays, times, complication, horizon)
        known = times.join(rows, on=ORDER, how="left", maintain_order="left")["label"].is_not_null()
        return Outcome(schemas.empty(schemas.Episodes), rows, {}, known.to_numpy(), counts)
    episodes, able = episodes_of(task, stays, observations, given), judged(task, stays, observations)
    asked = predicted(task, times["hours"].to_numpy())
    return Outcome(episodes, label(task, times.filter(pl.Series(asked)), episodes, able), able, asked)


def unknown(task: Task, times: pl.DataFrame) -> Outcome:
    """Return the prediction times of data of which no outcome is known: labels null, all at risk."""
    asked = predicted(task, times["hours"].to_numpy())
    episodes = schemas.empty(schemas.Episodes)
    rows = label(task, times.filter(pl.Series(asked)), episodes)
    nothing = [pl.lit(None, pl.Float64).alias(name) for name in ("onset_hours", "follow_up_hours")]
    rows = rows.with_columns(pl.lit(None, pl.Int8).alias("label"), pl.lit(True).alias("at_risk"), *nothing)
    return Outcome(episodes, rows, {}, asked)


def episodes_of(task: Task, stays: pl.DataFrame, observations: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Return the episodes of the task's complications in one shard, sorted by stay, complication and onset."""
    found = [
        plugins.build("complications", spec, stays=stays, observations=observations, given=given) for spec in task.specs
    ]
    return pl.concat(found).sort("stay_id", "complication", "onset_hours")


def judged(task: Task, stays: pl.DataFrame, observations: pl.DataFrame) -> dict[str, pl.Series]:
    """Return, per complication that is measured, the ids of the stays that can be judged.

    A stay can be judged where every variable of one of the sets that the definition needs was observed, or is known of
    it at admission. Events (antibiotics, cultures) need none: without one, there was none.
    """
    wanted = {c: [[v for v in one if v not in EVENTS] for one in needs(c)] for c in (s["name"] for s in task.specs)}
    names = sorted({name for sets in wanted.values() for one in sets for name in one})
    seen = observations.filter(pl.col("variable").is_in(names)).group_by("variable").agg(pl.col("stay_id").unique())
    has = {name: set(ids) for name, ids in seen.rows()}
    at_admission = {name: set(stays.filter(pl.col(name).is_not_null())["stay_id"]) for name in names if name in stays}
    has = {name: has.get(name, set()) | at_admission.get(name, set()) for name in names}
    found = {}
    for complication, sets in wanted.items():
        if sets:
            able = set.union(*(set.intersection(*(has[name] for name in one)) for one in sets))
            found[complication] = pl.Series("stay_id", sorted(able), pl.String)
    return found


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


def label(
    task: Task, times: pl.DataFrame, episodes: pl.DataFrame, judged: Mapping[str, pl.Series] | None = None
) -> pl.DataFrame:
    """Return the labels at `times`, in their order, the K targets of a time together.

    With n(t) the first onset after t + g and p(t) the last onset at or before t, of end e(t) (of a stay's first
    episode alone, unless `recurrent`):
        label(t)   = n(t) <= t + g + h, or (benchmarks) p(t) <= t <= p(t) + after_onset                              (1)
        at_risk(t) = not (t <= e(t)) and (recurrent or no p(t)) and (label or t + g + h <= end, if censoring)        (2)

    Args:
        times: stay_id, hours, length_hours, follow_up_hours (see `tensors.step_times`).
        judged: per complication that is measured, the stays that can be judged; no other stay is at risk of it. Its
            follow-up ends with the record (`length_hours`), that of others with `follow_up_hours`.

    """
    rows, judged = times.with_row_index("row"), judged or {}
    parts = []
    for k, (complication, horizon) in enumerate(task.targets):
        own = episodes.filter(pl.col("complication") == complication).select("stay_id", "onset_hours", "end_hours")
        if not task.recurrent:
            own = own.sort("stay_id", "onset_hours").unique("stay_id", keep="first", maintain_order=True)
        dated = _neighbours(rows, own, task.gap_hours)
        ahead = (pl.col("next_onset") <= pl.col("hours") + task.gap_hours + horizon).fill_null(False)
        after = pl.lit(False)
        if task.after_onset_hours is not None:
            after = (pl.col("hours") <= pl.col("last_onset") + task.after_onset_hours).fill_null(False)
        observed = _observed(task, judged.get(complication))
        at_risk = (observed & _known(task, horizon, ahead, complication in judged)) | after
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
                pl.when(after).then("last_onset").otherwise("next_onset").alias("onset_hours"),
                pl.when(observed).then(_follow_up(complication in judged)).alias("follow_up_hours"),
            )
        )
    return pl.concat(parts).sort("row", "target").drop("row", "target")


def _observed(task: Task, judged: pl.Series | None) -> pl.Expr:
    """Return whether an onset is waited for: outside episodes, before the first one unless `recurrent`, judgeable."""
    free = (pl.col("hours") > pl.col("last_end")).fill_null(True)
    if not task.recurrent:
        free = free & pl.col("last_onset").is_null()
    return free if judged is None else free & pl.col("stay_id").is_in(judged.implode())


def _known(task: Task, horizon: float, ahead: pl.Expr, measured: bool) -> pl.Expr:
    """Return whether the label is known, and known whatever it is: the rest of (2)."""
    reach, known = pl.col("hours") + task.gap_hours + horizon, pl.lit(True)
    if task.censoring:
        known = known & (ahead | (reach <= _follow_up(measured)))
    if task.whole_horizon and measured:
        known = known & (reach <= pl.col("length_hours"))
    return known


def _follow_up(measured: bool) -> pl.Expr:
    """Return until when an onset would be known: of what is measured, until the end of the record."""
    return pl.col("length_hours") if measured else pl.coalesce("follow_up_hours", "length_hours")


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
