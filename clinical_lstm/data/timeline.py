"""One stay of a cohort as text: its episodes, at-risk spans and labels, hour by hour, for a doubter to check by eye."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from clinical_lstm.artifacts import Cohort
from clinical_lstm.data.task import Task, needs, within
from clinical_lstm.errors import InputError, closest
from clinical_lstm.variables import vocabulary

WIDTH = 72  # prediction times in a line
AROUND_HOURS = (6.0, 2.0)  # measurements shown before and after an onset
LEGEND = (
    "0 1 label   + label 1 after the onset (benchmarks)   not at risk: e inside an episode, a after the first event,\n"
    "c follow-up ends too early, u cannot be judged (nothing that the definition needs was measured)"
)


def timeline(cohort: Cohort, stay_id: str) -> str:
    """Return the timeline of a stay; raises InputError with some ids when there is no such stay."""
    stays = cohort.table("stays.parquet")
    if stay_id not in stays["stay_id"]:
        raise InputError(
            f"there is no stay {stay_id!r} in {cohort.path}: {closest(stay_id, stays['stay_id'].to_list())}"
        )
    stay = stays.row(by_predicate=pl.col("stay_id") == stay_id, named=True)
    task = Task.of(cohort.json("manifest.json")["task"])
    episodes, labels, observations = (_own(cohort, name, stay_id) for name in ("episodes", "labels", "observations"))
    lines = [*_head(stay, task), ""]
    for name in (spec["name"] for spec in task.specs):
        own = episodes.filter(pl.col("complication") == name)
        rows = labels.filter(pl.col("complication") == name)
        lines += [*_episodes(name, own, observations, task), *_strips(rows, own, stay, task), ""]
    return "\n".join([*lines, LEGEND])


def reason(row: dict[str, Any], episodes: list[tuple[float, float]], end: float, task: Task) -> str:
    """Return the letter of one prediction time and target (see LEGEND)."""
    if row["at_risk"]:
        return "+" if row["after_onset"] else str(row["label"])
    begun = [(onset, over) for onset, over in episodes if onset <= row["hours"]]
    if any(row["hours"] <= over for _, over in begun):
        return "e"
    if begun and not task.recurrent:
        return "a"
    return "c" if task.censoring and row["hours"] + task.gap_hours + row["horizon_hours"] > end else "u"


def _own(cohort: Cohort, name: str, stay_id: str) -> pl.DataFrame:
    return pl.scan_parquet(cohort.path / name / "*.parquet").filter(pl.col("stay_id") == stay_id).collect()


def _head(stay: dict[str, Any], task: Task) -> Iterator[str]:
    followed = stay["follow_up_hours"]
    yield f"stay {stay['stay_id']}, patient {stay['patient_id']}, site {stay['site']}, split {stay['split']}"
    yield f"record {stay['start_hours']:g} to {stay['length_hours']:g} h since admission" + (
        f"; what the data set states is known until {followed:g} h" if followed is not None else ""
    )
    if task.labels:
        yield f"task {task.name}: labels of {task.labels}"
        return
    times = f"once, at {task.at_hours:g} h" if task.at_hours else f"every {task.every_hours or task.step_hours:g} h"
    back = "everything since admission" if task.lookback_hours is None else f"the last {task.lookback_hours:g} h"
    yield f"task {task.name}: predicted {times if task.step_hours else 'at every event'}, from {back}"
    yield f"1 <=> an onset in (t + {task.gap_hours:g} h, t + {task.gap_hours:g} h + horizon]"


def _episodes(name: str, episodes: pl.DataFrame, observations: pl.DataFrame, task: Task) -> Iterator[str]:
    """Yield the episodes of a complication and what was measured around the first onset."""
    spans = ", ".join(f"{a:.2f} to {b:.2f} h" for a, b in episodes.select("onset_hours", "end_hours").rows())
    yield f"{name}: {episodes.height or 'no'} episode(s)" + (f": {spans}" if spans else "")
    wanted = sorted({v for one in needs(name) for v in one}) if not task.labels else []
    seen = observations.filter(pl.col("variable").is_in(wanted))
    counts = {v: seen.filter(pl.col("variable") == v).height for v in wanted}
    if wanted:
        yield "  measured: " + ", ".join(f"{v} {n} times" for v, n in counts.items())
    if not episodes.height or not wanted:
        return
    first = episodes["onset_hours"][0]
    near = seen.filter(pl.col("hours").is_between(first - AROUND_HOURS[0], first + AROUND_HOURS[1])).sort("hours")
    for row in near.head(24).iter_rows(named=True):
        mark = "  <- onset" if abs(row["hours"] - first) < 1e-6 else ""
        unit = vocabulary()[row["variable"]].unit
        yield f"  {row['hours']:8.2f} h  {row['variable']:18} {row['value']:g} {unit}{mark}"


def _strips(labels: pl.DataFrame, episodes: pl.DataFrame, stay: dict[str, Any], task: Task) -> Iterator[str]:
    """Yield, for each line of prediction times, a ruler and one strip of letters per horizon."""
    spans = [(a, b) for a, b in episodes.select("onset_hours", "end_hours").rows()]
    stated = not task.labels and not needs(labels["complication"][0]) if labels.height else False
    followed = stay["follow_up_hours"] if stated and stay["follow_up_hours"] is not None else stay["length_hours"]
    times = labels["hours"].unique().sort()
    for begin in range(0, len(times), WIDTH):
        part = times.slice(begin, WIDTH)
        ruler = "".join(f"|{hour:<11g}" if not k % 12 else "" for k, hour in enumerate(part))
        yield f"  {'hour':14}{ruler.rstrip()}"
        for horizon in labels["horizon_hours"].unique().sort():
            rows = labels.filter(pl.col("horizon_hours") == horizon, pl.col("hours").is_in(part.implode())).sort(
                "hours"
            )
            yield f"  {within(horizon):14}" + "".join(
                reason(r, spans, followed, task) for r in rows.iter_rows(named=True)
            )
