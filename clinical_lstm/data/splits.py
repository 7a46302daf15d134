"""Which patient is in which split: by a hash of the patient, so that neither order nor file layout matters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from clinical_lstm.errors import InputError
from clinical_lstm.schemas import SPLITS


def assign(
    stays: pl.DataFrame,
    positive: pl.Series,
    fractions: Mapping[str, float],
    stratify: bool = True,
    seed: int = 0,
    fold: int | None = None,
    folds: int = 5,
    site: str | None = None,
    table: str | None = None,
) -> pl.DataFrame:
    """Return `stays` with a column `split`; all stays of a patient share it.

    Patients are ranked by a hash of (seed, patient) within their stratum (site x any event, if `stratify`) and cut at
    the fractions; unstratified, the hash alone decides, so that no other patient can move one.

    Args:
        stays: `schemas.Stays`. positive: whether the stay has an event, aligned with `stays`.
        fractions: of train, val, calib and test; they sum to 1.
        fold: test is the patients of place in [fold / K, (fold + 1) / K), K = `folds`; the others share the rest.
        site: test is this site's patients; the others share the other fractions.
        table: a CSV with `patient_id` (or `stay_id`) and `split`, used as it is, or the `subject_splits.parquet` of a
            MEDS data set: train, held_out = test, tuning = val and calib, by halves of the hash.

    """
    if table is not None:
        return _given(stays, table)
    if set(fractions) != set(SPLITS) or abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) < 0:
        raise InputError(f"split.fractions must name {', '.join(SPLITS)} and sum to 1, not {dict(fractions)}")
    if site is not None and fold is not None:
        raise InputError(f"split.site={site} and split.fold={fold} both choose the test patients; give one of them")
    patients = _patients(stays, positive, stratify)
    if site is None and fold is None:
        return _join(stays, _cut(patients, fractions, stratify, seed))
    if site is not None:
        sites = sorted(stays["site"].unique())
        if site not in sites:
            raise InputError(f"split.site={site} is no site of this data; there are: {', '.join(sites)}")
        is_test = patients["site"] == site
    else:
        if not 0 <= (fold or 0) < folds:
            raise InputError(f"split.fold must be in 0..{folds - 1}, not {fold}")
        is_test = (_place(patients, stratify, seed)["place"] * folds).floor() == fold
    rest = {name: share for name, share in fractions.items() if name != "test"}
    test = patients.filter(is_test).with_columns(pl.lit("test").alias("split"))
    # Another seed, so that the place among the rest does not depend on the fold.
    return _join(stays, pl.concat([test, _cut(patients.filter(~is_test), rest, stratify, seed + 1)], how="diagonal"))


def check_disjoint(stays: pl.DataFrame) -> int:
    """Return the number of patients in two splits: 0, or InputError."""
    torn = stays.group_by("patient_id").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if torn.height:
        first = sorted(torn["patient_id"])[0]
        raise InputError(f"{torn.height} patient(s) are in two splits, the first is {first}: a split is by patient")
    return torn.height


def _patients(stays: pl.DataFrame, positive: pl.Series, stratify: bool) -> pl.DataFrame:
    """Return one row per patient, sorted: patient_id, site and stratum."""
    return (
        stays.select("patient_id", "site")
        .with_columns(positive.alias("positive"))
        .group_by("patient_id")
        .agg(pl.col("site").min(), pl.col("positive").any())
        .sort("patient_id")
        .with_columns((pl.format("{}|{}", "site", "positive") if stratify else pl.lit("all")).alias("stratum"))
    )


def _place(patients: pl.DataFrame, stratify: bool, seed: int) -> pl.DataFrame:
    """Add `place` in [0, 1): the hash itself, or (stratified) its rank within the stratum."""
    hashed = pl.Series("place", [_hash(seed, patient) for patient in patients["patient_id"]], pl.Float64)
    placed = patients.with_columns(hashed)
    if not stratify:
        return placed
    rank = pl.struct("place", "patient_id").rank("ordinal").over("stratum")
    return placed.with_columns(((rank - 0.5) / pl.len().over("stratum")).alias("place"))


def _hash(seed: int, patient: str) -> float:
    """Return a number in [0, 1) that depends on the seed and the patient alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{patient}".encode(), digest_size=6).digest(), "big") / 2.0**48


def _cut(patients: pl.DataFrame, fractions: Mapping[str, float], stratify: bool, seed: int) -> pl.DataFrame:
    """Add `split`: the one whose share of [0, 1) holds the patient's place, shares in the order of SPLITS."""
    names = [name for name in SPLITS if name in fractions]
    shares = np.cumsum([fractions[name] for name in names])
    place = _place(patients, stratify, seed)["place"].to_numpy()
    index = np.searchsorted(shares[:-1] / shares[-1], place, side="right")
    return patients.with_columns(pl.Series("split", [names[i] for i in index], pl.String))


def _join(stays: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    joined = stays.join(patients.select("patient_id", "split"), on="patient_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("split").cast(pl.Enum(SPLITS)))


def _read(path: str) -> pl.DataFrame:
    """Return a split table as text columns; MEDS names become ours."""
    if not Path(path).is_file():
        raise InputError(f"there is no split table {path}")
    kind = "Parquet" if path.endswith(".parquet") else "CSV"
    try:
        table = pl.read_parquet(path) if kind == "Parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as fault:
        raise InputError(f"{path} is no {kind} table: {str(fault).splitlines()[0]}") from None
    if "subject_id" not in table.columns:
        return table
    table = table.rename({"subject_id": "patient_id"}).with_columns(pl.col("patient_id").cast(pl.String))
    tuned = pl.Series("tuned", ["val" if _hash(0, patient) < 0.5 else "calib" for patient in table["patient_id"]])
    named = pl.when(pl.col("split") == "tuning").then(tuned).otherwise(pl.col("split").replace({"held_out": "test"}))
    return table.with_columns(named.alias("split"))


def _given(stays: pl.DataFrame, path: str) -> pl.DataFrame:
    table = _read(path)
    key = next((name for name in ("patient_id", "stay_id") if name in table.columns), None)
    if key is None or "split" not in table.columns:
        raise InputError(
            f"{path} needs the columns patient_id (or stay_id) and split; it has {', '.join(table.columns)}"
        )
    unknown = sorted(set(table["split"].drop_nulls()) - set(SPLITS))
    if unknown:
        raise InputError(f"{path} names the split(s) {', '.join(unknown)}; there are: {', '.join(SPLITS)}")
    twice = table.filter(pl.col(key).is_duplicated())
    if twice.height:
        raise InputError(f"{path} lists {twice[key].n_unique()} {key}(s) twice, the first is {twice[key][0]}")
    joined = stays.join(table.select(key, "split"), on=key, how="left", maintain_order="left")
    missing = joined.filter(pl.col("split").is_null())
    if missing.height:
        raise InputError(f"{path} has no split for {missing.height} stay(s), the first is {missing['stay_id'][0]}")
    return joined.with_columns(pl.col("split").cast(pl.Enum(SPLITS)))
