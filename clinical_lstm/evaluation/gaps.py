"""How unequal a predictor is: every subgroup minus the largest one of its dimension.

    d_j = m(subgroup j) - m(largest of its dimension),  d*_j the same within a replicate
    z*_j = (d*_j - d_j) / sd(d*_j),  q = 95 % quantile of max_j |z*_j| over all subgroups and metrics
    d_j +- q sd(d*_j)                                                      simultaneous interval

Compared is what a difference in prevalence alone moves least: ranking, calibration, share of events found, false alarms
in a patient's day, lead time. PPV and AUPRC rise with prevalence by themselves; they are no gaps. A sicker group has
more false alarms, too: a gap asks for a look, it is no verdict. Bands of the stay's hours are parts of stays, so they
are compared without what belongs to whole stays, the alarms.
Source: Chen et al., Nat Biomed Eng 7:719-742 (2023), doi 10.1038/s41551-023-01056-8 (why prevalence matters).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.evaluation.subgroups import Part
from clinical_lstm.metrics.bootstrap import interval, simultaneous_widths

COMPARED = [
    "auroc",
    "calibration_in_the_large",
    "event_recall",
    "false_alarms_per_patient_day",
    "lead_time_median",
]


def gaps(
    samples: Mapping[tuple[str, str], Sample], parts: Iterable[Part], predictor: str, key: Mapping[str, Any]
) -> pl.DataFrame:
    """Return `schemas.Gaps` of one target; a gap is null where either subgroup has too few patients.

    `samples` are by predictor and subset; `key` names the target.
    """
    levels: dict[str, list[str]] = {}
    for part in parts:
        if part.dimension:
            levels.setdefault(part.dimension, []).append(part.level)
    pairs = []
    for dimension, names in levels.items():
        sizes = {name: samples[predictor, f"{dimension}={name}"].counts["n_stays"] for name in names}
        largest = max(names, key=lambda name: sizes[name])
        pairs += [(dimension, name, largest) for name in names if name != largest]
    lines, changes = [], []
    for metric in COMPARED:
        for dimension, level, largest in pairs:
            own, other = (samples[predictor, f"{dimension}={name}"] for name in (level, largest))
            key_of = {"dimension": dimension, "level": level, "reference": largest, "metric": metric}
            value = own.values.get(metric, np.nan) - other.values.get(metric, np.nan)
            lines.append({"predictor": predictor, **key, **key_of, "value": value, **own.counts})
            both = metric in own.replicates and metric in other.replicates
            changes.append(own.replicates[metric] - other.replicates[metric] if both else np.zeros(0))
    table = pl.DataFrame(_with_intervals(lines, changes), schemas.empty(schemas.Gaps).schema, orient="row")
    return schemas.check(schemas.Gaps, table.with_columns(pl.col(pl.Float64).fill_nan(None)), "the subgroup gaps")


def _with_intervals(lines: list[dict[str, Any]], changes: list[np.ndarray]) -> list[dict[str, Any]]:
    """Return the lines with the interval of each gap alone, and of all gaps at once."""
    alone = [interval(change) for change in changes]
    known = [j for j, line in enumerate(lines) if np.isfinite(line["value"]) and np.isfinite(alone[j][0])]
    widths = np.full(len(lines), np.nan)
    if known:
        middle = np.array([lines[j]["value"] for j in known])
        widths[known] = simultaneous_widths(middle, np.stack([changes[j] for j in known]))
    return [
        line
        | {"low": alone[j][0], "high": alone[j][1], "comparisons": len(known)}
        | {"simultaneous_low": line["value"] - widths[j], "simultaneous_high": line["value"] + widths[j]}
        for j, line in enumerate(lines)
    ]
