"""The blend of a run with baselines: the mean of their logits, calibrated and operated as each of them is.

    l(x) = mean over members m of logit(risk_m(x)),    risk = calibrated l, as anything else: fitted on calib
    threshold: by the rule, on val

A tree and a recurrent net err on different stays, so their mean is often better than either. It is made of their tables
of predictions alone; every member has the same say, so nothing of it is fitted but the calibration and the threshold.
No label of a test stay is looked at: the fits are given the rows of calib, then those of val, and no others.
Source: Genest & Zidek, Stat Sci 1:114-135 (1986), doi 10.1214/ss/1177013825 (the logarithmic opinion pool).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import Directory, digest, sha256, write_json, write_table
from clinical_lstm.calibration import Calibrator
from clinical_lstm.errors import InputError
from clinical_lstm.training import operating

TARGET = ["complication", "horizon_hours"]
ROW = ["stay_id", "hours", *TARGET]
FILES = ["predictions.parquet", "thresholds.json", "calibrator.json", "blend.json"]


def blend(members: Mapping[str, Directory], path: Path, calibration: str, threshold: str) -> Directory:
    """Return the directory of a blend, made unless it is there: what a baseline's holds, its calibrators and members.

    Args:
        members: the run and baselines by name, each with predictions.parquet of the same rows (val, calib, test).
        calibration, threshold: as of the trainer.

    Raises InputError where fewer than two members are given, or their rows differ.
    """
    if len(members) < 2:
        raise InputError(f"a blend needs two predictors or more, not {', '.join(members) or 'none'}")
    hashes = {name: sha256(place.path / FILES[0]) for name, place in members.items()}
    key = digest([list(hashes.items()), calibration, threshold])
    made = Directory(path)
    if made.is_done("blend", key):
        return made
    table, maps = blended({name: place.table(FILES[0]) for name, place in members.items()}, calibration)
    chosen = operating.thresholds_of_risks(table, threshold)
    write_table(made.path / FILES[0], schemas.check(schemas.Predictions, table, "the blend"))
    rule = {"rule": threshold, "chosen_on": "val"}
    write_json(made.path / FILES[1], [{**_named(target), "threshold": t, **rule} for target, t in chosen.items()])
    write_json(made.path / FILES[2], [{**_named(t), "kind": one.kind, "map": one.to_json()} for t, one in maps.items()])
    write_json(made.path / FILES[3], {"members": hashes})
    made.mark("blend", key, FILES)
    return made


def blended(
    tables: Mapping[str, pl.DataFrame], calibration: str
) -> tuple[pl.DataFrame, dict[tuple[str, float], Calibrator]]:
    """Return the first of the `schemas.Predictions` with the risks of the blend, and the calibrator of every target.

    The risk never falls with the horizon, as that of a run. Raises InputError where the tables hold different rows.

    >>> keys = {"stay_id": ["a"], "patient_id": ["a"], "hours": [1.0]}
    >>> rest = {"complication": ["death"], "horizon_hours": [6.0]}
    >>> rest |= {"split": ["test"], "label": [0], "at_risk": [True]}
    >>> both = {name: pl.DataFrame({**keys, **rest, "risk": [risk]}) for name, risk in (("lstm", 0.9), ("trees", 0.1))}
    >>> blended(both, "platt")[0]["risk"].round(6).to_list()
    [0.5]
    """
    first, table = next(iter(tables.items()))
    for name, other in tables.items():
        if not other.select(ROW).equals(table.select(ROW)):
            raise InputError(f"{first} and {name} predicted different rows; evaluate them again on one cohort")
    logit = sum(_logit(other["risk"].to_numpy()) for other in tables.values()) / len(tables)  # (N,) in their order
    targets = [(c, float(h)) for c, h in table.select(TARGET).unique(maintain_order=True).sort(TARGET).rows()]
    risk, maps = np.empty(table.height), {}
    for target in targets:
        own = ((table["complication"] == target[0]) & (table["horizon_hours"] == target[1])).to_numpy()
        maps[target] = _calibrator(logit[own], table.filter(own), calibration)
        risk[own] = maps[target].apply(logit[own])
    order = table.with_columns(pl.Series("risk", risk)).with_row_index("row").sort("horizon_hours", maintain_order=True)
    rising = order.with_columns(pl.col("risk").cum_max().over("stay_id", "hours", "complication"))
    return rising.sort("row").drop("row"), maps


def _calibrator(logit: np.ndarray, table: pl.DataFrame, kind: str) -> Calibrator:
    """Return the calibrator of one target, which sees its calib rows and no others."""
    kept = (table["split"].cast(pl.String) == "calib").to_numpy()
    own = table.filter(kept).with_columns(label=pl.when("at_risk").then("label").otherwise(None).fill_null(-1))
    rows = operating.Rows(
        split=np.full(own.height, "calib"),
        patient=own["patient_id"].to_numpy(),
        stay=own["stay_id"].to_numpy(),
        hours=own["hours"].to_numpy(),
        label=own["label"].to_numpy()[:, None],
    )
    return operating.calibrate(logit[kept][:, None], rows, kind)[0]


def _logit(risk: np.ndarray) -> Any:
    """Return the log odds (N,) of risks inside (0, 1)."""
    return np.log(risk) - np.log1p(-risk)


def _named(target: tuple[str, float]) -> dict[str, Any]:
    return {"complication": target[0], "horizon_hours": target[1]}
