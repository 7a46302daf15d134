"""Tables that say which patient is in which split: a user's own, and those of published protocols, shipped by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from clinical_lstm.artifacts import sha256
from clinical_lstm.data.hashing import uniform
from clinical_lstm.errors import InputError, closest
from clinical_lstm.schemas import SPLITS
from clinical_lstm.sources.base import Extract

SHIPPED = Path(__file__).parent
UNLISTED = ["refuse", "leave_out"]


def read(table: str, column: str = "split") -> pl.DataFrame:
    """Return a key (patient_id or stay_id, as text) and `split` of every row of a table that has one.

    Args:
        table: the name of a shipped table (README.md beside this file), a CSV or Parquet file of patient_id or stay_id
            and one or several columns of splits, or the `subject_splits.parquet` of a MEDS data set: train, held_out =
            test, tuning = val and calib, by halves of the hash.
        column: the splits that count.

    Raises InputError on a file that cannot be read, lacks a column, names another split or lists a key twice.

    >>> read("physionet2012", "warpformer").row(0)
    ('132539', 'test')
    """
    path = file_of(table)
    found = _loaded(path)
    key = next((name for name in ("patient_id", "stay_id") if name in found.columns), None)
    if key is None or column not in found.columns:
        which = "split" if column == "split" else f"split.column={column}"
        has = ", ".join(found.columns)
        raise InputError(f"{path} needs the columns patient_id (or stay_id) and {which}; it has {has}")
    listed = found.select(pl.col(key).cast(pl.String), pl.col(column).cast(pl.String).alias("split")).drop_nulls()
    if unknown := sorted(set(listed["split"]) - set(SPLITS)):
        raise InputError(f"{path} names the split(s) {', '.join(unknown)}; there are: {', '.join(SPLITS)}")
    if (twice := listed.filter(pl.col(key).is_duplicated())).height:
        raise InputError(f"{path} lists {twice[key].n_unique()} {key}(s) twice, the first is {twice[key][0]}")
    return listed


def file_of(table: str) -> Path:
    """Return the file that `split.table` means; raises InputError where there is none.

    >>> file_of("physionet2012").name
    'physionet2012.parquet'
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.parquet"))}
    path = shipped.get(str(table), Path(table))
    if not path.is_file():
        raise InputError(f"there is no split table {table}: give a CSV or Parquet file, or one of {', '.join(shipped)}")
    return path


def fingerprint(split: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the table that a split reads, "" without one: another content is another cohort."""
    return sha256(file_of(split["table"])) if split.get("table") else ""


def joined(stays: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Return `stays` with a column `split` (text), null where `listed` (of `read`) does not name them."""
    return stays.join(listed, on=listed.columns[0], how="left", maintain_order="left")


def only_listed(extract: Extract, listed: pl.DataFrame) -> Extract:
    """Return the stays of an extract that `listed` (of `read`) names, with all that belongs to them."""
    stays = extract.stays.join(listed, on=listed.columns[0], how="semi", maintain_order="left")
    parts = (extract.observations, extract.episodes, extract.rejects)
    own = [part.join(stays, on="stay_id", how="semi", maintain_order="left") for part in parts]
    return extract._replace(stays=stays, observations=own[0], episodes=own[1], rejects=own[2])


def left_out(split: Mapping[str, Any]) -> pl.DataFrame | None:
    """Return the table (of `read`) outside of which stays are left out; None: stays it lacks are refused, or no table.

    Raises InputError on another answer to `split.unlisted` than `UNLISTED`.
    """
    choice = split.get("unlisted", UNLISTED[0])
    if choice not in UNLISTED:
        raise InputError(f"split.unlisted={choice}: {closest(str(choice), UNLISTED)}")
    if split.get("table") is None or choice == "refuse":
        return None
    return read(split["table"], split.get("column", "split"))


def _loaded(path: Path) -> pl.DataFrame:
    """Return a table as it is (CSV: as text); MEDS names become ours."""
    kind = "Parquet" if path.suffix == ".parquet" else "CSV"
    try:
        table = pl.read_parquet(path) if kind == "Parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as fault:
        raise InputError(f"{path} is no {kind} table: {str(fault).splitlines()[0]}") from None
    if not {"subject_id", "split"} <= set(table.columns):
        return table
    table = table.rename({"subject_id": "patient_id"}).with_columns(pl.col("patient_id").cast(pl.String))
    tuned = pl.Series("tuned", ["val" if uniform(0, patient) < 0.5 else "calib" for patient in table["patient_id"]])
    named = pl.when(pl.col("split") == "tuning").then(tuned).otherwise(pl.col("split").replace({"held_out": "test"}))
    return table.with_columns(named.alias("split"))
