"""Direction and dose: what a measured value adds to the logit, against the value in its own unit.

    measured            last value x        prediction at t
       o                     o-----------------|
                             |<- its steps  -->|     contribution = sum of the value channel over these steps: what the
                                                     model made of x since x was known (a static: of its channel)

All explained predictions of a target in which the variable had been measured take part, whatever they were chosen for:
the question is not how often a value occurs but what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from clinical_lstm import schemas
from clinical_lstm.explanation.cells import SAME_HOUR
from clinical_lstm.explanation.contributions import rounded
from clinical_lstm.explanation.evidence import Evidence
from clinical_lstm.explanation.keys import KEY, TARGET
from clinical_lstm.lookback import EDGE_HOURS
from clinical_lstm.metrics.bootstrap import interval
from clinical_lstm.metrics.rank_correlation import spearman
from clinical_lstm.metrics.weights import ratio
from clinical_lstm.variables import vocabulary

TOP = 12  # variables
POINTS = 150  # of a variable that are kept
BANDS = 10  # of values in a curve, at most
IN_BAND = 15  # predictions that a band should have


def dose(
    entries: Sequence[Evidence],
    attributions: pl.DataFrame,
    observations: pl.DataFrame,
    stays: pl.DataFrame,
    lookback_hours: float | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `schemas.Dose` and `schemas.Directions` of the 12 variables whose values count most, of every target.

    Args:
        observations: `schemas.Observations` of the explained stays at least. stays: stay_id and the static variables.
        lookback_hours: how far back the model saw; what was measured before was not seen.

    A curve has bands of equally many predictions, equal values together; a band of too few patients is left out.

    >>> from clinical_lstm.explanation.evidence import evidence
    >>> key = {"stay_id": ["a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> chosen = pl.DataFrame(key).with_columns(reason=pl.lit("typical"), explained=True, patient_id="stay_id")
    >>> cells = {"input_hours": [2.0, 1.0], "variable": ["lactate"] * 2, "channel": ["value"] * 2}
    >>> attributions = pl.DataFrame(key | cells | {"attribution": [0.75, -0.25]})
    >>> seen = {"stay_id": ["a", "a", "b"], "hours": [0.5, 1.5, 0.5], "variable": ["lactate"] * 3, "value": [1.0, 4, 2]}
    >>> entries = evidence(attributions, chosen, chosen, chosen, chosen.select("stay_id"), least_patients=2)
    >>> found, directions = dose(entries, attributions, pl.DataFrame(seen), chosen.select("stay_id"))
    >>> found.select("kind", "value", "contribution").rows(), directions.select("variable", "unit", "spearman").rows()
    ([('point', 2.0, -0.25), ('point', 4.0, 0.75), ('curve', 3.0, 0.25)], [('lactate', 'mmol/L', 1.0)])
    """
    tops = [_top(entry) for entry in entries]
    names = sorted({name for top in tops for name in top})
    everyone = [schemas.Explained.create_empty().select(KEY), *(entry.found.keys for entry in entries)]
    points = _points(pl.concat(everyone), names, attributions, observations, stays, lookback_hours)
    doses, directions = [schemas.empty(schemas.Dose)], [schemas.empty(schemas.Directions)]
    for entry, top in zip(entries, tops):
        own = entry.found.keys.with_columns(patient=pl.Series(entry.patient)).join(points, on=KEY)
        found = {name: own.filter(pl.col("variable") == name).sort("value", "contribution", *KEY) for name in top}
        for rank, (name, seen) in enumerate(((n, seen) for n, seen in found.items() if not seen.is_empty()), start=1):
            doses.append(_table(schemas.Dose, entry, name, [*_thinned(seen), *_curve(entry, seen)]))
            directions.append(_table(schemas.Directions, entry, name, [{"rank": rank} | _direction(entry, name, seen)]))
    return (
        schemas.check(schemas.Dose, pl.concat(doses), "the doses"),
        schemas.check(schemas.Directions, pl.concat(directions), "the directions"),
    )


def _top(entry: Evidence) -> list[str]:
    """Return the variables whose values, or whose being what they are, contribute most over the cohort."""
    through = [schemas.CHANNELS.index(channel) for channel in ("value", "static")]
    size = np.abs(entry.found.cells[entry.parts[0].rows][:, :, through]).sum(axis=(0, 2))  # (V,), of all
    order = sorted(range(len(size)), key=lambda v: (-size[v], v))
    return [entry.found.variables[v] for v in order[:TOP] if size[v] > 0]


def _points(
    keys: pl.DataFrame,
    names: list[str],
    attributions: pl.DataFrame,
    observations: pl.DataFrame,
    stays: pl.DataFrame,
    lookback_hours: float | None,
) -> pl.DataFrame:
    """Return KEY, variable, value, contribution: one row per prediction and variable that had been measured."""
    measured = _measured(keys, names, observations, stays, float("inf") if lookback_hours is None else lookback_hours)
    key = [*KEY, "variable"]
    cells = attributions.filter(pl.col("channel").cast(pl.String).is_in(["value", "static"]))
    since = cells.join(measured, on=key).filter(pl.col("input_hours") >= pl.col("since_hours") - SAME_HOUR)
    sums = since.group_by(key).agg(contribution=rounded(pl.col("attribution")).sum())
    return measured.join(sums, on=key, how="left").with_columns(pl.col("contribution").fill_null(0.0))


def _measured(
    keys: pl.DataFrame, names: list[str], observations: pl.DataFrame, stays: pl.DataFrame, reach: float
) -> pl.DataFrame:
    """Return KEY, variable, since_hours, value: the last measurement that a prediction saw, and what it was told."""
    wanted = observations.filter(pl.col("variable").is_in(names)).rename({"hours": "since_hours"})
    age = pl.col("hours") - pl.col("since_hours")
    seen = keys.join(wanted, on="stay_id").filter(age >= -SAME_HOUR, age < reach - EDGE_HOURS)
    last = seen.sort(*KEY, "variable", "since_hours").unique([*KEY, "variable"], keep="last", maintain_order=True)
    told = stays.select("stay_id", *[name for name in names if name in stays.columns])
    known = told.unpivot(index="stay_id").select("stay_id", "variable", pl.col("value").cast(pl.Float64)).drop_nulls()
    always = keys.join(known, on="stay_id").with_columns(since_hours=pl.lit(float("-inf")))
    columns = [*KEY, "variable", "since_hours", "value"]
    return pl.concat([last.select(columns), always.select(columns)])


def _thinned(seen: pl.DataFrame) -> list[dict[str, Any]]:
    """Return at most `POINTS` predictions, evenly spread over the order of the values."""
    kept = np.unique(np.linspace(0, seen.height - 1, min(POINTS, seen.height)).round().astype(int))
    return [{"kind": "point", "n": 1} | row for row in seen.select("value", "contribution")[kept].to_dicts()]


def _curve(entry: Evidence, seen: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the mean contribution in bands of the value, equal values in one band."""
    value, contribution, patient = (seen[name].to_numpy() for name in ("value", "contribution", "patient"))
    bands = int(np.clip(seen.height // IN_BAND, 1, BANDS))
    share = (seen["value"].rank("average").to_numpy() - 0.5) / seen.height  # inside (0, 1)
    band = (share * bands).astype(int)
    rows = []
    for own in (np.flatnonzero(band == b) for b in range(bands)):
        if len(np.unique(patient[own])) < max(entry.least, 1):
            continue
        drawn = entry.counts[patient[own]]  # (n, R)
        low, high = interval(ratio(contribution[own] @ drawn, drawn.sum(axis=0)))
        mean = {"value": value[own].mean(), "contribution": contribution[own].sum() / len(own)}
        rows.append({"kind": "curve", "n": len(own), "low": low, "high": high} | mean)
    return rows


def _direction(entry: Evidence, name: str, seen: pl.DataFrame) -> dict[str, Any]:
    value, contribution, patient = (seen[column].to_numpy() for column in ("value", "contribution", "patient"))
    patients = len(np.unique(patient))
    found: dict[str, Any] = {"unit": "", "n_predictions": seen.height, "n_patients": patients}
    if patients >= entry.least:
        low, high = interval(spearman(value, contribution, entry.counts[patient]))
        found |= {"spearman": float(spearman(value, contribution)[0]), "low": low, "high": high}
    if name in vocabulary():
        known = vocabulary()[name]
        found |= {"unit": known.unit, "normal_low": known.normal_low, "normal_high": known.normal_high}
    return found


def _table(schema: Any, entry: Evidence, name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return `rows` in the columns of `schema`; what they lack, and NaN, is null."""
    labels = dict(zip(TARGET, entry.target)) | {"variable": name}
    table = pl.DataFrame([labels | row for row in rows], schema=schemas.empty(schema).schema, infer_schema_length=None)
    return table.with_columns(cs.float().fill_nan(None))
