"""What the cohort's manifest counts, and the gate that refuses a cohort nothing can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.batch import Ragged
from clinical_lstm.errors import InputError
from clinical_lstm.schemas import SPLITS


def split_counts(labels: pl.DataFrame, stays: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return per split: stays, patients, and per target rows at risk, positives, events (stays with a positive).

    `positives_after_onset` counts the rows that a benchmark keeps after the onset; 0 for onset tasks.
    """
    joined = labels.join(stays.select("stay_id", "split"), on="stay_id", how="left")
    positive = pl.col("label") == 1
    per_target = (
        joined.group_by("split", "complication", "horizon_hours")
        .agg(
            pl.col("at_risk").sum().alias("rows"),
            positive.sum().alias("positives"),
            pl.col("stay_id").filter(positive).n_unique().alias("events"),
            pl.col("after_onset").sum().alias("positives_after_onset"),
        )
        .sort("split", "complication", "horizon_hours")
    )
    counts: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        own = stays.filter(pl.col("split") == split)
        targets = [row for row in per_target.iter_rows(named=True) if row.pop("split") == split]
        counts[split] = {"stays": own.height, "patients": own["patient_id"].n_unique(), "targets": targets} | {
            name: sum(int(target[name]) for target in targets) for name in ("rows", "positives", "events")
        }
    return counts


def refuse_degenerate(counts: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InputError when a split lacks a class of a target: a model could not be trained, tuned or judged."""
    listed = {(t["complication"], t["horizon_hours"]) for split in counts.values() for t in split["targets"]}
    faults = []
    for split, count in counts.items():
        found = {(t["complication"], t["horizon_hours"]): (t["positives"], t["rows"]) for t in count["targets"]}
        for complication, horizon in sorted(listed) or [("any complication", 0.0)]:
            positives, rows = found.get((complication, horizon), (0, 0))
            if not 0 < positives < rows:
                where = f"{split}: {complication} within {horizon:g} h"
                faults.append(f"{where} has {positives} positive of {rows} rows in {count['stays']} stays")
    if faults:
        raise InputError(
            f"a split holds one class only ({len(faults)} time(s)): {'; '.join(faults)}. Use more stays, another "
            "complication or horizon, or other split.fractions"
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
