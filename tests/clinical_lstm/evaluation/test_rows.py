"""Only rows at risk with a known outcome count, and a table from elsewhere is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.evaluation import rows as r
from clinical_lstm.metrics.utility import gain, hours_from_onset


def _table() -> pl.DataFrame:
    """Return s1, whose onset is at 8.5 h; s2 of the same patient, in an episode until 2 h; s3; and s4 of val."""
    table = pl.DataFrame(
        {
            "stay_id": ["s1", "s1", "s1", "s2", "s2", "s2", "s2", "s3", "s4"],
            "patient_id": ["p1", "p1", "p1", "p1", "p1", "p1", "p1", "p0", "p2"],
            "site": ["A", "A", "A", "A", "A", "A", "A", "B", "B"],
            "split": ["test"] * 8 + ["val"],
            "hours": [1.0, 2.0, 9.0, 1.0, 2.0, 3.0, 4.0, 1.0, 1.0],
            "complication": ["sepsis"] * 9,
            "horizon_hours": [6.0] * 9,
            "risk": [0.3, 0.2, 0.9, 0.1, 0.7, 0.4, 0.4, 0.5, 0.6],
            "label": pl.Series([0, 1, 1, 0, 0, 0, None, 0, 0], dtype=pl.Int8),
            "at_risk": [True, True, True, False, False, True, True, True, True],
            "after_onset": [False, False, True, False, False, False, False, False, False],
            "onset_hours": [8.5, 8.5, 8.5, None, None, None, None, None, None],
        }
    )
    return table.cast({"split": schemas.Predictions.split.dtype})


def _rows() -> r.Rows:
    return r.rows_of(r.scored(_table(), "test", "the table"), ("sepsis", 6.0))


def test_unknown_outcomes_and_rows_not_at_risk_are_left_out() -> None:
    kept = r.scored(_table().sample(fraction=1, shuffle=True, seed=0), "test", "the table")
    assert kept.select("stay_id", "hours").rows() == [("s1", 1), ("s1", 2), ("s1", 9), ("s2", 3), ("s3", 1)]
    every = r.labelled(_table(), "test", "the table").select("stay_id", "hours").rows()
    assert every == [("s1", 1), ("s1", 2), ("s1", 9), ("s2", 1), ("s2", 2), ("s2", 3), ("s3", 1)]


def test_rows_are_by_stay_and_hour_with_codes_by_id() -> None:
    rows = _rows()
    assert rows.stay_id.tolist() == ["s1", "s1", "s1", "s2", "s3"]
    assert rows.stay.tolist() == [0, 0, 0, 1, 2]
    assert rows.patient.tolist() == [1, 1, 1, 1, 0]
    assert (rows.patients, rows.risk.tolist()) == (2, [0.3, 0.2, 0.9, 0.4, 0.5])
    assert rows.counts == {"n_rows": 5, "n_stays": 3, "n_positives": 2}
    np.testing.assert_equal(rows.onset, [8.5, 8.5, 8.5, np.nan, np.nan])
    np.testing.assert_equal(rows.ended, [np.nan, np.nan, np.nan, 2.0, np.nan])
    # the onset that the challenge knows = first label 1 at hour 2, plus 6: dt = -7, -6, +1, none, none
    np.testing.assert_allclose(rows.gain, gain(np.array([-7, -6, 1, -np.inf, -np.inf])))
    np.testing.assert_allclose(rows.early_gain, gain(np.array([-7, -6, 99, -np.inf, -np.inf])))


def test_subsets_keep_the_codes_and_the_gain_of_the_whole_stay() -> None:
    rows = _rows()
    part = rows.where(rows.hours > 1)
    assert part.stay.tolist() == [0, 0, 1]
    assert (part.patient.tolist(), part.patients) == ([1, 1, 1], 2)
    np.testing.assert_array_equal(part.gain, rows.gain[[1, 2, 3]])
    assert part.counts == {"n_rows": 3, "n_stays": 2, "n_positives": 2}
    assert rows.where(rows.risk > 2).counts == {"n_rows": 0, "n_stays": 0, "n_positives": 0}


def test_alarms_see_the_rows_before_onset() -> None:
    course = _rows().course()
    assert course.hours.tolist() == [1, 2, 3, 1]
    assert course.label.tolist() == [False, True, False, False]
    assert (course.event_onset.tolist(), course.event_patient.tolist()) == ([8.5], [1])
    assert course.patients == 2
    # of s1 two hours, of s2 one since the episode, of s3, which is alone, one
    assert (course.watched / 3_600_000).tolist() == [1, 3]


def test_patients_are_counted_over_all_targets_and_rows() -> None:
    """A patient with rows of one target only, or never at risk, is drawn all the same: targets share their draws."""
    other = _table().filter(pl.col("stay_id") == "s3").with_columns(complication=pl.lit("death"))
    never = (
        _table()
        .head(1)
        .with_columns(stay_id=pl.lit("s0"), patient_id=pl.lit("p9"), at_risk=pl.lit(False), label=pl.lit(0, pl.Int8))
    )
    scored = r.scored(pl.concat([_table(), other, never]), "test", "the table")
    assert r.targets(scored) == [("death", 6.0), ("sepsis", 6.0)]
    found = [r.rows_of(scored, target) for target in r.targets(scored)]
    assert [one.patients for one in found] == [3, 3]
    assert [one.patient.tolist() for one in found] == [[0], [1, 1, 1, 1, 0]]


def test_a_table_may_lack_what_is_optional() -> None:
    rows = r.rows_of(r.scored(_table().drop("onset_hours"), "test", "the table"), ("sepsis", 6.0))
    assert np.isnan(rows.onset).all()
    assert len(rows.course().event_onset) == 1, "a run of positive rows is an event"


def test_rows_of_a_ward_are_its_rows_at_risk(ward: Any, rows_in: Any) -> None:
    one = ward(patients=30)
    rows = rows_in(one)
    kept = one.predictions.filter("at_risk").sort("stay_id", "hours")
    assert rows.risk.tolist() == kept["risk"].to_list()
    dt = hours_from_onset(*(kept[name].to_numpy() for name in ("stay_id", "hours", "label")))
    np.testing.assert_array_equal(rows.gain, gain(dt))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop("risk"), "lacks the column.*risk"),
        (lambda t: pl.concat([t, t.head(1)]), "primary_key"),
        (lambda t: t.with_columns(risk=pl.lit(1.0)), "risk"),
        (lambda t: t.with_columns(risk=pl.lit(float("nan"))), "risk"),
        (lambda t: t.with_columns(label=pl.lit(2, pl.Int8)), "label"),
        (lambda t: t.with_columns(hours=pl.lit("one")), "hours"),
        (lambda t: t.clear(), r"no row at risk.*no rows"),
        (lambda t: t.filter(split="val"), r"no row at risk.*'test'.*val: 1"),
        (lambda t: t.with_columns(at_risk=pl.lit(False), label=pl.lit(0, pl.Int8)), "no row at risk.*val: 1, test: 8"),
        (lambda t: t.with_columns(label=pl.lit(None, pl.Int8)), "no row at risk"),
    ],
)
def test_faults_of_a_table_are_told(spoil: Callable[[pl.DataFrame], pl.DataFrame], message: str) -> None:
    with pytest.raises(InputError, match=message):
        r.scored(spoil(_table()), "test", "the table")


def test_tables_judged_together_share_their_patients_codes() -> None:
    """One table lacks p0, another p1: their codes alone would both begin with 0."""
    every = r.labelled(_table(), "test", "it")
    parts = {name: r.labelled(_table().filter(pl.col("patient_id") == name), "test", "it") for name in ("p0", "p1")}
    assert {name: part["patient"].unique().to_list() for name, part in parts.items()} == {"p0": [0], "p1": [0]}
    shared = r.together(parts)
    assert {name: part["patient"].unique().to_list() for name, part in shared.items()} == {"p0": [0], "p1": [1]}
    assert {part["patients"][0] for part in shared.values()} == {2}
    assert r.together({"it": every})["it"].equals(every), "alone nothing changes"
