"""Time to event: rows that leave before the horizon count, and nothing that a record can hold makes it fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_lstm import schemas
from clinical_lstm.evaluation.rows import labelled
from clinical_lstm.evaluation.sample import Sample
from clinical_lstm.evaluation.waiting import METRICS, time_to_event_sample
from clinical_lstm.metrics import calibration, discrimination
from clinical_lstm.metrics.bootstrap import draws
from clinical_lstm.metrics.concordance import concordance
from clinical_lstm.metrics.survival import brier_over_time, time_to_event

TARGET = ("sepsis", 6.0)


def waited(predictions: pl.DataFrame, replicates: int = 4, seed: int = 0) -> Sample | None:
    table = labelled(predictions, "test", "the ward")
    return time_to_event_sample(table, TARGET, draws(int(table["patients"][0]), replicates, seed))


def early(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that wait for an onset and have time left, sorted."""
    return predictions.filter(pl.col("follow_up_hours") > pl.col("hours")).sort("stay_id", "hours")


def test_without_censoring_it_is_the_brier_score(ward: Any) -> None:
    one = ward(patients=60, noise=0.5).predictions
    found, rows = waited(one), early(one)
    assert found is not None and list(found.values) == METRICS
    y, p = rows["label"].to_numpy(), rows["risk"].to_numpy()
    brier = calibration.brier(y, p)
    assert found.values["brier_censored"] == pytest.approx(brier, abs=1e-12)
    assert found.values["brier_censored_scaled"] == pytest.approx(calibration.brier_skill(y, p), abs=1e-12)
    assert found.values["concordance"] == pytest.approx(discrimination.auroc(y, p), abs=0.03)
    assert found.counts == {"n_rows": len(y), "n_stays": rows["stay_id"].n_unique(), "n_positives": int(y.sum())}


def test_rows_that_leave_before_the_horizon_count(ward: Any) -> None:
    one = ward(patients=60, censored=True).predictions
    found, rows = waited(one), early(one)
    assert found is not None
    lost = rows.filter(~pl.col("at_risk"))
    assert 100 < lost.height < rows.height / 2
    assert found.counts["n_rows"] == rows.height
    assert found.counts["n_positives"] == rows["label"].sum(), "in the last hours positive rows are known, others not"
    hours, onset, end = (
        rows[name].fill_null(float("nan")).to_numpy() for name in ("hours", "onset_hours", "follow_up_hours")
    )
    time, event = time_to_event(hours, onset, end)
    expected = brier_over_time(time, event, rows["risk"].to_numpy()[:, None], np.array([6.0]))
    assert found.values["brier_censored"] == pytest.approx(float(expected.brier[0]), abs=1e-12)
    assert found.values["concordance"] == pytest.approx(concordance(time, event, rows["risk"].to_numpy(), 6.0))
    spoilt = one.with_columns(risk=pl.when("at_risk").then("risk").otherwise(0.999))
    other = waited(spoilt)
    assert other is not None
    assert other.values["concordance"] < found.values["concordance"] - 0.01
    assert other.values["brier_censored"] == found.values["brier_censored"], "whoever left says nothing of their risk"


def test_what_stands_in_for_the_censored_is_close_to_what_they_would_have_shown(ward: Any) -> None:
    """The same ward, followed until every outcome is known, and left when the rows end."""
    whole, cut = (waited(ward(patients=1500, seed=2, censored=censored).predictions, 0) for censored in (False, True))
    assert whole is not None and cut is not None
    assert cut.values["brier_censored"] == pytest.approx(whole.values["brier_censored"], rel=0.06)


def test_a_replicate_is_its_drawn_patients_scored_literally(ward: Any) -> None:
    one = ward(patients=30, censored=True, digits=2).predictions
    table = labelled(one, "test", "the ward")
    blocks = draws(30, 66, seed=4)
    found = time_to_event_sample(table, TARGET, blocks)
    assert found is not None
    drawn = np.concatenate(blocks, axis=1)
    for r in (0, 63, 65):
        again = pl.concat(
            [
                table.filter(pl.col("patient") == p).with_columns(
                    patient=pl.lit(n, pl.Int64), stay_id=pl.col("stay_id") + f"-{n}"
                )
                for n, p in enumerate(np.repeat(np.arange(30), drawn[:, r]))
            ]
        )
        literal = time_to_event_sample(again, TARGET, [])
        assert literal is not None
        assert {name: values[r] for name, values in found.replicates.items()} == pytest.approx(literal.values, abs=1e-9)


def test_a_replicate_has_the_same_bits_in_any_block(ward: Any) -> None:
    table = labelled(ward(patients=30, censored=True).predictions, "test", "the ward")
    blocks = draws(30, 65, seed=4)
    together = time_to_event_sample(table, TARGET, blocks)
    apart = time_to_event_sample(table, TARGET, np.split(np.concatenate(blocks, axis=1), range(1, 65), axis=1))
    assert together is not None and apart is not None
    assert [name for name in METRICS if not np.array_equal(together.replicates[name], apart.replicates[name])] == []


def test_nothing_is_said_where_nobody_is_followed(ward: Any) -> None:
    one = ward(patients=20).predictions
    assert waited(one.drop("follow_up_hours")) is None
    assert waited(one.with_columns(follow_up_hours=pl.lit(0.5), onset_hours=pl.lit(None, pl.Float64))) is None
    assert waited(one.with_columns(after_onset=pl.lit(True))) is None


def test_an_onset_after_the_follow_up_is_not_known(ward: Any) -> None:
    """A stated event may lie beyond the record; what is not followed does not count as seen."""
    one = ward(patients=30).predictions
    beyond = one.with_columns(onset_hours=pl.when(pl.col("follow_up_hours").is_not_null()).then(99.0))
    found = waited(beyond)
    assert found is not None
    assert found.counts["n_positives"] == 0
    assert np.isnan(found.values["concordance"])
    assert found.values["brier_censored"] == pytest.approx((early(one)["risk"] ** 2).mean())


HOUR = st.integers(0, 8).map(float)
ROW = st.tuples(st.sampled_from("abcd"), HOUR, st.one_of(st.none(), HOUR), st.one_of(st.none(), HOUR), st.booleans())


@given(
    st.lists(ROW, min_size=1, max_size=12, unique_by=lambda row: row[:2]),
    st.lists(st.sampled_from([1e-9, 0.2, 0.5, 1 - 1e-9]), min_size=12, max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_small_ward_gives_numbers_or_none(rows: list[tuple], risk: list[float]) -> None:
    stay, hours, onset, follow_up, after = (list(column) for column in zip(*rows))
    table = pl.DataFrame(
        {
            "stay_id": stay,
            "patient_id": ["p1" if name == "b" else f"p{name}" for name in stay],
            "site": ["A"] * len(rows),
            "split": ["test"] * len(rows),
            "hours": hours,
            "complication": ["sepsis"] * len(rows),
            "horizon_hours": [6.0] * len(rows),
            "risk": risk[: len(rows)],
            "label": pl.Series([0] * len(rows), dtype=pl.Int8),
            "at_risk": [True] * len(rows),
            "after_onset": after,
            "onset_hours": pl.Series(onset, dtype=pl.Float64),
            "follow_up_hours": pl.Series(follow_up, dtype=pl.Float64),
        }
    ).cast({"split": schemas.Predictions.split.dtype})
    found = waited(table)
    ahead = [
        u is not None and not a and (o if o is not None and o <= u else u) > h
        for _, h, o, u, a in zip(stay, hours, onset, follow_up, after)
    ]
    assert (found is None) == (not any(ahead))
    if found is not None:
        assert found.counts["n_rows"] == sum(ahead)
        values = np.r_[list(found.values.values()), np.concatenate(list(found.replicates.values()))]
        assert np.isfinite(values[~np.isnan(values)]).all()
        assert all(len(drawn) == 4 for drawn in found.replicates.values())
