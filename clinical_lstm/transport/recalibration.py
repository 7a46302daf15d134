"""How many patients of another site repair the calibration and the alarm threshold of a model made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.rules import require_rule
from clinical_lstm.metrics.utility import gain, hours_from_onset
from clinical_lstm.transport.refit import Rows, judge, refit

FIRST_SIZE = 25  # patients; doubled up to half of all
RANGE = (0.025, 0.975)
TARGET = ["complication", "horizon_hours"]


def recalibration(
    predictions: pl.DataFrame, thresholds: Sequence[Mapping[str, Any]], repeats: int = 20, seed: int = 0
) -> pl.DataFrame:
    """Return `schemas.Recalibration` of every target: what 0, 25, 50, ... local patients, up to half, are worth.

    Each time k patients are drawn at random (more of the same draw for a greater k), every method is refitted on their
    rows, and judged on the rows of all other patients. k = 0 judges the model as it is, and the oracle, on all.

    Args:
        predictions: `schemas.Predictions` of stays of the TARGET site that the model was not made from, with the risks
            as calibrated at the source; rows at risk with a known label count.
        thresholds: per target `complication`, `horizon_hours`, `threshold` and `rule` (`thresholds.json` of a run).
        repeats: how many draws. seed: of the draws.

    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}")
    table = schemas.check(schemas.Predictions, predictions, "predictions for the target site")
    table = table.filter(pl.col("at_risk"), pl.col("label").is_not_null())
    if table.is_empty():
        raise InputError(
            f"none of the {predictions.height:,} predictions for the target site is at risk with a known label; "
            "predict on labelled stays"
        )
    found: list[dict[str, Any]] = []
    for target in table.select(TARGET).unique().sort(TARGET).rows():
        operating = _operating(thresholds, target)
        found += _of_target(rows_of(table, target), target, *operating, repeats, seed)
    result = pl.DataFrame(found, schema=schemas.empty(schemas.Recalibration).schema)
    return schemas.check(schemas.Recalibration, result, "the recalibration")


def sizes(patients: int) -> list[int]:
    """Return how many of `patients` are used in turn: 0, then 25 and its doubles up to half of them.

    >>> sizes(49), sizes(210)
    ([0], [0, 25, 50, 100])
    """
    doubles = [FIRST_SIZE * 2**i for i in range(40)]
    return [0, *(k for k in doubles if k <= patients // 2)]


def parted(rows: Rows, k: int, repeat: int, seed: int) -> tuple[Rows, Rows]:
    """Return the rows of k patients, and those of all others; labels and risks play no part in who is who.

    The patients of one draw (`seed`, `repeat`) are taken in one random order, the first k of it.
    """
    patients = int(rows.patient.max(initial=-1)) + 1
    used = np.zeros(patients, bool)
    used[np.random.default_rng([seed, repeat]).permutation(patients)[:k]] = True
    mask = used[rows.patient]
    return rows.where(mask), rows.where(~mask)


def rows_of(table: pl.DataFrame, target: tuple[str, float]) -> Rows:
    """Return the rows of one target; `table` holds rows at risk with a known label. Patients are coded by their ids."""
    rows = table.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    rows = rows.sort("risk", "stay_id", "hours")
    label = rows["label"].to_numpy()
    dt = hours_from_onset(rows["stay_id"].to_numpy(), rows["hours"].to_numpy(), label)
    patient = np.unique(rows["patient_id"].to_numpy(), return_inverse=True)[1]
    return Rows(patient, label, rows["risk"].to_numpy(), gain(dt))


def _operating(thresholds: Sequence[Mapping[str, Any]], target: tuple[str, float]) -> tuple[float, str]:
    found = [one for one in thresholds if (one["complication"], float(one["horizon_hours"])) == target]
    if not found:
        known = ", ".join(f"{one['complication']} {one['horizon_hours']:g} h" for one in thresholds) or "none"
        raise InputError(f"there is no threshold of {target[0]} {target[1]:g} h; there are: {known}")
    rule = found[0]["rule"]
    require_rule(rule)
    return float(found[0]["threshold"]), rule


class _Outcome(NamedTuple):
    """One draw: {(method, metric): value}, the methods that fell back, the number of used patients with an event."""

    values: dict[tuple[str, str], float]
    fallbacks: set[str]
    events: int


def _draw(rows: Rows, k: int, repeat: int, seed: int, threshold: float, rule: str) -> _Outcome:
    """Use k patients, judge on the others; without any used patient there is only the model as it is."""
    used, judged = parted(rows, k, repeat, seed)
    updates = refit(used, threshold, rule)
    fallbacks = {method for method, update in updates.items() if update.fallback}
    kept = updates if k else {"as_is": updates["as_is"]}
    return _Outcome(judge(judged, kept, rule), fallbacks, used.patients()[1])


def _of_target(
    rows: Rows, target: tuple[str, float], threshold: float, rule: str, repeats: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of one target."""
    total = int(rows.patient.max()) + 1
    for k in sizes(total):
        draws = [_draw(rows, k, repeat, seed, threshold, rule) for repeat in range(repeats if k else 1)]
        for method, metric in draws[0].values:
            values = np.array([draw.values[method, metric] for draw in draws])
            values = values[~np.isnan(values)]
            low, high = np.quantile(values, RANGE).tolist() if len(values) > 1 else (None, None)
            yield {
                "complication": target[0],
                "horizon_hours": target[1],
                "patients": k,
                "method": method,
                "metric": metric,
                "value": float(values.mean()) if len(values) else None,
                "low": low,
                "high": high,
                "repeats": len(draws),
                "defined": len(values),
                "events": sum(draw.events for draw in draws) / len(draws),
                "fallbacks": sum(method in draw.fallbacks for draw in draws) if k else 0,
                "judged_patients": total - k,
            }
