"""Samples by outcome and before onset: who is in them, that patients differ, and that only the seed decides."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.errors import InputError
from clinical_lstm.explanation.choice import sample_before_onset, sample_by_outcome
from clinical_lstm.explanation.keys import CHOSEN

LEVELS = {
    "true_alarm": (True, 0.8),
    "missed_event": (True, 0.3),
    "false_alarm": (False, 0.7),
    "true_silence": (False, 0.1),
}
BINS = [(0, 1), (1, 2), (2, 4), (4, 6), (6, 12), (12, 24), (24, 48)]


@pytest.fixture(scope="module")
def predictions() -> pl.DataFrame:
    """Twelve stays of ten patients per outcome, sixty hours each; an onset at hour 50, the highest risk at hour 20."""
    rows: list[dict[str, Any]] = []
    for name, (event, peak) in LEVELS.items():
        for i in range(12):
            for hour in range(1, 61):
                after = event and 50 <= hour <= 52
                rows.append(
                    {
                        "stay_id": f"{name}-{i:02}",
                        "patient_id": f"{name}-{i % 10}",
                        "hours": float(hour),
                        "risk": 0.9 if after else peak if hour == 20 else 0.05,
                        "label": int(event and 44 <= hour <= 52),
                        "at_risk": not event or hour <= 52,
                        "after_onset": after,
                        "onset_hours": 50.0 if event and hour <= 52 else None,
                    }
                )
    same = {"site": "A", "split": "test", "complication": "sepsis", "horizon_hours": 6.0}
    types = {"split": pl.Enum([*schemas.SPLITS, "new"]), "label": pl.Int8}
    table = pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in same.items()}).cast(types)
    return schemas.check(schemas.Predictions, table, "predictions")


def test_outcomes_are_balanced_and_stand_at_their_highest_risk_before_onset(predictions: pl.DataFrame) -> None:
    found = sample_by_outcome(predictions, 0.5, 17, seed=3)
    assert found.columns == CHOSEN
    assert found["reason"].to_list() == [f"{name}_sample" for name in LEVELS for _ in range(5)]
    for stay, hours, reason, risk in found.select("stay_id", "hours", "reason", "risk").rows():
        assert f"{stay.split('-')[0]}_sample" == reason
        assert (hours, risk) == (20.0, LEVELS[stay.split("-")[0]][1])
    everyone = sample_by_outcome(predictions, 0.5, 1000, seed=3)
    assert everyone.height == 40, "one stay of each of ten patients per outcome"
    patients = everyone["stay_id"].str.replace(r"-(\d+)$", "").to_list()
    assert {patients.count(name) for name in LEVELS} == {10}


def test_a_threshold_that_risks_reach_is_an_alarm(predictions: pl.DataFrame) -> None:
    counts = {t: dict(sample_by_outcome(predictions, t, 400, 1)["reason"].value_counts().rows()) for t in (0.3, 0.31)}
    assert counts[0.3]["true_alarm_sample"] == 20
    assert "missed_event_sample" not in counts[0.3]
    assert counts[0.31]["missed_event_sample"] == 10


def test_every_bin_before_onset_has_its_predictions(predictions: pl.DataFrame) -> None:
    found = sample_before_onset(predictions, 50, seed=3)
    assert found.columns == CHOSEN
    assert set(found["reason"]) == {"before_onset_sample"}
    ahead = (50.0 - found["hours"]).to_list()
    for low, high in BINS:
        own = found.filter(pl.Series([low < hours <= high for hours in ahead]))
        assert own.height == 8
        patients = predictions.join(own, on=["stay_id", "hours"], how="semi")["patient_id"]
        assert patients.n_unique() == 8
    assert set(found["stay_id"].str.split("-").list.first()) == {"true_alarm", "missed_event"}
    assert len({hours for hours in ahead if hours > 24}) > 3, "any hour of the bin"


@pytest.mark.parametrize("sample", [lambda t, n, s: sample_by_outcome(t, 0.5, n, s), sample_before_onset])
def test_only_the_seed_decides(predictions: pl.DataFrame, sample: Any) -> None:
    once = sample(predictions, 14, 7)
    assert sample(predictions.sample(fraction=1.0, shuffle=True, seed=0), 14, 7).equals(once)
    assert not sample(predictions, 14, 8).equals(once)
    assert sample(predictions, 0, 7).height == 0
    assert sample(predictions.clear(), 14, 7).height == 0


def test_new_data_without_labels_has_neither(predictions: pl.DataFrame) -> None:
    new = predictions.with_columns(
        label=pl.lit(None, pl.Int8), after_onset=pl.lit(False), onset_hours=pl.lit(None, pl.Float64)
    )
    assert sample_by_outcome(new, 0.5, 40, 1).height == 0
    assert sample_before_onset(new, 40, 1).height == 0
    assert sample_before_onset(predictions.drop("onset_hours"), 40, 1).height == 0


def test_several_targets_are_refused(predictions: pl.DataFrame) -> None:
    both = pl.concat([predictions, predictions.with_columns(horizon_hours=12.0)])
    with pytest.raises(InputError, match="2 targets"):
        sample_by_outcome(both, 0.5, 4, 1)
    with pytest.raises(InputError, match="2 targets"):
        sample_before_onset(both, 4, 1)
