"""What the measurements of the last hours did to a risk: where it would stand had nothing been measured since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run
from clinical_lstm.calibration import Calibrator
from clinical_lstm.reporting import words
from clinical_lstm.reporting.cells import KEY, cells_of
from clinical_lstm.reporting.contributions import Driver, Measurements, drivers

MOST = 3
SAME_RISK = 1e-4  # a stored logit is a float32: its risk is met to 1e-6


@dataclass(frozen=True)
class Changes:
    """What `explain` wrote on the last hours: `schemas.Explained`, `schemas.Attributions`, and how many hours.

    `hours` is None where the run does not say.
    """

    changed: pl.DataFrame
    cells: pl.DataFrame
    hours: float | None = None


@dataclass(frozen=True)
class Change:
    """One prediction against itself without the measurements of the last hours.

    `before` is the risk had nothing been measured since; None where it does not follow from the stored logit.
    """

    hours: float | None
    before: float | None
    risk: float
    moved: float
    gap: float
    complete: bool
    drivers: list[Driver]

    @property
    def since(self) -> str:
        """The hours that are looked back on, in words."""
        if self.hours is None:
            return "the last hours"
        return "the last hour" if self.hours == 1 else f"the last {words.duration(self.hours)}"

    @property
    def said(self) -> str:
        """One sentence on the risk then and now."""
        if self.before is None:
            odds = words.number(exp(self.moved))
            return f"What was measured in {self.since} multiplied the odds of the onset by {odds}."
        then, now = words.percent(self.before), words.percent(self.risk)
        if then == now:
            return f"Had nothing been measured in {self.since}, the risk would be the same: {now}."
        return f"Had nothing been measured in {self.since}, the risk would be {then}; it is {now}."


def read_changes(run: Run) -> Changes | None:
    """Return what a run knows of the last hours, None where it was not asked; InputError on a broken table."""
    if not all((run.path / f"{name}.parquet").exists() for name in ("changed", "changes")):
        return None
    advice = f"make it with: clinical-lstm explain run={run.name}"
    tables = [
        schemas.check(schema, run.table(name), str(run.path / name), advice)
        for name, schema in (("changed.parquet", schemas.Explained), ("changes.parquet", schemas.Attributions))
    ]
    hours = (run.marker("explain") or {}).get("hours_back")
    return Changes(tables[0].sort(KEY), tables[1].sort(*KEY, "input_hours", "variable", "channel"), hours)


def change(
    changes: Changes,
    calibrators: Sequence[Mapping[str, Any]],
    row: dict[str, Any],
    measurements: Measurements,
    static: Mapping[str, Any],
) -> Change | None:
    """Return what changed lately for the prediction that `row` of `schemas.Explained` names; None if nobody asked."""
    found = changes.changed.filter(*[pl.col(name) == row[name] for name in KEY]).to_dicts()
    if not found:
        return None
    one = found[0]
    return Change(
        hours=changes.hours,
        before=_before(calibrators, one),
        risk=one["risk"],
        moved=one["logit"] - one["baseline_logit"],
        gap=one["gap"],
        complete=one["explained"],
        drivers=drivers(cells_of(changes.cells, row), measurements, static, row["hours"], MOST),
    )


def _before(calibrators: Sequence[Mapping[str, Any]], one: dict[str, Any]) -> float | None:
    """Return the calibrated risk of the baseline's logit, if the map gives the risk of the prediction's own logit.

    It does not where a shorter horizon lifted the risk, whose logit is not in the table.
    """
    target = (one["complication"], one["horizon_hours"])
    maps = [c["map"] for c in calibrators if (c["complication"], float(c["horizon_hours"])) == target]
    if not maps:
        return None
    then, now = Calibrator.from_json(maps[0]).apply(np.array([one["baseline_logit"], one["logit"]])).tolist()
    return float(then) if abs(now - one["risk"]) <= SAME_RISK else None
