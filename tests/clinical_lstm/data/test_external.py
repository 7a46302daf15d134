"""Labels from outside: each lands at the last step that ended by then, or is counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.data.external import external_labels
from clinical_lstm.errors import InputError

DAY = datetime(2150, 3, 1)
KINDS = {"subject_id": pl.Int64, "prediction_time": pl.Datetime("us"), "boolean_value": pl.Boolean}
STAYS = pl.DataFrame(
    {
        "stay_id": ["b", "a", "c"],
        "patient_id": ["1", "1", "2"],
        "admission": [DAY + timedelta(hours=100), DAY, DAY],
        "length_hours": [10.0, 10.0, 3.5],
    }
)
TIMES = pl.DataFrame(
    {
        "stay_id": ["b"] * 10 + ["a"] * 10 + ["c"] * 3,
        "hours": [float(h) for n in (10, 10, 3) for h in range(1, n + 1)],
        "length_hours": [10.0] * 20 + [3.5] * 3,
    }
)


def write(folder: Path, rows: list[tuple[int, float, bool | None]], file: str = "labels.parquet") -> Path:
    table = [(subject, DAY + timedelta(hours=hours), value) for subject, hours, value in rows]
    pl.DataFrame(table, schema=KINDS, orient="row").write_parquet(folder / file)
    return folder / file


def test_a_label_is_at_the_last_step_that_ended_by_then(tmp_path: Path) -> None:
    path = write(tmp_path, [(1, 2.0, True), (1, 3.99, False), (1, 110.0, True), (2, 3.5, True)])
    labels, counts = external_labels(path, STAYS, TIMES, "sepsis", 24)
    assert labels.select("stay_id", "hours", "label").rows() == [("b", 10, 1), ("a", 2, 1), ("a", 3, 0), ("c", 3, 1)]
    assert labels.columns == schemas.Labels.column_names()
    assert labels.select("complication", "horizon_hours", "at_risk", "after_onset").unique().rows() == [
        ("sepsis", 24.0, True, False)
    ]
    assert counts == {"used": 4} | dict.fromkeys(["no_value", "outside_stays", "before_first_step", "replaced"], 0)


def test_no_step_ends_after_its_prediction_time(tmp_path: Path) -> None:
    minutes = range(60, 600, 7)
    path = write(tmp_path, [(1, minute / 60, False) for minute in minutes])
    labels, counts = external_labels(path, STAYS, TIMES, "sepsis", 6)
    assert labels["hours"].to_list() == [float(h) for h in range(1, 10)]
    assert (counts["used"], counts["replaced"]) == (9, len(minutes) - 9)


def test_of_several_labels_of_a_step_the_last_one_counts(tmp_path: Path) -> None:
    path = write(tmp_path, [(1, 2.5, True), (1, 2.1, False), (1, 2.9, False), (1, 2.9, True)])
    labels, counts = external_labels(path, STAYS, TIMES, "sepsis", 6)
    assert labels.select("hours", "label").rows() == [(2.0, 1)]
    assert (counts["used"], counts["replaced"]) == (1, 3)


def test_what_is_not_used_is_counted_by_reason(tmp_path: Path) -> None:
    rows = [(1, 2.0, None), (9, 2.0, True), (1, 50.0, True), (1, -1.0, True), (1, 0.5, True), (2, 3.0, False)]
    write(tmp_path, rows[:3], "1.parquet"), write(tmp_path, rows[3:], "2.parquet")
    labels, counts = external_labels(tmp_path, STAYS, TIMES, "sepsis", 6)
    assert labels.select("stay_id", "hours").rows() == [("c", 3.0)]
    assert counts == {
        "used": 1, "no_value": 1, "outside_stays": 2, "before_first_step": 1, "replaced": 0,
    }  # fmt: skip


def test_no_label_left_is_an_empty_table_with_the_counts(tmp_path: Path) -> None:
    path = write(tmp_path, [(9, 2.0, True), (1, 50.0, True)])
    labels, counts = external_labels(path, STAYS, TIMES, "sepsis", 6)
    assert labels.is_empty()
    assert counts["outside_stays"] == 1
    assert sum(counts.values()) == 1  # a patient of no stay here is another shard's business


def test_a_stay_without_admission_is_refused(tmp_path: Path) -> None:
    unknown = STAYS.with_columns(pl.when(pl.col("stay_id") != "a").then("admission").alias("admission"))
    with pytest.raises(InputError, match="1 of 3 stay"):
        external_labels(write(tmp_path, [(1, 2.0, True)]), unknown, TIMES, "sepsis", 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("boolean_value").cast(pl.Int64), "lacks boolean_value"),
        (pl.col("prediction_time").dt.replace_time_zone("UTC"), "lacks prediction_time"),
        (pl.col("subject_id").cast(pl.String), r"lacks subject_id.*subject_id \(String\)"),
    ],
)
def test_a_table_that_is_no_label_table_is_refused(tmp_path: Path, change: pl.Expr, message: str) -> None:
    path = write(tmp_path, [(1, 2.0, True)])
    pl.read_parquet(path, memory_map=False).with_columns(change).write_parquet(path)
    with pytest.raises(InputError, match=message):
        external_labels(path, STAYS, TIMES, "sepsis", 6)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no label file"):
        external_labels(tmp_path / "none.parquet", STAYS, TIMES, "sepsis", 6)
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        external_labels(tmp_path / "text.parquet", STAYS, TIMES, "sepsis", 6)
