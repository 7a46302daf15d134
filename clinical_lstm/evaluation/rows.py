"""The rows that count: at risk, with a known outcome, of one split; as arrays per target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.metrics import utility
from clinical_lstm.metrics.alarms import Course

Target = tuple[str, float]
KEY = ["complication", "horizon_hours", "stay_id", "hours"]


@dataclass(frozen=True)
class Rows:
    """The scored rows (N,) of one target, by stay and hour.

    Attributes:
        stay_id: ids. stay: codes in the order of the ids, so that equal rows of two predictors get equal codes.
        patient: codes among all `patients` of the split, whatever part of the rows is meant.
        site: names. hours: of the prediction. label: 0/1. risk: inside (0, 1). after_onset: bool.
        onset: hours of the onset that the row is about, NaN: none or not known.
        ended: hours of the last row inside an episode before this one, NaN: none (the grid tells its end, no finer).
        gain, early_gain: what an alarm adds to the challenge utility, in all rows and before onset only.

    """

    stay_id: np.ndarray
    stay: np.ndarray
    patient: np.ndarray
    patients: int
    site: np.ndarray
    hours: np.ndarray
    label: np.ndarray
    risk: np.ndarray
    after_onset: np.ndarray
    onset: np.ndarray
    ended: np.ndarray
    gain: np.ndarray
    early_gain: np.ndarray

    def where(self, mask: np.ndarray) -> Rows:
        """Return the rows of `mask`; stays and patients keep their codes."""
        kept = {field.name: getattr(self, field.name)[mask] for field in fields(self) if field.name != "patients"}
        return replace(self, **kept)

    def course(self) -> Course:
        """Return the rows before onset as alarms see them."""
        own = self.where(~self.after_onset)
        return Course(
            own.stay, own.hours, own.risk, own.label, own.onset, own.patient, patients=own.patients, ends=own.ended
        )

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of rows, stays and positive rows."""
        stays = int(np.count_nonzero(np.diff(self.stay, prepend=-1)))
        return {"n_rows": len(self.label), "n_stays": stays, "n_positives": int(self.label.sum())}


def scored(predictions: pl.DataFrame, split: str, what: str) -> pl.DataFrame:
    """Return the rows of `split` that are at risk and labelled, sorted by key, with the columns that `labelled` adds.

    Raises InputError as `labelled` does.
    """
    return labelled(predictions, split, what).filter("at_risk")


def labelled(predictions: pl.DataFrame, split: str, what: str) -> pl.DataFrame:
    """Return all rows of `split` with a label, at risk or not, sorted by key.

    Added are `patient` (code among all patients of the split), their number `patients`, and `ended_hours`, the last row
    of the stay before it that is not at risk. Raises InputError where `predictions` breaks `schemas.Predictions` (a
    stay twice, risks outside (0, 1), a column missing), and where no row of the split is at risk with a label.
    """
    table = schemas.check(schemas.Predictions, predictions, what)
    silent = pl.when(~pl.col("at_risk")).then("hours").forward_fill().over("complication", "horizon_hours", "stay_id")
    rows = table.filter(pl.col("split") == split, pl.col("label").is_not_null()).sort(KEY)
    if not rows["at_risk"].any():
        found = ", ".join(f"{name}: {n}" for name, n in table["split"].value_counts().sort("split").rows()) or "no rows"
        advice = "predict on a labelled split or name another one"
        raise InputError(
            f"{what} has no row at risk with a label in split {split!r} (rows by split: {found}); {advice}"
        )
    patient = (pl.col("patient_id").rank("dense").cast(pl.Int64) - 1).alias("patient")
    return rows.with_columns(silent.alias("ended_hours"), patient, pl.col("patient_id").n_unique().alias("patients"))


def together(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return `labelled` tables with patients coded among those of all of them, so that a draw means the same in each.

    The rows at risk are the same everywhere, but a table may lack patients who are never at risk.
    """
    ids = pl.concat([table["patient_id"] for table in tables.values()]).unique().sort()
    everyone = pl.lit(len(ids), pl.UInt32).alias("patients")
    return {
        name: table.with_columns(ids.search_sorted(table["patient_id"]).cast(pl.Int64).alias("patient"), everyone)
        for name, table in tables.items()
    }


def targets(table: pl.DataFrame) -> list[Target]:
    """Return the (complication, horizon) pairs of a table, sorted."""
    return [(c, h) for c, h in table.select("complication", "horizon_hours").unique().sort(pl.all()).rows()]


def rows_of(table: pl.DataFrame, target: Target) -> Rows:
    """Return the arrays of the rows of one target of a `scored` table."""
    rows = table.filter(pl.col("complication") == target[0], pl.col("horizon_hours") == target[1])
    ids = rows["stay_id"].to_numpy()
    stay = np.unique(ids, return_inverse=True)[1]
    hours, label = rows["hours"].to_numpy(), rows["label"].to_numpy().astype(np.int8)
    dt = utility.hours_from_onset(stay, hours, label)
    return Rows(
        stay_id=ids,
        stay=stay,
        patient=rows["patient"].to_numpy(),
        patients=int(rows["patients"][0]),
        site=rows["site"].to_numpy().astype(object),
        hours=hours,
        label=label,
        risk=rows["risk"].to_numpy(),
        after_onset=rows["after_onset"].to_numpy(),
        onset=_filled(rows["onset_hours"]),
        ended=_filled(rows["ended_hours"]),
        gain=utility.gain(dt),
        early_gain=utility.pre_onset_gain(dt),
    )


def _filled(column: pl.Series) -> np.ndarray:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
