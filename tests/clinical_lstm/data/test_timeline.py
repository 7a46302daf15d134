"""A stay's timeline says what the tables say: every letter has its reason."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.artifacts import Cohort
from clinical_lstm.data.task import Task
from clinical_lstm.data.timeline import reason, timeline
from clinical_lstm.errors import InputError


def row(hours: float, label: int = 0, at_risk: bool = True, after_onset: bool = False) -> dict:
    return {"hours": hours, "horizon_hours": 6.0, "label": label, "at_risk": at_risk, "after_onset": after_onset}


@pytest.mark.parametrize(
    ("given", "letter"),
    [
        (row(3, 0), "0"),
        (row(3, 1), "1"),
        (row(11, 1, after_onset=True), "+"),
        (row(10, at_risk=False), "e"),  # equality: the hour of the onset
        (row(12, at_risk=False), "e"),  # and of the end
        (row(13, at_risk=False), "a"),
        (row(9, at_risk=False), "u"),  # 9 + 6 = the end: follow-up suffices, so it is for another reason
        (row(9.5, at_risk=False), "c"),
    ],
)
def test_letters(given: dict, letter: str) -> None:
    assert reason(given, [(10.0, 12.0)], 15.0, Task("t", ["death"], [6.0])) == letter


def test_after_an_episode_a_recurrent_task_goes_on() -> None:
    task = Task("t", ["death"], [6.0], recurrent=True)
    assert reason(row(13, at_risk=False), [(10.0, 12.0)], 15.0, task) == "c"


def test_a_septic_stay_reads_as_its_tables(tiny_cohort: Cohort) -> None:
    episode = tiny_cohort.table("episodes").filter(pl.col("onset_hours") > 20).row(0, named=True)
    text = timeline(tiny_cohort, episode["stay_id"])
    labels = tiny_cohort.table("labels").filter(pl.col("stay_id") == episode["stay_id"])
    strip = "".join(line[16:] for line in text.splitlines() if line.startswith("  within 6"))
    expected = labels.select(
        pl.when("after_onset")
        .then(pl.lit("+"))
        .when("at_risk")
        .then(pl.col("label").cast(pl.String))
        .otherwise(pl.lit("?"))
    ).to_series()
    assert len(strip) == labels.height
    assert all(letter in (want, *("eac" if want == "?" else "")) for letter, want in zip(strip, expected))
    assert f"{episode['onset_hours']:.2f} to" in text
    assert f"stay {episode['stay_id']}, patient" in text


def test_an_unknown_stay_is_refused_with_a_likely_one(tiny_cohort: Cohort) -> None:
    known = tiny_cohort.table("stays.parquet")["stay_id"][0]
    with pytest.raises(InputError, match=f"there is no stay .* did you mean .*{known}"):
        timeline(tiny_cohort, known + "x")
