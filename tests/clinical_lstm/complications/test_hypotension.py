"""Hypotension: worked vignettes, the reference cases of two definitions, and a plain loop over random readings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.complications.hypotension import hypotension
from clinical_lstm.errors import InputError

NOTHING = schemas.empty(schemas.Stays), schemas.empty(schemas.Episodes)


def episodes(observations: pl.DataFrame, **arguments: Any) -> pl.DataFrame:
    return hypotension(NOTHING[0], observations, NOTHING[1], **arguments)


def readings(minutes: list[float] | np.ndarray, values: list[float] | np.ndarray, stay: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"stay_id": stay, "hours": np.asarray(minutes) / 60, "variable": "map", "value": values})


def test_vignette(worked_vignette: Any) -> None:
    assert worked_vignette.found() == worked_vignette.found_alone() == worked_vignette.episodes


@pytest.mark.parametrize(("reference", "definition"), [("map65_30min", "run"), ("ahe_2009", "ahe_2009")])
def test_agrees_with_the_reference_cases(reference: str, definition: str, shared: Path) -> None:
    cases = pl.read_csv(shared / "reference" / "hypotension_cases.csv", infer_schema_length=None)
    expected = pl.read_csv(shared / "reference" / "hypotension_cases_expected.csv")
    observations = cases.select(
        pl.col("case_id").alias("stay_id"),
        pl.col("time_min").cast(pl.Float64) / 60,
        pl.lit("map").alias("variable"),
        pl.col("map_mmhg").cast(pl.Float64).alias("value"),
    ).rename({"time_min": "hours"})
    found = episodes(observations.drop_nulls(), definition=definition)
    cases_of = expected.filter(pl.col("definition") == reference)
    assert cases_of.height == {"run": 18, "ahe_2009": 7}[definition]
    for case in cases_of.iter_rows(named=True):
        own = found.filter(pl.col("stay_id") == case["case_id"])
        assert own.height == case["n_episodes"], case
        if case["n_episodes"]:
            assert own["onset_hours"].min() * 60 == pytest.approx(case["onset_min"]), case  # type: ignore[operator]


def by_loop(minutes: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    """Return (onset, end) in minutes of the runs below 65 that last 30 minutes, gaps of 60 bridged."""
    found, k = [], 0
    while k < len(minutes):
        if values[k] >= 65:
            k += 1
            continue
        last = k
        while last + 1 < len(minutes) and values[last + 1] < 65 and minutes[last + 1] - minutes[last] <= 60:
            last += 1
        follows = last + 1 < len(minutes) and minutes[last + 1] - minutes[last] <= 60
        if minutes[last] - minutes[k] >= 30:
            found.append((float(minutes[k]), float(minutes[last + 1] if follows else minutes[last])))
        k = last + 1
    return found


def test_agrees_with_a_plain_loop() -> None:
    draw = np.random.default_rng(7)
    stays, expected = [], []
    for k in range(120):
        minutes = np.sort(draw.choice(600, size=draw.integers(1, 60), replace=False))
        values = draw.integers(62, 68, size=len(minutes)).astype(float)
        stays.append(readings(minutes, values, f"s{k:03}"))
        expected += [(f"s{k:03}", *span) for span in by_loop(minutes, values)]
    found = episodes(pl.concat(stays).sample(fraction=1, shuffle=True, seed=1))
    minutes_found = found.select("stay_id", pl.col("onset_hours", "end_hours").mul(60).round(6)).rows()
    assert len(expected) > 100
    assert minutes_found == expected


@pytest.mark.parametrize(("apart", "expected"), [(30, [(0, 60)]), (31, [(0, 29), (31, 60)])])
def test_ahe_windows_that_touch_are_one_episode(apart: int, expected: list[tuple[int, int]]) -> None:
    values = np.full(61, 90.0)
    for begin in (0, apart):  # 27 low of 30, the other three at the ends that face each other
        values[begin : begin + 30] = 60.0
    values[[27, 28, 29, apart, apart + 1, apart + 2]] = 61.0
    found = episodes(readings(np.arange(61), values), definition="ahe_2009")
    assert [(round(a * 60), round(b * 60)) for a, b in found.select("onset_hours", "end_hours").rows()] == expected


def test_ahe_needs_a_value_every_minute() -> None:
    minutes = np.arange(30)
    assert episodes(readings(minutes, np.full(30, 50.0)), definition="ahe_2009").height == 1
    minutes[-1] += 1
    assert episodes(readings(minutes, np.full(30, 50.0)), definition="ahe_2009").is_empty()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"definition": "ahe_2010"}, "did you mean 'ahe_2009'"),
        ({"definition": "ahe_2009", "below_mmhg": 55}, "fixed numbers"),
        ({"below_mmhg": "low"}, "below_mmhg must be a number"),
        ({"min_minutes": -1}, "min_minutes must be a number of at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        episodes(schemas.empty(schemas.Observations), **arguments)
