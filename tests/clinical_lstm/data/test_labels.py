"""Labels drawn hour by hour, with equality at every edge; and the same as the official column, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.artifacts import Cohort
from clinical_lstm.data import labels, tensors
from clinical_lstm.data.cleaning import clean, clean_stays
from clinical_lstm.data.task import Task
from clinical_lstm.sources import archive
from clinical_lstm.sources.physionet2019 import PhysioNet2019

Episode = tuple[float, float]  # onset, end


def _episodes(episodes: list[Episode]) -> pl.DataFrame:
    rows = [("a", "death", onset, end) for onset, end in episodes]
    return pl.DataFrame(rows, schema=schemas.empty(schemas.Episodes).schema, orient="row")


def _times(length: float, follow_up: float | None = None) -> pl.DataFrame:
    hours = np.arange(1.0, int(length) + 1)
    return pl.DataFrame({"hours": hours}).select(
        pl.lit("a").alias("stay_id"),
        "hours",
        pl.lit(float(length)).alias("length_hours"),
        pl.lit(follow_up, pl.Float64).alias("follow_up_hours"),
    )


def drawn(length: float, episodes: list[Episode], **task: Any) -> str:
    """Return one letter per hour: 0 or 1 at risk, + counted after the onset, - not at risk."""
    geometry = {"horizons_hours": [6.0], **task}
    return letters(labels.label(Task("t", ["death"], **geometry), _times(length), _episodes(episodes)))


def letters(rows: pl.DataFrame) -> str:
    schemas.check(schemas.Labels, rows, "labels")
    letter = pl.when(~pl.col("at_risk")).then(pl.lit("-")).when("after_onset").then(pl.lit("+"))
    return "".join(rows.select(letter.otherwise(pl.col("label").cast(pl.String)).alias("x"))["x"])


# Hours          1.......10........20      episodes          what is special
VIGNETTES = [
    ("000111111------", 15, [(10, 15)], {}),  # 1 in [onset - 6, onset), silent from the onset on
    ("000111111------", 15, [(9.5, 15)], {}),  # an onset between two hours: 4 and 9 are the last inside the window
    ("0000------", 10, [], {}),  # no event: known until length - 6, equality included, then censored
    ("0000000000", 10, [], {"censoring": False}),  # discharge alive counts as event-free
    ("0000-11111", 10, [(12, 12)], {}),  # the event comes after the record; hour 5 is censored
    ("0001111111", 10, [(10.001, 12)], {"horizons_hours": [6.999], "censoring": False}),
    ("0000111-------", 14, [(8, 14)], {"horizons_hours": [3.0]}),
    ("00001110-----", 13, [(9, 13)], {"gap_hours": 1.0, "horizons_hours": [3.0]}),  # hour 8: the onset lies in the gap
    ("0000111000", 10, [(10.5, 12)], {"gap_hours": 3.0, "horizons_hours": [3.0], "censoring": False}),
    ("000111111++++--", 15, [(10, 15)], {"after_onset_hours": 3.0}),  # the rows of a benchmark, equality included
    ("000111111+-----", 15, [(10, 15)], {"after_onset_hours": 0.0}),
    ("11----------", 12, [(3, 4), (9, 9)], {"horizons_hours": [2.0], "censoring": False}),  # the first event only
    ("11--0011-000", 12, [(3, 4), (9, 9)], {"horizons_hours": [2.0], "censoring": False, "recurrent": True}),
    ("11--0011-0--", 12, [(3, 4), (9, 9)], {"horizons_hours": [2.0], "recurrent": True}),  # and censored at the end
    ("1100-----", 9, [(5, 5), (9, 9)], {"gap_hours": 2.0, "horizons_hours": [4.0], "censoring": False}),
    (
        "1111-100-",
        9,
        [(5, 5), (9, 9)],
        {"gap_hours": 2.0, "horizons_hours": [4.0], "censoring": False, "recurrent": True},
    ),
    ("----------", 10, [(0, 10)], {}),  # the stay begins inside the episode
    ("00-0-0-0", 8, [(3, 3), (5, 5), (7, 7)], {"horizons_hours": [0.5], "censoring": False, "recurrent": True}),
]


@pytest.mark.parametrize(("expected", "length", "episodes", "task"), VIGNETTES)
def test_vignette(expected: str, length: float, episodes: list[Episode], task: dict[str, Any]) -> None:
    assert drawn(length, episodes, **task) == expected


def test_a_row_knows_the_onset_it_is_about_and_until_when_one_would_be_known() -> None:
    geometry = {"horizons_hours": [2.0], "recurrent": True, "after_onset_hours": 1.0}
    rows = labels.label(Task("t", ["death"], **geometry), _times(9, 11.0), _episodes([(3, 4), (7.5, 7.5)]))
    assert rows["onset_hours"].to_list() == [3, 3, 3, 3, 7.5, 7.5, 7.5, 7.5, None]
    assert rows["after_onset"].to_list() == [False, False, True, True, False, False, False, True, False]
    assert rows["follow_up_hours"].to_list() == [11, 11, None, None, 11, 11, 11, 11, 11]
    first = labels.label(Task("t", ["death"], horizons_hours=[2.0]), _times(5), _episodes([(3, 4)]))
    assert first["onset_hours"].to_list() == [3, 3, None, None, None]
    assert first["follow_up_hours"].to_list() == [5, 5, None, None, None]
    none_judged = {"death": pl.Series("stay_id", [], pl.String)}
    unable = labels.label(Task("t", ["death"], horizons_hours=[2.0]), _times(3), _episodes([]), none_judged)
    assert unable["follow_up_hours"].to_list() == [None] * 3


@pytest.mark.parametrize(
    ("onset", "label"),
    [(7.0, 0), (7.0 + 1e-9, 1), (10.0, 1), (10.0 + 1e-9, 0)],
    ids=["=t+g", ">t+g", "=t+g+h", ">t+g+h"],
)
def test_window_is_open_on_the_left_and_closed_on_the_right(onset: float, label: int) -> None:
    """t = 5, g = 2, h = 3: the window is (7, 10]."""
    assert drawn(5, [(onset, 20.0)], gap_hours=2.0, horizons_hours=[3.0], censoring=False)[-1] == str(label)


EPISODES = st.lists(st.integers(0, 40), max_size=6, unique=True).map(
    lambda edges: [(a / 2, b / 2) for a, b in zip(sorted(edges)[::2], sorted(edges)[1::2])]
)


@settings(max_examples=60, deadline=None)
@given(
    EPISODES,
    st.integers(1, 16),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([1.0, 4.0]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0.0, 2.0]),
)
def test_labels_equal_the_definition_written_as_a_loop(
    episodes: list[Episode],
    length: int,
    gap: float,
    horizon: float,
    censoring: bool,
    recurrent: bool,
    keep: float | None,
) -> None:
    expected = ""
    counted = episodes if recurrent else episodes[:1]
    for t in range(1, length + 1):
        ahead = any(t + gap < onset <= t + gap + horizon for onset, _ in counted)
        past = [(onset, end) for onset, end in counted if onset <= t]
        first_ahead = min((onset for onset, _ in counted if onset > t + gap), default=np.inf) <= t + gap + horizon
        assert ahead == first_ahead
        after = keep is not None and bool(past) and t <= past[-1][0] + keep
        at_risk = not (past and t <= past[-1][1]) and (recurrent or not past)
        at_risk &= ahead or not censoring or t + gap + horizon <= length
        expected += "+" if after else str(int(ahead)) if at_risk else "-"
    task = {"gap_hours": gap, "horizons_hours": [horizon], "censoring": censoring, "recurrent": recurrent}
    assert drawn(length, episodes, **task, after_onset_hours=keep) == expected


def test_what_is_stated_is_followed_up_and_what_is_measured_ends_with_the_record() -> None:
    """A record of 10 h, outcomes known until hour 14: negative until 14 - 6, and positive without bias beyond."""
    task, known = Task("t", ["death"], [6.0]), {"death": pl.Series("stay_id", ["a"])}
    assert letters(labels.label(task, _times(10, 14.0), _episodes([]))) == "00000000--"
    assert letters(labels.label(task, _times(10, 14.0), _episodes([(14, 14)]))) == "0000000111"
    assert letters(labels.label(task, _times(10, 14.0), _episodes([]), known)) == "0000------"


def test_whole_horizons_leave_out_what_is_known_only_if_it_is_1() -> None:
    task, known = {"horizons_hours": [6.0], "complications": ["death"], "name": "t"}, {"death": pl.Series(["a"])}
    late = _episodes([(9, 9)])
    assert letters(labels.label(Task(**task), _times(10), late, known)) == "00111111--"
    assert letters(labels.label(Task(**task, whole_horizon=True), _times(10), late, known)) == "0011------"
    assert letters(labels.label(Task(**task, whole_horizon=True), _times(10), late)) == "00111111--"  # stated


def test_a_stay_that_cannot_be_judged_is_not_at_risk() -> None:
    task, nobody = Task("t", ["death"], [6.0], censoring=False), {"death": pl.Series("stay_id", ["b"], pl.String)}
    assert letters(labels.label(task, _times(4), _episodes([]))) == "0000"
    assert letters(labels.label(task, _times(4), _episodes([]), nobody)) == "----"


def test_judged_are_those_of_whom_one_set_of_variables_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "needs", lambda name: [["creatinine"], ["urine_output", "weight_kg"]])
    rows = [("a", "creatinine"), ("b", "urine_output"), ("c", "urine_output"), ("d", "lactate")]
    observations = pl.DataFrame(rows, schema=["stay_id", "variable"], orient="row")
    stays = pl.DataFrame({"stay_id": list("abcd"), "weight_kg": [None, 70.0, None, 80.0]})
    assert labels.judged(Task("t", ["death"], [6.0]), stays, observations)["death"].to_list() == ["a", "b"]


def test_targets_of_a_time_stand_together_in_the_order_of_the_task() -> None:
    task = Task("t", ["death", "sepsis_label"], [2.0, 6.0], censoring=False)
    times = pl.concat([_times(2), _times(1).with_columns(stay_id=pl.lit("b"))])
    rows = labels.label(task, times[::-1], _episodes([(3, 3)]))
    assert rows["stay_id"].to_list() == ["b"] * 4 + ["a"] * 8
    assert rows["hours"].to_list() == [1.0] * 4 + [2.0] * 4 + [1.0] * 4
    assert list(zip(rows["complication"], rows["horizon_hours"])) == task.targets * 3
    assert rows.filter(stay_id="a", complication="death")["label"].to_list() == [1, 1, 1, 1]
    assert rows.filter(stay_id="b")["label"].sum() + rows.filter(complication="sepsis_label")["label"].sum() == 0


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"every_hours": 2.0}, [2, 4, 6]),
        ({"at_hours": 4.0}, [4]),
        ({"at_hours": 7.0}, []),
        ({"min_history_hours": 3.0}, [3, 4, 5, 6]),
        ({"min_history_hours": 3.0, "every_hours": 2.0}, [4, 6]),
        ({"min_history_hours": 5.0, "at_hours": 4.0}, []),
    ],
)
def test_prediction_times(task: dict[str, float], expected: list[int]) -> None:
    hours = np.arange(1.0, 7.0)
    assert hours[labels.predicted(Task("t", ["death"], [6.0], **task), hours)].tolist() == expected


def test_prediction_times_on_a_five_minute_grid() -> None:
    hours = (np.arange(24 * 12) + 1) * (1 / 12)
    asked = labels.predicted(Task("t", ["death"], [6.0], step_hours=1 / 12, every_hours=0.5), hours)
    np.testing.assert_allclose(hours[asked], np.arange(1, 49) / 2)


def test_labels_of_the_shipped_sample_are_the_official_column(tiny_cohort: Cohort, sample: Path) -> None:
    """Row by row: whatever is at risk in the task sepsis_6h bears SepsisLabel; the rest lies behind onset + 3 h."""
    task = Task.of(tiny_cohort.json("manifest.json")["task"])
    raw = {}
    for name, content in archive.records(sample, ".psv"):
        for line in content.decode().splitlines()[1:]:
            *_, hour, label = line.split("|")
            raw[Path(name).stem, float(hour)] = int(label)
    extract = next(PhysioNet2019(str(sample)).extracts())
    stays = clean_stays(extract.stays)
    ragged = tensors.ragged(stays, extract.observations.clear(), [], [], 1.0)
    times = tensors.step_times(stays, ragged)
    rows = labels.label(task, times, labels.episodes_of(task, stays, extract.observations, extract.episodes))
    assert rows.height == len(raw)
    official = np.array([raw[key] for key in zip(rows["stay_id"], rows["hours"])])
    at_risk, after = rows["at_risk"].to_numpy(), rows["after_onset"].to_numpy()
    np.testing.assert_array_equal(rows["label"].to_numpy()[at_risk], official[at_risk])
    assert official[at_risk].sum() > 2000
    onset = rows.select("stay_id").join(extract.episodes, on="stay_id", how="left", maintain_order="left")[
        "onset_hours"
    ]
    behind = rows["hours"].to_numpy() - onset.to_numpy()
    assert (behind[~at_risk] > 3).all()
    np.testing.assert_array_equal(after, (behind >= 0) & (behind <= 3))


def test_labels_do_not_change_when_observations_do(tiny_source: Path, tiny_cohort: Cohort) -> None:
    """The law: what is measured is an input, never an outcome (of complications that the data set states)."""
    task = Task.of(tiny_cohort.json("manifest.json")["task"])
    extract = next(PhysioNet2019(str(tiny_source)).extracts())
    stays = clean_stays(extract.stays)
    random = np.random.default_rng(0)
    noise = pl.Series(random.uniform(0.5, 1.5, extract.observations.height))
    spoilt = extract._replace(observations=extract.observations.with_columns(pl.col("value") * noise).sample(20_000))
    found = []
    for observations, _ in (clean(extract), clean(spoilt)):
        ragged = tensors.ragged(stays, observations, ["heart_rate"], [], task.step_hours)
        episodes = labels.episodes_of(task, stays, observations, extract.episodes)
        found.append(labels.label(task, tensors.step_times(stays, ragged), episodes))
    assert found[0].equals(found[1])
    assert found[0].sort("stay_id", "hours").equals(tiny_cohort.table("labels").sort("stay_id", "hours"))
