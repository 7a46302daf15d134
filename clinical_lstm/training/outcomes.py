"""Hours to the next onset and hours of follow-up of every prediction time: what a label of one horizon hides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged
from clinical_lstm.data import labels
from clinical_lstm.data.task import Task, needs
from clinical_lstm.errors import InputError

DIGITS = 9  # of an hour: what 4.3 + 6 and 10.3 - 6 differ by is no time


class Outcomes(NamedTuple):
    """What becomes of each of the N steps, per complication (C); hours count from t + gap.

    ```
      t     t+g          onset             end of follow-up
      |------|=============|======================|
             | until_onset |
             |              followed              |
    ```

    Attributes:
        complications: the C names, in the order of the task.
        until_onset: (N, C) hours to the first onset after t + g; inf without any.
        followed: (N, C) hours during which an onset would be known; inf without censoring, negative behind the end.
        free: (N, C) a prediction time outside every episode, of a stay that can be judged, before the first event
            unless the task is recurrent. Benchmark rows after an onset are not free.

    """

    complications: list[str]
    until_onset: np.ndarray
    followed: np.ndarray
    free: np.ndarray


def outcomes(cohort: Cohort, tensors: Ragged) -> Outcomes:
    """Return the outcomes of every step of a cohort; raises InputError where its task only has a file of labels."""
    task = Task.of(cohort.json("manifest.json")["task"])
    if task.labels:
        raise InputError(
            f"cohort {cohort.name} takes its labels from a file, which does not say when an onset was; "
            "trainer.loss=survival and trainer.smoothing need a task with onsets"
        )
    stays, episodes = cohort.table("stays.parquet"), cohort.table("episodes")
    stay = np.repeat(np.arange(stays.height), tensors.lengths)  # (N,)
    asked = cohort.array("asked.npy")
    able = _judged(cohort, task, stays)
    names = list(dict.fromkeys(name for name, _ in task.targets))
    columns = []
    for name in names:
        own = episodes.filter(pl.col("complication") == name)
        until, free = _onsets(task, stays, own, stay, tensors.hours)
        judged = np.ones(stays.height, bool) if name not in able else stays["stay_id"].is_in(able[name].implode())
        followed = _ends(task, stays, stated=name not in able)[stay] - (tensors.hours + task.gap_hours)
        columns.append((until, np.round(followed, DIGITS), free & asked & np.asarray(judged)[stay]))
    return Outcomes(names, *(np.stack(parts, axis=1) for parts in zip(*columns)))


def _onsets(
    task: Task, stays: pl.DataFrame, episodes: pl.DataFrame, stay: np.ndarray, hours: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return hours (N,) from t + gap to the next onset, and which steps (N,) lie outside what `free` excludes."""
    index = stays.select("stay_id").with_row_index("stay")
    own = episodes.join(index, on="stay_id", how="inner").sort("stay", "onset_hours")
    if not task.recurrent:
        own = own.unique("stay", keep="first", maintain_order=True)
    at, onset, end = (own[name].to_numpy() for name in ("stay", "onset_hours", "end_hours"))
    begin = np.searchsorted(at, stay)  # the episodes of a step's stay are begin .. after
    after = np.searchsorted(at, stay, side="right")
    onset, end = np.append(onset, np.inf), np.append(end, -np.inf)
    reach, following, past = hours + task.gap_hours, begin.copy(), begin.copy()
    for _ in range(int((after - begin).max(initial=0))):  # no stay has many episodes
        following += (following < after) & (onset[following] <= reach)
        past += (past < after) & (onset[past] <= hours)
    until = np.where(following < after, onset[following], np.inf) - reach
    begun = past > begin
    ended = hours > np.where(begun, end[np.maximum(past - 1, 0)], -np.inf)
    return np.round(until, DIGITS), ended & (task.recurrent | ~begun)


def _ends(task: Task, stays: pl.DataFrame, stated: bool) -> np.ndarray:
    """Return until which hour (stays,) an onset is known; inf where the task says that no onset means none."""
    if not task.censoring:
        return np.full(stays.height, np.inf)
    known = pl.coalesce("follow_up_hours", "length_hours") if stated else pl.col("length_hours")
    return stays.select(known).to_series().to_numpy()


def _judged(cohort: Cohort, task: Task, stays: pl.DataFrame) -> dict[str, pl.Series]:
    """Return, per complication that is measured, the ids of the stays that can be judged (`labels.judged`)."""
    names = sorted({name for spec in task.specs for one in needs(spec["name"]) for name in one})
    if not names:
        return {}
    shards = pl.scan_parquet(str(cohort.path / "observations" / "*.parquet"))
    seen = shards.filter(pl.col("variable").is_in(names)).select("stay_id", "variable").unique().collect()
    return labels.judged(task, stays, seen)
