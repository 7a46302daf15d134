"""What every score obeys, found by its file, on random and on real records; and the parts that the scores share."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import plugins, schemas
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.errors import InputError
from clinical_lstm.scores.base import carried, hourly_grid, latest, placed, with_last
from clinical_lstm.sources.physionet2019 import PhysioNet2019
from clinical_lstm.variables import vocabulary

SCORES = {name: plugins.load("scores", name) for name in plugins.names("scores")}
MOST = {"news2": 20, "qsofa": 3, "sirs": 4, "sofa": 24}
WINDOW = {"news2": 12, "qsofa": 12, "sirs": 24, "sofa": 24}  # hours that a measurement bears on a score
USUAL = {
    "pao2": (50, 200), "fio2": (0.21, 1), "mechanical_ventilation": (0, 1.99), "platelets": (10, 200),
    "bilirubin_total": (0.5, 15), "map": (50, 90), "map_noninvasive": (50, 90), "norepinephrine": (-0.1, 0.2),
    "dopamine": (-5, 20), "gcs": (3, 15.99), "creatinine": (0.5, 6), "urine_output": (0, 60), "not_alert": (0, 1.99),
    "respiratory_rate": (5, 30), "spo2": (80, 100), "oxygen_flow": (-2, 5), "sbp": (80, 230), "heart_rate": (35, 140),
    "sbp_noninvasive": (80, 230), "temperature": (34, 40), "paco2": (25, 50), "wbc": (2, 20), "bands": (0, 20),
}  # fmt: skip
WHOLE = ["mechanical_ventilation", "gcs", "not_alert"]
TREATMENTS = [name for name in USUAL if vocabulary()[name].kind == "treatment"]

Frames = tuple[pl.DataFrame, pl.DataFrame]


def random_records(seed: int, stays: int = 12) -> Frames:
    """Return stays of 0.4 to 80 h, each variable measured at random times of a quarter hour."""
    draw = np.random.default_rng(seed)
    lengths = np.round(draw.uniform(0.4, 80, stays), 2)
    table = pl.DataFrame({"stay_id": [f"s{k:02}" for k in range(stays)], "length_hours": lengths})
    parts = []
    for name, (low, high) in USUAL.items():
        count = int(draw.integers(20, 30 * stays))
        stay = draw.integers(0, stays, count)
        value = np.clip(draw.uniform(low, high, count), 0, None)
        hours = np.floor(draw.uniform(0, 1, count) * lengths[stay] * 4) / 4
        part = {"stay_id": [f"s{k:02}" for k in stay], "hours": hours, "variable": name}
        parts.append(pl.DataFrame(part | {"value": np.floor(value) if name in WHOLE else value}))
    seen = pl.concat(parts).unique(["stay_id", "hours", "variable"], keep="first", maintain_order=True)
    return table, seen.sort("stay_id", "hours", "variable")


def disturbed(observations: pl.DataFrame, which: pl.Expr, seed: int = 5) -> pl.DataFrame:
    """Return the observations with other values, and fewer of them, where `which` holds."""
    draw = np.random.default_rng(seed)
    low, high = (
        pl.col("variable").replace_strict({name: float(bounds[side]) for name, bounds in USUAL.items()})
        for side in (0, 1)
    )
    part = pl.Series("part", draw.random(observations.height))
    other = (low + part * (high - low)).clip(0)
    other = pl.when(pl.col("variable").is_in(WHOLE)).then(other.floor()).otherwise(other)
    return observations.with_columns(pl.when(which).then(other).otherwise("value").alias("value")).filter(
        ~(which & (part > 0.6))
    )


@pytest.fixture(scope="module", params=[1, 2])
def records(request: pytest.FixtureRequest) -> Frames:
    return random_records(request.param)


@pytest.mark.parametrize("name", SCORES)
def test_one_row_per_stay_and_whole_hour_with_points_in_range(name: str, records: Frames) -> None:
    stays, observations = records
    found = SCORES[name](stays, observations)
    expected = [(s, float(k)) for s, length in stays.rows() for k in range(1, int(length) + 1)]
    assert found.select("stay_id", "hours").rows() == expected
    parts = found.drop("stay_id", "hours", name, "measured", "risk_class", strict=False)
    assert_frame_equal(
        found.select(pl.col(name).cast(pl.Int64), pl.col("measured").cast(pl.Int64)),
        parts.select(
            pl.sum_horizontal(pl.all().cast(pl.Int64)).alias(name),
            pl.sum_horizontal(pl.all().is_not_null().cast(pl.Int64)).alias("measured"),
        ),
    )
    assert found[name].min() >= 0
    assert MOST[name] / 2 < found[name].max() <= MOST[name]
    assert parts.null_count().sum_horizontal().item() > 0


@pytest.mark.parametrize("name", SCORES)
def test_nothing_after_an_hour_bears_on_its_score(name: str, records: Frames) -> None:
    stays, observations = records
    whole = SCORES[name](stays, observations)
    for hour in (3, 17, 24, 40):
        past = pl.col("hours") <= hour
        for other in (observations.filter(past), disturbed(observations, ~past)):
            assert_frame_equal(SCORES[name](stays, other).filter(past), whole.filter(past))
    assert not SCORES[name](stays, disturbed(observations, pl.col("hours") > 3)).equals(whole)


@pytest.mark.parametrize("name", SCORES)
def test_nothing_older_than_the_window_bears_on_a_score(name: str, records: Frames) -> None:
    """Treatments hold until they are stated anew: here they stay as they are."""
    stays, observations = records
    whole = SCORES[name](stays, observations)
    kept = pl.col("variable").is_in(TREATMENTS)
    for hour in (26, 41, 60):
        old = ~kept & (pl.col("hours") <= hour - WINDOW[name])
        now = pl.col("hours") == hour
        assert_frame_equal(SCORES[name](stays, disturbed(observations, old)).filter(now), whole.filter(now))
        just_inside = ~kept & (pl.col("hours") <= hour)
        assert not SCORES[name](stays, disturbed(observations, just_inside)).filter(now).equals(whole.filter(now))


@pytest.mark.parametrize("name", SCORES)
def test_a_stay_is_scored_alike_in_any_company_and_order(name: str, records: Frames) -> None:
    stays, observations = records
    whole = SCORES[name](stays, observations)
    shuffled = observations.sample(fraction=1.0, shuffle=True, seed=3)
    assert_frame_equal(SCORES[name](stays.reverse(), shuffled), whole)
    for stay in stays["stay_id"]:
        own = pl.col("stay_id") == stay
        assert_frame_equal(SCORES[name](stays.filter(own), observations.filter(own)), whole.filter(own))


@pytest.mark.parametrize("name", SCORES)
def test_without_stays_or_whole_hours_there_are_no_rows(name: str) -> None:
    stays, observations = schemas.empty(schemas.Stays), schemas.empty(schemas.Observations)
    nothing = SCORES[name](stays, observations)
    assert nothing.is_empty()
    short = pl.DataFrame({"stay_id": ["a"], "length_hours": [0.9]})
    assert SCORES[name](short, observations).schema == nothing.schema
    unmeasured = SCORES[name](short.with_columns(length_hours=2.0), observations)
    assert unmeasured.select(name, "measured").rows() == [(0, 0)] * 2
    assert unmeasured.schema == nothing.schema


@pytest.mark.parametrize("name", SCORES)
def test_real_records_are_scored(name: str, tiny_source: Path) -> None:
    extract = next(PhysioNet2019(str(tiny_source)).extracts())
    stays = clean_stays(extract.stays)
    observations, _ = clean(extract._replace(stays=stays))
    found = SCORES[name](stays, observations)
    assert found.height == stays["length_hours"].floor().sum()
    assert found[name].is_between(0, MOST[name]).all()
    assert found["measured"].mean() > 1
    assert 0 < found[name].mean() < MOST[name] / 2


@pytest.mark.parametrize(("name", "windows"), [
    ("sofa", {"window_hours": 0}), ("sofa", {"window_hours": 1.5}), ("sofa", {"carry_hours": -1}),
    ("sofa", {"fio2_hours": float("nan")}), ("sofa", {"urine_gap_hours": 25}), ("news2", {"carry_hours": 0}),
    ("qsofa", {"carry_hours": True}), ("sirs", {"lab_hours": float("inf")}), ("sirs", {"carry_hours": "six"}),
])  # fmt: skip
def test_a_window_that_cannot_be_is_refused(name: str, windows: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(windows))} is .*give "):
        SCORES[name](schemas.empty(schemas.Stays), schemas.empty(schemas.Observations), **windows)


def chart(*rows: tuple[float, str, float], stay: str = "a") -> pl.DataFrame:
    table = pl.DataFrame(rows, schema={"hours": pl.Float64, "variable": pl.String, "value": pl.Float64}, orient="row")
    return table.select(pl.lit(stay).alias("stay_id"), pl.all())


def test_an_hour_holds_what_is_stamped_up_to_its_end() -> None:
    grid = hourly_grid(pl.DataFrame({"stay_id": ["a"], "length_hours": [3.5]}))
    seen = chart(*((hours, "map", hours) for hours in (0.0, 1.0, 1.0001, 2.9, 3.0, 3.2)))
    rows = placed(grid, seen, ["map"])
    assert rows.select("row", "value").rows() == [(0, 0.0), (0, 1.0), (1, 1.0001), (2, 2.9), (2, 3.0)]
    assert with_last(grid, rows, ["map"])["map"].to_list() == [1.0, 1.0001, 3.0]


@pytest.mark.parametrize(("hours", "expected"), [(1, [1, None, None, 4]), (2, [1, 1, None, 4]), (None, [1, 1, 1, 4])])
def test_values_are_carried_through_the_window(hours: int | None, expected: list[int | None]) -> None:
    seen = pl.DataFrame({"stay": [1, 1, 1, 1], "x": [1, None, None, 4]})
    assert seen.select(carried(pl.col("x"), hours))["x"].to_list() == expected


@pytest.mark.parametrize(("within", "expected"), [(2.0, 0.5), (1.999, None), (float("inf"), 0.5)])
def test_latest_looks_back_so_far_and_never_ahead(within: float, expected: float | None) -> None:
    rows = pl.DataFrame({"stay": [1, 1, 2], "hours": [1.0, 3.1, 2.0], "variable": "fio2", "value": [0.5, 0.9, 0.7]})
    points = pl.DataFrame({"stay": [1, 1], "hours": [0.9, 3.0]})
    assert latest(points, rows, "fio2", within)["fio2"].to_list() == [None, expected]


@pytest.mark.parametrize("name", SCORES)
def test_components_are_those_of_the_printed_table(name: str) -> None:
    stays = pl.DataFrame({"stay_id": ["a"], "length_hours": [1.0]})
    points = importlib.import_module(f"clinical_lstm.scores.{name}").POINTS
    found = SCORES[name](stays, schemas.empty(schemas.Observations))
    assert found.columns[: len(points) + 4] == ["stay_id", "hours", *points, name, "measured"]
