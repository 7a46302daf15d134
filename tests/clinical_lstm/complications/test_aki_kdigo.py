"""Acute kidney injury: worked vignettes, the reference cases, and plain loops in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.complications.aki_kdigo import aki_kdigo
from clinical_lstm.errors import InputError

NAMES = {"creatinine_mg_dl": "creatinine", "urine_ml": "urine_output", "weight_kg": "weight"}


def episodes(observations: pl.DataFrame, **arguments: Any) -> pl.DataFrame:
    return aki_kdigo(schemas.empty(schemas.Stays), observations, schemas.empty(schemas.Episodes), **arguments)


def onsets(observations: pl.DataFrame, stage: int, **arguments: Any) -> dict[str, float]:
    """Return the first onset of every stay that has one."""
    found = episodes(observations, stage=stage, **arguments)
    return dict(found.group_by("stay_id").agg(pl.col("onset_hours").min()).rows())


def test_vignette(worked_vignette: Any) -> None:
    assert worked_vignette.found() == worked_vignette.found_alone() == worked_vignette.episodes


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_agrees_with_the_reference_cases(stage: int, shared: Path) -> None:
    cases = pl.read_csv(shared / "reference" / "kdigo_cases.csv")
    expected = pl.read_csv(shared / "reference" / "kdigo_cases_expected.csv")
    observations = cases.select(
        pl.col("case_id").alias("stay_id"),
        pl.col("time_h").cast(pl.Float64).alias("hours"),
        pl.col("variable").replace_strict(NAMES),
        pl.col("value").cast(pl.Float64),
    )
    wanted = expected.select("case_id", pl.col(f"stage{stage}_onset_h").cast(pl.Float64)).drop_nulls()
    assert expected.height == 36
    assert onsets(observations, stage) == dict(wanted.rows())


# --- plain loops, exact -----------------------------------------------------------------------------------------------


def creatinine_stage(rows: list[tuple[int, Fraction]], k: int) -> int:
    """Return the stage of the k-th creatinine of `rows` (minutes, mg/dL), sorted."""
    now, value = rows[k]
    in_48 = [v for t, v in rows[:k] if now - t <= 48 * 60]
    in_168 = [v for t, v in rows[:k] if now - t <= 168 * 60]
    ratio = value / min(in_168) if in_168 else Fraction(1)
    acute = ratio >= Fraction(3, 2) or (bool(in_48) and value - min(in_48) >= Fraction(3, 10))
    if ratio >= 3 or (acute and value >= 4):
        return 3
    return 2 if ratio >= 2 else int(acute)


def urine_stage(rows: list[tuple[int, Fraction]], k: int, weight: Fraction) -> int:
    """Return the stage at the k-th urine row of `rows` (minutes, mL), sorted, minute by minute."""
    now = rows[k][0]
    flow = np.array([Fraction(0)] * now, dtype=object)
    begin = 0
    for t, volume in rows[: k + 1]:
        flow[begin:t] = volume / (t - begin)
        begin = t
    rate = {w: sum(flow[now - w * 60 :]) / (w * weight) for w in (6, 12, 24) if now >= w * 60}
    if rate.get(24, 1) < Fraction(3, 10) or rate.get(12, 1) == 0:
        return 3
    return 2 if rate.get(12, 1) < Fraction(1, 2) else int(rate.get(6, 1) < Fraction(1, 2))


def table(stays: dict[str, list[tuple[int, Fraction]]], variable: str) -> pl.DataFrame:
    found = [(s, t / 60, variable, float(v)) for s, rows in stays.items() for t, v in rows]
    return pl.DataFrame(found, schema=schemas.empty(schemas.Observations).schema, orient="row")


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_creatinine_agrees_with_a_plain_loop(stage: int) -> None:
    draw = np.random.default_rng(stage)
    stays = {}
    for k in range(150):
        minutes = np.sort(draw.choice(np.arange(0, 400 * 60, 90), size=12, replace=False))
        values = draw.integers(6, 9, size=12) * draw.choice([1, 1, 2, 3, 5], size=12)
        stays[f"s{k:03}"] = [(int(t), Fraction(int(v), 10)) for t, v in zip(minutes, values)]
    expected = {}
    for stay, rows in stays.items():
        met = [t for k, (t, _) in enumerate(rows) if creatinine_stage(rows, k) >= stage]
        expected |= {stay: met[0] / 60} if met else {}
    assert len(expected) > 20
    assert onsets(table(stays, "creatinine"), stage) == expected


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_urine_agrees_with_a_plain_loop(stage: int) -> None:
    draw = np.random.default_rng(stage)
    stays = {}
    for k in range(40):
        minutes = np.sort(draw.choice(np.arange(30, 40 * 60, 30), size=12, replace=False))
        values = draw.choice([0, 0, 5, 20, 80, 300], size=12)
        stays[f"s{k:03}"] = [(int(t), Fraction(int(v))) for t, v in zip(minutes, values)]
    weights = {stay: [(0, Fraction(60))] for stay in stays}
    expected = {}
    for stay, rows in stays.items():
        met = [t for k, (t, _) in enumerate(rows) if urine_stage(rows, k, Fraction(60)) >= stage]
        expected |= {stay: met[0] / 60} if met else {}
    observations = pl.concat([table(stays, "urine_output"), table(weights, "weight")])
    assert len(expected) > 10
    assert onsets(observations, stage, collection_hours=100) == expected


def test_creatinine_looks_back_seven_days() -> None:
    draw = np.random.default_rng(11)
    stays = {
        f"s{k}": [(h * 60, Fraction(int(v), 10)) for h, v in zip(range(0, 480, 12), draw.integers(8, 14, 40))]
        for k in range(30)
    }
    every = table(stays, "creatinine")
    late = {"hold_hours": 0, "free_hours": 0}
    recent = episodes(every.filter(pl.col("hours") >= 120), **late).filter(pl.col("onset_hours") >= 120 + 168)
    full = episodes(every, **late).filter(pl.col("onset_hours") >= 120 + 168)
    assert full.height > 30
    assert recent.equals(full)


@pytest.mark.parametrize("stage", [0, 4, 1.5, True, "2", None])
def test_a_stage_that_is_none_is_refused(stage: Any) -> None:
    with pytest.raises(InputError, match="stage must be 1, 2 or 3"):
        episodes(schemas.empty(schemas.Observations), stage=stage)
