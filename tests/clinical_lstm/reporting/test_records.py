"""The tables of what was done: the model's order, strangers kept, targets apart."""

from __future__ import annotations

from clinical_lstm.reporting import records


def test_coverage_follows_the_model_and_keeps_strangers() -> None:
    cohort = {"coverage": {"stranger": {"observations": 3, "stays_share": 0.5, "steps_share": 0.1}}}
    rows = records.coverage(cohort, ["platelets", "male"])
    assert [row["label"] for row in rows] == ["Platelets", "Male sex", "stranger"]
    assert rows[0]["unit"] == "10⁹/L"
    assert rows[0]["observations"] == "–"
    assert rows[1]["plausible"] == "no or yes"
    assert rows[2]["plausible"] == ""
    assert rows[2]["observations"] == "3"


def test_splits_in_order_with_the_share_of_positives_by_target() -> None:
    target = {"complication": "sepsis", "horizon_hours": 6.0, "rows": 2000, "positives": 30, "events": 4}
    empty = {"stays": 2, "patients": 2, "rows": 0, "positives": 0, "events": 0}
    train = {"stays": 90, "patients": 80, "targets": [target, target | {"horizon_hours": 12.0}]}
    rows = records.splits({"splits": {"test": empty, "train": train}})
    assert [row[:2] for row in rows] == [
        ["train", "Sepsis within 6 h"],
        ["train", "Sepsis within 12 h"],
        ["test", "all"],
    ]
    assert rows[0][2:] == ["90", "80", "2\u202f000", "30 (1.5\N{NO-BREAK SPACE}%)", "4"]
    assert rows[2][5] == "0 (–)"
