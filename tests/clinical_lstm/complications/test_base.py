"""The shared parts, and what holds for every complication that is derived from measurements."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_lstm import plugins, schemas
from clinical_lstm.complications.base import (
    at_least,
    at_most,
    below,
    check_thresholds,
    episodes_from,
    held,
    joined,
    latest,
    mean_pressure,
    measured,
    moments,
    running,
    stated,
)
from clinical_lstm.errors import InputError
from clinical_lstm.sources.base import stays_table
from clinical_lstm.variables import vocabulary

GIVEN = pl.DataFrame(
    [("a", "death", 9.0, 9.0), ("a", "sepsis_label", 3.0, 6.0), ("b", "death", 2.0, 2.0), ("b", "planted", 1.0, 2.0)],
    schema=schemas.empty(schemas.Episodes).schema,
    orient="row",
)


def observed(*rows: tuple[str, float, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schemas.empty(schemas.Observations).schema, orient="row")


# --- the shared parts -------------------------------------------------------------------------------------------------


def test_only_the_named_complication_is_kept_in_order() -> None:
    assert stated(GIVEN, "death").rows() == [("a", "death", 9.0, 9.0), ("b", "death", 2.0, 2.0)]
    assert stated(GIVEN, "shock").is_empty()


@pytest.mark.parametrize("value", [-1, float("nan"), "5", None, True])
def test_a_threshold_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"complications/x: hours must be a number of at least 0"):
        check_thresholds("x", below=1, hours=value)


def test_equality_is_that_of_decimals() -> None:
    made = pl.DataFrame({"v": [1.2 - 0.9, 0.1 + 0.2]})  # 0.29999999999999993 and 0.30000000000000004
    for sign, expected in [(at_least, True), (at_most, True), (below, False)]:
        assert made.select(sign("v", 0.3))["v"].to_list() == [expected, expected]
    made = pl.DataFrame({"v": [0.2999, 0.3001, None]})
    assert made.select(at_least("v", 0.3))["v"].to_list() == [False, True, None]
    assert made.select(at_most("v", 0.3))["v"].to_list() == [True, False, None]
    assert made.select(below("v", 0.3))["v"].to_list() == [True, False, None]


def test_a_series_is_sorted_and_moments_are_distinct() -> None:
    rows = observed(("b", 1.0, "map", 60.0), ("a", 2.0, "map", 70.0), ("a", 1.0, "map", 80.0), ("a", 2.0, "ph", 7.2))
    assert measured(rows, "map").rows() == [("a", 1.0, 80.0), ("a", 2.0, 70.0), ("b", 1.0, 60.0)]
    assert moments(measured(rows, "map"), measured(rows, "ph")).rows() == [("a", 1.0), ("a", 2.0), ("b", 1.0)]


def test_held_values_do_not_cross_stays_and_grow_old() -> None:
    seen = observed(("a", 1.0, "fio2", 0.5), ("b", 3.0, "fio2", 0.6))
    points = pl.DataFrame({"stay_id": ["b", "a", "a", "a", "b"], "hours": [2.0, 5.0, 1.0, 5.1, 3.0]})
    expected = [("a", 1.0, 0.5), ("a", 5.0, 0.5), ("a", 5.1, None), ("b", 2.0, None), ("b", 3.0, 0.6)]
    assert latest(points, seen, "fio2", 4.0).rows() == expected
    assert held(points, measured(seen, "fio2"), 4.0).rows() == expected
    assert latest(points, seen, "fio2")["fio2"].to_list() == [0.5, 0.5, 0.5, None, 0.6]


def test_minutes_as_fractions_are_equal_when_they_are_meant_to_be() -> None:
    seen = observed(("a", 0.1 + 0.2, "fio2", 0.5))  # 0.30000000000000004
    assert latest(pl.DataFrame({"stay_id": ["a"], "hours": [0.3]}), seen, "fio2")["fio2"].to_list() == [0.5]
    assert latest(pl.DataFrame({"stay_id": ["a"], "hours": [0.4]}), seen, "fio2", 0.1)["fio2"].to_list() == [0.5]


def test_running_counts_the_drugs_of_a_stay() -> None:
    rows = observed(
        ("a", 5.0, "norepinephrine", 0.0), ("a", 1.0, "norepinephrine", 0.1), ("a", 2.0, "vasopressin", 2.0),
        ("a", 3.0, "norepinephrine", 0.3), ("a", 5.0, "vasopressin", 0.0), ("b", 1.0, "vasopressin", 0.0),
        ("b", 2.0, "vasopressin", 1.0), ("b", 3.0, "dopamine", 4.0),
    )  # fmt: skip
    assert running(rows, ["norepinephrine", "vasopressin"]).rows() == [
        ("a", 1.0, 1), ("a", 2.0, 2), ("a", 3.0, 2), ("a", 5.0, 0), ("b", 1.0, 0), ("b", 2.0, 1),
    ]  # fmt: skip


def test_cuff_readings_count_without_a_recent_arterial_one() -> None:
    rows = observed(
        ("a", 0.0, "map_noninvasive", 71.0), ("a", 1.0, "map", 80.0), ("a", 1.0, "map_noninvasive", 72.0),
        ("a", 2.0, "map_noninvasive", 73.0), ("a", 2.1, "map_noninvasive", 74.0), ("b", 1.5, "map_noninvasive", 75.0),
    )  # fmt: skip
    expected = [("a", 0.0, 71.0), ("a", 1.0, 80.0), ("a", 2.1, 74.0), ("b", 1.5, 75.0)]
    assert mean_pressure(rows, 60).rows() == expected
    both = observed(("a", 0.0, "sbp", 90.0), ("a", 0.0, "dbp", 60.0), ("a", 9.0, "sbp", 90.0), ("a", 9.0, "dbp", 60.0))
    assert mean_pressure(pl.concat([rows, both]), 60).rows() == expected
    derived = mean_pressure(pl.concat([rows, both]), 60, derive=True)
    assert derived.rows() == sorted([*expected, ("a", 9.0, 70.0)])


def run_of(*met: bool | None, apart: float = 1.0) -> pl.DataFrame:
    hours = [apart * k for k in range(len(met))]
    return pl.DataFrame({"stay_id": "a", "hours": hours, "met": met}, schema_overrides={"met": pl.Boolean})


def spans(episodes: pl.DataFrame) -> list[tuple[float, float]]:
    return episodes.select("onset_hours", "end_hours").rows()


def test_episodes_are_runs_until_an_assessment_says_otherwise() -> None:
    drawn = run_of(False, True, True, True, False, True, False, False, False, False, True, True)
    assert spans(episodes_from(drawn, "x")) == [(1.0, 4.0), (5.0, 6.0), (10.0, 11.0)]
    assert spans(episodes_from(drawn, "x", free_hours=1.0)) == [(1.0, 4.0), (5.0, 6.0), (10.0, 11.0)]
    assert spans(episodes_from(drawn, "x", free_hours=1.1)) == [(1.0, 6.0), (10.0, 11.0)]
    assert spans(episodes_from(drawn, "x", min_hours=1.0)) == [(1.0, 4.0), (10.0, 11.0)]
    assert spans(episodes_from(drawn, "x", min_hours=2.0)) == [(1.0, 4.0)]


def test_an_unknown_assessment_is_none() -> None:
    assert spans(episodes_from(run_of(True, None, True, None, False), "x")) == [(0.0, 4.0)]
    assert spans(episodes_from(run_of(None, None), "x")) == []


def test_gaps_part_runs() -> None:
    assert spans(episodes_from(run_of(True, True, False, apart=2.0), "x", bridge_hours=2.0)) == [(0.0, 4.0)]
    assert spans(episodes_from(run_of(True, True, False, apart=2.0), "x", bridge_hours=1.9)) == [(0.0, 0.0), (2.0, 2.0)]


def test_of_several_assessments_at_one_time_one_suffices() -> None:
    twice = pl.concat([run_of(True, False), run_of(False, True)])
    assert spans(episodes_from(twice, "x")) == [(0.0, 1.0)]


def test_spans_inside_others_are_joined() -> None:
    rows = pl.DataFrame({"stay_id": ["a", "a", "a", "b"], "onset_hours": [0.0, 1, 9, 0], "end_hours": [8.0, 2, 9, 1]})
    expected = [("a", "x", 0.0, 9.0), ("b", "x", 0.0, 1.0)]
    assert joined(rows, "x", 2.0).rows() == expected
    assert joined(rows, "x", 1.0).rows() == [("a", "x", 0.0, 8.0), ("a", "x", 9.0, 9.0), expected[1]]


# --- every complication -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", plugins.names("complications"))
def test_every_complication_keeps_the_contract_on_nothing(name: str) -> None:
    stays, observations = schemas.empty(schemas.Stays), schemas.empty(schemas.Observations)
    found = plugins.build(
        "complications", {"name": name}, stays=stays, observations=observations, given=schemas.empty(schemas.Episodes)
    )
    assert schemas.check(schemas.Episodes, found, name).is_empty()


@pytest.mark.parametrize("name", plugins.names("complications"))
def test_episodes_bear_the_name_of_their_complication(name: str) -> None:
    stays, observations = schemas.empty(schemas.Stays), schemas.empty(schemas.Observations)
    found = plugins.build("complications", {"name": name}, stays=stays, observations=observations, given=GIVEN)
    assert set(found["complication"]) <= {name}


@pytest.mark.parametrize("name", plugins.names("complications"))
def test_every_complication_says_what_it_needs_and_how_far_it_looks_back(name: str) -> None:
    module = sys.modules[plugins.load("complications", name).__module__]
    assert {variable for one in module.NEEDS for variable in one} <= set(vocabulary())
    assert isinstance(module.MEMORY_HOURS, float)
    assert module.MEMORY_HOURS >= 0


# --- every complication that is derived from measurements, on random stays --------------------------------------------

DERIVED = [
    "aki_kdigo", "circulatory_failure", "hyperkalaemia", "hypoglycaemia", "hypotension", "lactic_acidosis",
    "respiratory_failure", "thrombocytopenia",
]  # fmt: skip
VALUES = {  # variable -> (readings a stay, values around the thresholds)
    "potassium": (12, [4.8, 5.4, 5.5, 6.1]),
    "glucose": (20, [60, 69.9, 70, 110]),
    "platelets": (8, [60, 99, 100, 150]),
    "lactate": (40, [1.2, 2.0, 3.9, 4.0, 8.0]),
    "ph": (60, [7.2, 7.35, 7.36, 7.42]),
    "map": (160, [55, 64, 65, 66, 80]),
    "map_noninvasive": (60, [55, 64, 65, 80]),
    "pao2": (10, [60, 80, 99, 120]),
    "spo2": (20, [80, 88, 92.8, 97, 99]),
    "fio2": (8, [0.3, 0.4, 0.5]),
    "norepinephrine": (3, [0, 0.1, 0.4]),
    "vasopressin": (2, [0, 2.4]),
    "creatinine": (10, [0.8, 0.9, 1.2, 1.8, 4.2]),
    "renal_replacement": (1, [0, 1]),
    "urine_output": (40, [0, 20, 40, 150]),
    "weight": (2, [60, 80]),
}


@cache
def random_stays(count: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return stays of 240 h and their observations, at whole minutes, sorted."""
    draw = np.random.default_rng(seed)
    ids = [f"s{k:02}" for k in range(count)]
    rows = [
        (stay, float(minute) / 60, variable, float(draw.choice(values)))
        for stay in ids
        for variable, (readings, values) in VALUES.items()
        for minute in draw.choice(240 * 60, size=readings, replace=False)
    ]
    spans_of = {"start_hours": pl.lit(0.0), "length_hours": pl.lit(240.0), "patient_id": "stay_id", "site": pl.lit("x")}
    stays = stays_table(pl.DataFrame({"stay_id": ids}).with_columns(**spans_of, weight_kg=pl.lit(75.0)))
    return stays, observed(*rows).sort("stay_id", "hours", "variable")


def found_in(name: str, stays: pl.DataFrame, observations: pl.DataFrame, **arguments: Any) -> pl.DataFrame:
    given = schemas.empty(schemas.Episodes)
    spec = {"name": name, **arguments}
    found = plugins.build("complications", spec, stays=stays, observations=observations, given=given)
    return schemas.check(schemas.Episodes, found, name)


@pytest.mark.parametrize("name", DERIVED)
def test_order_of_rows_does_not_matter(name: str) -> None:
    stays, observations = random_stays(20, seed=1)
    expected = found_in(name, stays, observations)
    assert expected["stay_id"].n_unique() > 10
    assert expected.equals(expected.sort("stay_id", "onset_hours"))
    for seed in range(3):
        mixed = observations.sample(fraction=1, shuffle=True, seed=seed)
        assert found_in(name, stays.reverse(), mixed).equals(expected)


@pytest.mark.parametrize("name", DERIVED)
def test_stays_do_not_influence_each_other(name: str) -> None:
    stays, observations = random_stays(12, seed=2)
    alone = [
        found_in(name, stays.filter(own), observations.filter(own))
        for own in (pl.col("stay_id") == stay for stay in stays["stay_id"])
    ]
    assert pl.concat(alone).height > 5
    assert found_in(name, stays, observations).equals(pl.concat(alone))


@pytest.mark.parametrize("name", DERIVED)
@pytest.mark.parametrize("shift", [1.0, 100.0 + 1 / 3])
def test_later_measurements_are_later_episodes(name: str, shift: float) -> None:
    stays, observations = random_stays(12, seed=3)
    observations = observations.filter(pl.col("variable") != "urine_output")  # its first row begins at admission
    later = found_in(name, stays, observations.with_columns(pl.col("hours") + shift))
    expected = found_in(name, stays, observations).with_columns(pl.col("onset_hours", "end_hours") + shift)
    assert expected.height > 5
    assert_frame_equal(later, expected, rel_tol=0, abs_tol=1e-6)


@pytest.mark.parametrize("name", DERIVED)
def test_measurements_of_other_things_do_not_matter(name: str) -> None:
    stays, observations = random_stays(6, seed=4)
    other = observations.filter(pl.col("variable") == "ph").with_columns(pl.lit("temperature").alias("variable"))
    expected = found_in(name, stays, observations)
    assert expected.height > 3
    assert found_in(name, stays, pl.concat([observations, other])).equals(expected)


def inside(points: pl.DataFrame, episodes: pl.DataFrame) -> int:
    """Count the onsets of `points` that lie in an episode of `episodes`, its bounds included."""
    pairs = points.select("stay_id", t="onset_hours").join(episodes, on="stay_id")
    return pairs.filter(pl.col("t").is_between("onset_hours", "end_hours")).height


@pytest.mark.parametrize("name", [name for name in DERIVED if name != "aki_kdigo"])  # see test_aki_kdigo
@pytest.mark.parametrize("cut", [30.0, 60.0, 90.0])
def test_what_is_older_than_the_memory_does_not_change_later_onsets(name: str, cut: float) -> None:
    """Later onsets stay where they are; what begins without the past is the rest of a run over the cut."""
    memory = sys.modules[plugins.load("complications", name).__module__].MEMORY_HOURS
    stays, observations = random_stays(20, seed=5)
    states = ["norepinephrine", "vasopressin"]  # they hold until charted anew, however long ago that was
    kept = pl.col("variable").is_in(states) | (pl.col("hours") >= cut)
    full = found_in(name, stays, observations)
    recent = found_in(name, stays, observations.filter(kept))
    late, rest = (one.filter(pl.col("onset_hours") >= cut + memory) for one in (full, recent))
    assert late.height > 10
    if name == "respiratory_failure":  # a saturation counts once the PaO2 before the cut is forgotten: earlier onsets
        assert inside(late, recent) == late.height
    else:
        assert late.join(recent, on=["stay_id", "onset_hours"], how="semi").height == late.height
    assert inside(rest, full) == rest.height


@pytest.mark.parametrize("name", DERIVED)
def test_what_comes_later_does_not_change_earlier_onsets(name: str) -> None:
    """All onsets of the past are still there, and no new one but of a run that was not yet long enough."""
    stays, observations = random_stays(20, seed=6)
    past = found_in(name, stays, observations.filter(pl.col("hours") <= 120))
    full = found_in(name, stays, observations)
    begun = full.filter(pl.col("onset_hours") <= 120)
    assert past.height > 10
    assert past.join(full, on=["stay_id", "onset_hours"], how="semi").height == past.height
    if name not in {"hypotension", "circulatory_failure"}:  # their runs may not yet be long enough
        assert begun.select("stay_id", "onset_hours").equals(past.select("stay_id", "onset_hours"))


@pytest.mark.parametrize("name", DERIVED)
def test_joining_episodes_keeps_the_first_onset(name: str) -> None:
    stays, observations = random_stays(20, seed=7)
    apart, together = (found_in(name, stays, observations, free_hours=h) for h in (0.0, float("inf")))
    assert together["stay_id"].is_unique().all()
    assert apart.height > together.height > 10
    outer = apart.group_by("stay_id", maintain_order=True).agg(pl.col("onset_hours").min(), pl.col("end_hours").max())
    assert outer.equals(together.drop("complication"))
