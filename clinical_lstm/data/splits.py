"""Which patient is in which split: by a hash of the patient, so that neither order nor file layout matters.

That asks what a model is worth where it was made. A site, or the latest patients, as test ask whether it travels.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm.data import split_tables
from clinical_lstm.data.hashing import uniform
from clinical_lstm.errors import InputError, closest
from clinical_lstm.schemas import SPLITS

SHIFTED_YEAR = 2100  # de-identified dates (MIMIC) are moved behind it, each patient's by another time


def assign(
    stays: pl.DataFrame,
    positive: pl.Series,
    fractions: Mapping[str, float],
    stratify: bool = True,
    seed: int = 0,
    fold: int | None = None,
    folds: int = 5,
    site: str | None = None,
    temporal: bool = False,
    table: str | None = None,
    column: str = "split",
    unlisted: str = "refuse",
) -> pl.DataFrame:
    """Return `stays` with a column `split`; all stays of a patient share it.

    Patients are ranked by a hash of (seed, patient) within their stratum (site x any event, if `stratify`) and cut at
    the fractions; unstratified, the hash alone decides, so that no other patient can move one.

    Args:
        stays: `schemas.Stays`. positive: whether the stay has an event, aligned with `stays`.
        fractions: of train, val, calib and test; they sum to 1.
        fold: test is the patients of place in [fold / K, (fold + 1) / K), K = `folds`; the others share the rest.
        site: test is every patient with a stay there; the others share the other fractions.
        temporal: patients are ranked by the admission of their first stay instead (of equals, by their id): train, val,
            calib, test in the order of time; `stratify` and `seed` play no part. Later stays of a patient go with the
            first, so an early split may hold a stay that begins after the cut.
        table: the splits of patients or stays in `column` of a table (`split_tables.read`), used as they are. Where it
            names no val, or no calib, that is drawn from its train patients in the proportion of the fractions of
            train and of what is drawn.
        unlisted: of stays that the table lacks: `refuse`; `leave_out` (by `prepare`, before anything is counted).

    """
    if table is not None:
        return _given(stays, positive, fractions, stratify, seed, table, column)
    _check(fractions)
    ways = {"site": site, "fold": fold, "temporal": temporal or None}
    asked = [f"split.{way}={value}" for way, value in ways.items() if value is not None]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} each choose the test patients; give one of them")
    if temporal:
        return _join(stays, _cut(_by_time(stays), fractions))
    patients = _patients(stays, positive, stratify)
    if site is not None:
        is_test = _at_site(stays, patients, str(site))
    elif fold is not None:
        if not 0 <= fold < folds:
            raise InputError(f"split.fold must be in 0..{folds - 1}, not {fold}")
        is_test = (_place(patients, stratify, seed)["place"] * folds).floor() == fold
    else:
        return _join(stays, _cut(_place(patients, stratify, seed), fractions))
    rest = {name: share for name, share in fractions.items() if name != "test"}
    test = patients.filter(is_test).with_columns(pl.lit("test").alias("split"))
    # Another seed, so that the place among the rest does not depend on the fold.
    others = _cut(_place(patients.filter(~is_test), stratify, seed + 1), rest)
    return _join(stays, pl.concat([test, others], how="diagonal"))


def check_disjoint(stays: pl.DataFrame) -> int:
    """Return the number of patients in two splits: 0, or InputError."""
    torn = stays.group_by("patient_id").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if torn.height:
        first = sorted(torn["patient_id"])[0]
        raise InputError(f"{torn.height} patient(s) are in two splits, the first is {first}: a split is by patient")
    return torn.height


def check(split: Mapping[str, Any]) -> None:
    """Raise InputError where the configuration of a split has an unknown key, or names a table that cannot be read."""
    known = [name for name in inspect.signature(assign).parameters if name not in ("stays", "positive")]
    for key in split:
        if key not in known:
            raise InputError(f"split takes no {key!r}: {closest(key, known)}")
    if split.get("table") is not None:
        split_tables.read(split["table"], split.get("column", "split"))


def _check(fractions: Mapping[str, float]) -> None:
    if set(fractions) != set(SPLITS) or abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) < 0:
        raise InputError(f"split.fractions must name {', '.join(SPLITS)} and sum to 1, not {dict(fractions)}")


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
    hashed = pl.Series("place", [uniform(seed, patient) for patient in patients["patient_id"]], pl.Float64)
    placed = patients.with_columns(hashed)
    if not stratify:
        return placed
    rank = pl.struct("place", "patient_id").rank("ordinal").over("stratum")
    return placed.with_columns(((rank - 0.5) / pl.len().over("stratum")).alias("place"))


def _at_site(stays: pl.DataFrame, patients: pl.DataFrame, site: str) -> pl.Series:
    """Say of each patient whether any stay is at `site`: none of its stays may be trained on."""
    sites = stays["site"].unique().to_list()
    if site not in sites:
        raise InputError(f"split.site={site} is no site of this data; {closest(site, sites)}")
    found = patients["patient_id"].is_in(stays.filter(pl.col("site") == site)["patient_id"].unique().implode())
    if found.all():
        raise InputError(f"split.site={site}: every patient has a stay there, so that none is left to train on")
    return found


def _by_time(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the patients with their `place` in [0, 1): the rank of their first admission, of equals of their id."""
    dated = stays["admission"] if "admission" in stays.columns else pl.Series([None] * stays.height, dtype=pl.Datetime)
    unknown, shifted = dated.null_count(), int((dated.dt.year() >= SHIFTED_YEAR).sum())
    if unknown:
        raise InputError(
            f"split.temporal needs the instant of every admission: {unknown:,} of {stays.height:,} stay(s) have none; "
            "give the source a date of admission, or split by a hash (split=stratified)"
        )
    if shifted:
        raise InputError(
            f"split.temporal needs true dates: {shifted:,} of {stays.height:,} stay(s) are admitted in {SHIFTED_YEAR} "
            "or later, as where each patient's dates were shifted to hide them; use a split that needs no order"
        )
    firsts = stays.group_by("patient_id").agg(pl.col("admission").min()).sort("admission", "patient_id")
    return firsts.with_columns(((pl.int_range(pl.len()) + 0.5) / pl.len()).alias("place"))


def _cut(patients: pl.DataFrame, fractions: Mapping[str, float]) -> pl.DataFrame:
    """Add `split`: the one whose share of [0, 1) holds the patient's `place`, shares in the order of SPLITS."""
    names = [name for name in SPLITS if name in fractions]
    shares = np.cumsum([fractions[name] for name in names])
    index = np.searchsorted(shares[:-1] / shares[-1], patients["place"].to_numpy(), side="right")
    return patients.with_columns(pl.Series("split", [names[i] for i in index], pl.String))


def _join(stays: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    joined = stays.join(patients.select("patient_id", "split"), on="patient_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("split").cast(pl.Enum(SPLITS)))


def _given(
    stays: pl.DataFrame,
    positive: pl.Series,
    fractions: Mapping[str, float],
    stratify: bool,
    seed: int,
    table: str,
    column: str,
) -> pl.DataFrame:
    """Return `stays` with the splits of a table, and with those drawn from train that it does not name."""
    listed = split_tables.read(table, column)
    stays = split_tables.joined(stays, listed)
    missing = stays.filter(pl.col("split").is_null())
    if missing.height:
        raise InputError(
            f"{table} has no split for {missing.height} stay(s), the first is {missing['stay_id'][0]}; "
            "split.unlisted=leave_out leaves them out"
        )
    shares = ["train", *(name for name in ("val", "calib") if name not in set(listed["split"]))]
    is_train = stays["split"] == "train"
    if len(shares) > 1 and is_train.any():
        _check(fractions)
        trained = _patients(stays.filter(is_train), positive.filter(is_train), stratify)
        drawn = _cut(_place(trained, stratify, seed), {name: fractions[name] for name in shares})
        stays = stays.join(drawn.select("patient_id", "split"), on="patient_id", how="left", suffix="_drawn")
        stays = stays.with_columns(pl.when(is_train).then("split_drawn").otherwise("split").alias("split"))
    return stays.drop("split_drawn", strict=False).with_columns(pl.col("split").cast(pl.Enum(SPLITS)))
