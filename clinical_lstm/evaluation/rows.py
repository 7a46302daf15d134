"""The rows that count: at risk, with a known outcome, of one split; as arrays per target and subset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.metrics import utility

Target = tuple[str, float]


@dataclass(frozen=True)
class Rows:
    """The scored rows (N,) of one target, by ascending risk (so that every later sort is one linear pass).

    Attributes:
        stay, patient: codes in the order of their ids, so that equal rows of two predictors get equal codes.
        site: names. label: 0/1. risk: inside (0, 1). after_onset: bool.
        gain, early_gain: what an alarm adds to the challenge utility, in all rows and before onset only.

    """

    stay: np.ndarray
    patient: np.ndarray
    site: np.ndarray
    label: np.ndarray
    risk: np.ndarray
    after_onset: np.ndarray
    gain: np.ndarray
    early_gain: np.ndarray

    def where(self, mask: np.ndarray) -> Rows:
        """Return the rows of `mask`, with stays and patients coded anew."""
        kept = {field.name: getattr(self, field.name)[mask] for field in fields(self)}
        rows = replace(self, **kept)
        return replace(rows, stay=_codes(rows.stay), patient=_codes(rows.patient))

    def subsets(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, mask): all rows, those before onset, those of each site."""
        yield "all", np.ones(len(self.label), bool)
        yield "pre_onset", ~self.after_onset
        for site in sorted(set(self.site)):
            yield f"site={site}", self.site == site

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of rows, stays and positive rows."""
        stays = len(np.unique(self.stay))
        return {"n_rows": len(self.label), "n_stays": stays, "n_positives": int(self.label.sum())}


def scored(predictions: pl.DataFrame, split: str, what: str) -> pl.DataFrame:
    """Return the rows of `split` that are at risk and labelled, sorted by key; raises InputError when there are none.

    Also raises InputError where `predictions` breaks `schemas.Predictions` (a stay twice, risks outside (0, 1), ...).
    """
    table = schemas.check(schemas.Predictions, predictions, what)
    rows = table.filter(pl.col("split") == split, pl.col("at_risk"), pl.col("label").is_not_null())
    if rows.is_empty():
        found = ", ".join(f"{name}: {n}" for name, n in table["split"].value_counts().sort("split").rows()) or "no rows"
        advice = "predict on a labelled split or name another one"
        raise InputError(
            f"{what} has no row at risk with a label in split {split!r} (rows by split: {found}); {advice}"
        )
    return rows.sort("complication", "horizon_hours", "stay_id", "hours")


def targets(table: pl.DataFrame) -> list[Target]:
    """Return the (complication, horizon) pairs of a table, sorted."""
    return [(c, h) for c, h in table.select("complication", "horizon_hours").unique().sort(pl.all()).rows()]


def rows_of(table: pl.DataFrame, target: Target) -> Rows:
    """Return the arrays of the rows of one target of a `scored` table."""
    rows = table.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    rows = rows.sort("risk", "stay_id", "hours")
    stay = _codes(rows["stay_id"].to_numpy())
    label = rows["label"].to_numpy().astype(np.int8)
    dt = utility.hours_from_onset(stay, rows["hours"].to_numpy(), label)
    return Rows(
        stay=stay,
        patient=_codes(rows["patient_id"].to_numpy()),
        site=rows["site"].to_numpy().astype(object),
        label=label,
        risk=rows["risk"].to_numpy(),
        after_onset=rows["after_onset"].to_numpy(),
        gain=utility.gain(dt),
        early_gain=utility.pre_onset_gain(dt),
    )


def _codes(ids: np.ndarray) -> np.ndarray:
    return np.unique(ids, return_inverse=True)[1]
