"""What the cohort's manifest counts, and the gate that refuses a cohort nothing can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.batch import Ragged
from clinical_lstm.data.labels import Outcome
from clinical_lstm.data.task import Task, needs, within
from clinical_lstm.errors import InputError
from clinical_lstm.schemas import SPLITS
from clinical_lstm.variables import dynamic_names

_TARGET = ["complication", "horizon_hours"]
_COUNTS = ["rows", "positives", "positives_after_onset"]


def stay_counts(labels: pl.DataFrame) -> pl.DataFrame:
    """Return, per stay and target, the rows at risk, the positives, and those of them after an onset."""
    counts = [pl.col("at_risk").sum(), (pl.col("label") == 1).sum(), pl.col("after_onset").sum()]
    named = [count.cast(pl.Int64).alias(name) for count, name in zip(counts, _COUNTS)]
    return labels.group_by("stay_id", *_TARGET).agg(named).sort("stay_id", *_TARGET)


def split_counts(per_stay: pl.DataFrame, stays: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return per split: stays, patients, and per target rows at risk, positives, events (stays with a positive).

    `prevalence` is positives / rows; `positives_after_onset` counts the rows that a benchmark keeps after the onset (0
    for onset tasks).

    Args:
        per_stay: `stay_counts` of all stays.

    """
    per_target = (
        per_stay.join(stays.select("stay_id", "split"), on="stay_id")
        .group_by("split", *_TARGET)
        .agg(pl.col(_COUNTS).sum(), (pl.col("positives") > 0).sum().cast(pl.Int64).alias("events"))
        .with_columns((pl.col("positives") / pl.col("rows")).fill_nan(0.0).alias("prevalence"))
        .sort("split", *_TARGET)
    )
    counts: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        own = stays.filter(pl.col("split") == split)
        targets = [row for row in per_target.iter_rows(named=True) if row.pop("split") == split]
        counts[split] = {"stays": own.height, "patients": own["patient_id"].n_unique(), "targets": targets} | {
            name: sum(int(target[name]) for target in targets) for name in ("rows", "positives", "events")
        }
    return counts


def hour_counts(labels: pl.DataFrame) -> pl.DataFrame:
    """Return, per target and whole hour since admission, the rows at risk and the positives."""
    at_risk = labels.filter("at_risk", ~pl.col("after_onset")).with_columns(pl.col("hours").floor())
    counts = [pl.len().cast(pl.Int64).alias("rows"), (pl.col("label") == 1).sum().cast(pl.Int64).alias("positives")]
    return at_risk.group_by(*_TARGET, "hours").agg(counts).sort(*_TARGET, "hours")


def one_sided(per_hour: pl.DataFrame, least: int = 20) -> list[dict[str, Any]]:
    """Return the targets with hours at which ALL rows at risk are positive (`least` or more of them): hours, rows.

    There the label is known only if it is 1, as behind the last whole horizon of a record that a clock cuts: a model
    that reads the clock would shine.
    """
    total = per_hour.group_by(*_TARGET, "hours").agg(pl.col("rows", "positives").sum())
    sure = total.filter(pl.col("rows") >= least, pl.col("rows") == pl.col("positives"))
    counts = sure.group_by(_TARGET).agg(pl.len().alias("hours"), pl.col("rows").sum())
    return counts.sort(_TARGET).to_dicts()


def found(task: Task, outcome: Outcome, stays: pl.DataFrame) -> pl.DataFrame:
    """Return, per complication of a shard: stays that can be judged, stays with an onset (or label 1), and episodes."""
    positive = outcome.labels.filter(pl.col("label") == 1).unique("stay_id")
    known = positive if task.labels else outcome.episodes
    per_name = {name: own for (name,), own in known.group_by("complication")}
    rows = []
    for name in (spec["name"] for spec in task.specs):
        own = per_name.get(name, known.clear())
        able = len(outcome.judged[name]) if name in outcome.judged else stays.height
        rows.append((name, able, own["stay_id"].n_unique(), own.height))
    return pl.DataFrame(rows, schema=["complication", *_FOUND], orient="row")


_FOUND = ["stays_judged", "stays_with_onset", "episodes"]


def complications(found: pl.DataFrame, stays: int) -> list[dict[str, Any]]:
    """Return what was found of each complication in all shards; `share` = stays with an onset / stays judged."""
    total = found.group_by("complication", maintain_order=True).agg(pl.col(_FOUND).sum())
    share = (pl.col("stays_with_onset") / pl.col("stays_judged")).fill_nan(0.0)
    return total.with_columns(pl.lit(stays).alias("stays"), share.round(4).alias("share")).to_dicts()


def refuse_unmeasured(task: Task, variables: Sequence[str]) -> None:
    """Raise InputError when the source measures nothing that a complication's definition needs."""
    for name in (spec["name"] for spec in task.specs if not task.labels):
        sets = [set(one) for one in needs(name)]
        if sets and not any(one & set(dynamic_names()) <= set(variables) for one in sets):
            wanted = ", or ".join(" with ".join(sorted(one)) for one in sets)
            raise InputError(f"{name} needs {wanted}; the source measures none of these: leave it out of the task")


def refuse_unlabelled(task: Task, labelled: bool) -> None:
    """Raise InputError where "no stated episode" does not mean "no event"."""
    stated = [spec["name"] for spec in task.specs if not task.labels and not needs(spec["name"])]
    if stated and not labelled:
        raise InputError(
            f"the source states no outcomes, so {', '.join(stated)} cannot be learnt from it; use complications that "
            "are derived from measurements, or clinical-lstm predict"
        )


def refuse_unused(task: Task, external: Mapping[str, int]) -> None:
    """Raise InputError when no label of a file is of a step of a stay."""
    if task.labels and not external.get("used"):
        said = ", ".join(f"{count} {what}" for what, count in external.items() if count) or "no patient is known"
        raise InputError(f"no label of {task.labels} is of a step of a stay of this data: {said}")


def refuse_degenerate(counts: Mapping[str, Mapping[str, Any]], min_events: int = 1) -> None:
    """Raise InputError when a split lacks a class of a target, or events: nothing could be trained, tuned or judged."""
    listed = {(t["complication"], t["horizon_hours"]) for split in counts.values() for t in split["targets"]}
    faults = []
    for split, count in counts.items():
        of = {(t["complication"], t["horizon_hours"]): t for t in count["targets"]}
        for complication, horizon in sorted(listed) or [("any complication", 0.0)]:
            target = of.get((complication, horizon), {"positives": 0, "rows": 0, "events": 0})
            if not 0 < target["positives"] < target["rows"] or target["events"] < min_events:
                faults.append(
                    f"{split}: {complication} {within(horizon)} has {target['positives']} positive of "
                    f"{target['rows']} rows in {count['stays']} stays, {target['events']} of them with an event"
                )
    if faults:
        shown = "; ".join(faults[:6]) + ("; ..." if len(faults) > 6 else "")
        raise InputError(
            f"one class only, or fewer than {min_events} stays with an event (task.min_events), {len(faults)} time(s): "
            f"{shown}. Use more stays, another complication or horizon, or other split.fractions"
        )


def coverage(tensors: Ragged, variables: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return per variable: observed cells, share of stays and share of steps in which it was observed."""
    cells = np.bincount(tensors.cell_variable, minlength=len(variables))
    row = np.repeat(np.arange(len(tensors.lengths)), np.diff(tensors.cell_offsets))
    pairs = np.unique(row * len(variables) + tensors.cell_variable.astype(np.int64))
    stays = np.bincount(pairs % len(variables), minlength=len(variables))
    return {
        name: {
            "observations": int(cells[v]),
            "stays_share": round(float(stays[v] / len(tensors.lengths)), 4),
            "steps_share": round(float(cells[v] / max(len(tensors.hours), 1)), 4),
        }
        for v, name in enumerate(variables)
    }
