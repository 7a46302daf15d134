"""What drives errors, and whether the explanations of a subgroup are others: levels against a reference level.

dimension    level          reference       measure
outcome      missed_event   true_alarm      difference of mean_signed: why was the risk too low?
             false_alarm    true_silence    difference of mean_signed: why was it too high?
age, sex     each other     the largest     ratio of shares: does it count more here than there?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.explanation.contributions import Group
from clinical_lstm.explanation.evidence import Evidence, Part
from clinical_lstm.metrics.bootstrap import intervals, simultaneous_widths
from clinical_lstm.metrics.weights import ratio

ERRORS = {"missed_event": "true_alarm", "false_alarm": "true_silence"}
SUBGROUPS = ["age", "sex"]
TOP = 12  # variables compared between subgroups: the shares of the others are too small for a ratio


def contrasts(entries: Sequence[Evidence]) -> pl.DataFrame:
    """Return `schemas.Contrasts`: errors against their correct counterparts, subgroups against the largest.

        difference_g = mean_n net_ng (level) - mean_n net_ng (reference)      every group of variables and channels
        ratio_g      = share_g (level) / share_g (reference)                  channels, systems and the top 12 variables

    The differences of all variables add up to that of the mean logits. Patients are drawn for both levels together. The
    simultaneous intervals are those of the largest standardised deviation of all rows of the level, of ratios as logs.

    >>> from clinical_lstm.explanation.evidence import evidence
    >>> key = {"stay_id": ["a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> chosen = pl.DataFrame(key | {"reason": ["false_alarm_sample", "true_silence_sample"]})
    >>> chosen = chosen.with_columns(explained=True, patient_id="stay_id")
    >>> cells = {"variable": ["lactate", "lactate"], "channel": ["value", "value"], "attribution": [0.75, -0.25]}
    >>> given = (pl.DataFrame(key | cells), chosen, chosen, chosen, chosen.select("stay_id"))
    >>> found = contrasts(evidence(*given, least_patients=1)).filter(pl.col("kind") == "variable")
    >>> found.select("level", "reference", "measure", "channel", "value").rows()[1]
    ('false_alarm', 'true_silence', 'difference', 'value', 1.0)
    """
    tables = [table for entry in entries if entry.groups for table in (*_errors(entry), *_subgroups(entry))]
    return schemas.check(schemas.Contrasts, pl.concat([schemas.Contrasts.create_empty(), *tables]), "the contrasts")


def _errors(entry: Evidence) -> Iterator[pl.DataFrame]:
    parts = {part.level: part for part in entry.parts if part.dimension == "outcome"}
    for level, correct in ERRORS.items():
        if level in parts and correct in parts:
            (value, drawn), (against, drawn_against) = (
                entry.means(entry.net, parts[name].rows) for name in (level, correct)
            )
            found = value - against, drawn - drawn_against
            yield _table(entry, parts[level], parts[correct], "difference", entry.groups, *found)


def _subgroups(entry: Evidence) -> Iterator[pl.DataFrame]:
    chosen = _compared(entry)
    groups = [entry.groups[g] for g in chosen]
    for dimension in SUBGROUPS:
        parts = [part for part in entry.parts if part.dimension == dimension]
        largest = max(parts, key=lambda part: entry.patients(part.rows), default=None)  # the first of equals
        for part in parts:
            if largest is not None and part is not largest:
                (value, drawn), (against, drawn_against) = (_shares(entry, each, chosen) for each in (part, largest))
                found = ratio(value, against), ratio(drawn, drawn_against)
                yield _table(entry, part, largest, "ratio", groups, *found)


def _compared(entry: Evidence) -> list[int]:
    """Return the groups whose shares are compared: channels of everything, whole systems, the largest variables."""
    size, _ = entry.means(entry.size, entry.parts[0].rows)  # of all
    kinds = [(group.kind, group.channel == "all") for group in entry.groups]
    variables = [g for g, kind in enumerate(kinds) if kind == ("variable", True)]
    top = sorted(variables, key=lambda g: (-size[g], g))[:TOP]
    return sorted([g for g, kind in enumerate(kinds) if kind in (("all", False), ("system", True))] + top)


def _shares(entry: Evidence, part: Part, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    size, sizes = entry.means(entry.size, part.rows)
    return ratio(size, size[0])[chosen], ratio(sizes, sizes[0])[chosen]  # 0: everything


def _table(
    entry: Evidence,
    part: Part,
    reference: Part,
    measure: str,
    groups: Sequence[Group],
    value: np.ndarray,
    replicates: np.ndarray,
) -> pl.DataFrame:
    """Return the rows of one level; `value` (J,) and `replicates` (J, R), NaN where not defined."""
    counts = entry.patients(part.rows), entry.patients(reference.rows)
    bounds = np.full((5, len(value)), np.nan)  # value, low, high, simultaneous low and high
    if min(counts) >= entry.least:
        bounds[0], bounds[1:3] = value, intervals(replicates)
        bounds[3:] = simultaneous(value, replicates, measure == "ratio")
    bounds[1:, ~np.isfinite(bounds[0])] = np.nan
    names = ("value", "low", "high", "simultaneous_low", "simultaneous_high")
    facts = {
        "dimension": part.dimension,
        "level": part.level,
        "reference": reference.level,
        "measure": measure,
        "comparisons": int(np.isfinite(bounds[3]).sum()),
        "n_patients": counts[0],
        "n_reference": counts[1],
    }
    return entry.table(schemas.Contrasts, groups, facts | dict(zip(names, bounds)))


def simultaneous(value: np.ndarray, replicates: np.ndarray, as_logs: bool) -> np.ndarray:
    """Return the simultaneous interval (2, J) of the rows that every draw of anybody defines, NaN of the others."""
    with np.errstate(divide="ignore"):
        value, replicates = (np.log(value), np.log(replicates)) if as_logs else (value, replicates)
    drawn = np.isfinite(replicates)
    family = np.isfinite(value) & drawn[:, drawn.any(axis=0)].all(axis=1)
    width = np.full(len(value), np.nan)
    width[family] = simultaneous_widths(value[family], replicates[family])
    found = np.stack([value - width, value + width])
    return np.exp(found) if as_logs else found
