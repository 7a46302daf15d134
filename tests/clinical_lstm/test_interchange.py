"""Labels and predictions leave as MEDS tables that the standard's own classes accept and its evaluation scores."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import meds
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from clinical_lstm import schemas
from clinical_lstm.data.external import external_labels
from clinical_lstm.errors import InputError
from clinical_lstm.interchange import meds_labels, meds_predictions, subject_ids
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.sources.base import stays_table

ADMISSION = datetime(2150, 3, 1, 12)
THRESHOLDS = [{"complication": "death", "horizon_hours": 6, "threshold": 0.5, "rule": "youden", "chosen_on": "val"}]


def stays(patients: list[str], admission: datetime | None, length_hours: float = 50.0) -> pl.DataFrame:
    rows = [
        {"stay_id": f"s{n}", "patient_id": patient, "site": "all", "start_hours": 0.0, "length_hours": length_hours}
        for n, patient in enumerate(patients)
    ]
    table = pl.DataFrame(rows).with_columns(pl.lit(admission, pl.Datetime("us")).alias("admission"))
    return schemas.check(schemas.Stays, stays_table(table), "stays")


def predictions(own: pl.DataFrame, steps: int = 40) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    n = own.height * steps
    label = draw.random(n) < 0.3
    facts = own.select(
        "stay_id", "patient_id", "site", pl.lit("test").cast(pl.Enum([*schemas.SPLITS, "new"])).alias("split")
    )
    table = facts[np.repeat(np.arange(own.height), steps)].with_columns(
        pl.Series("hours", np.tile(np.arange(1.0, steps + 1), own.height)),
        pl.lit("death").alias("complication"),
        pl.lit(6.0).alias("horizon_hours"),
        pl.Series("risk", 1 / (1 + np.exp(-draw.normal(size=n) - label))),
        pl.Series("label", label, pl.Int8),
        pl.Series("at_risk", draw.random(n) < 0.9),
        pl.lit(False).alias("after_onset"),
    )
    return schemas.check(schemas.Predictions, table, "predictions")


def written(table: pl.DataFrame, path: Path) -> Any:
    table.write_parquet(path)
    return pq.read_table(path)


def test_labels_are_valid_meds(tmp_path: Path) -> None:
    own = stays(["12", "x7"], ADMISSION)
    rows = predictions(own)
    labels = rows.select(schemas.Labels.column_names()).with_columns(pl.col("label") * pl.col("at_risk").cast(pl.Int8))
    found = meds_labels(labels, own)
    assert list(found) == ["death_6h"]
    table = written(found["death_6h"], tmp_path / "labels.parquet")
    meds.LabelSchema.validate(table)
    assert found["death_6h"].height == rows["at_risk"].sum()
    first = labels.filter(pl.col("at_risk"), pl.col("stay_id") == "s0").row(0, named=True)
    assert found["death_6h"].filter(subject_id=12).row(0) == (
        12, datetime(2150, 3, 1, 12 + int(first["hours"])), first["label"] == 1,
    )  # fmt: skip


def test_meds_evaluation_scores_the_predictions_as_we_do(tmp_path: Path) -> None:
    evaluate = pytest.importorskip("meds_evaluation.evaluate")
    schema = pytest.importorskip("meds_evaluation.schema")
    own = stays([str(n) for n in range(20)], None)
    rows = predictions(own)
    table = meds_predictions(rows, own, THRESHOLDS)["death_6h"]
    schema.PredictionSchema.validate(written(table, tmp_path / "predictions.parquet"))
    scores = evaluate.evaluate_binary_classification(pl.read_parquet(tmp_path / "predictions.parquet"))
    known = rows.filter("at_risk")
    ours = auroc(known["label"].to_numpy(), known["risk"].to_numpy())
    assert scores["samples_equally_weighted"]["roc_auc_score"] == pytest.approx(ours, abs=1e-6)
    right = ((known["risk"] >= 0.5) == (known["label"] == 1)).mean()
    assert scores["samples_equally_weighted"]["binary_accuracy"] == pytest.approx(right, abs=1e-12)


def test_nominal_stays_of_a_patient_follow_each_other() -> None:
    own = stays(["1", "1", "1", "2"], None, length_hours=24.5)
    table = meds_predictions(predictions(own, 24), own, THRESHOLDS)["death_6h"]
    days = table.filter(subject_id=1)["prediction_time"].dt.truncate("1d").unique().sort().to_list()
    assert [day.day for day in days] == [1, 2, 4, 5, 7, 8]  # hours 1 to 24 of stays that begin on 1, 4 and 7 January
    assert table["prediction_time"].dt.year().unique().to_list() == [2000]
    assert not table.select("subject_id", "prediction_time").is_duplicated().any()
    mixed = own.with_columns(pl.when(pl.col("stay_id") == "s1").then(pl.lit(ADMISSION)).alias("admission"))
    assert meds_predictions(predictions(mixed, 24), mixed, THRESHOLDS)["death_6h"].equals(table)


def test_subjects_are_integers_and_never_shared() -> None:
    found = dict(subject_ids(pl.Series(["7", "-3", "007", "p000001", "99999999999999999999", "7"])).rows())
    assert (found["7"], found["-3"], len(set(found.values()))) == (7, -3, 5)
    assert all(0 <= found[name] < 2**63 for name in ("007", "p000001", "99999999999999999999"))
    names = (f"p{n}" for n in range(1000))  # the hash of one in ten is as short as a number that stands for itself
    name, number = next((name, n) for name in names if len(str(n := subject_ids(pl.Series([name])).item(0, 1))) <= 18)
    with pytest.raises(InputError, match=f"2 patients would share a subject_id, the first are '{number}' and '{name}'"):
        subject_ids(pl.Series([name, str(number), "7"]))


def test_unknown_outcomes_are_left_out_and_missing_thresholds_are_told() -> None:
    own = stays(["1"], ADMISSION)
    rows = predictions(own)
    unknown = rows.with_columns(pl.lit(None, pl.Int8).alias("label"))
    assert meds_predictions(unknown, own, THRESHOLDS) == {}
    with pytest.raises(InputError, match=r"1 target\(s\) of the predictions have no threshold: death_6h"):
        meds_predictions(rows, own, [])
    with pytest.raises(InputError, match="of no known stay, the first of 's0'"):
        meds_predictions(rows, own.with_columns(pl.lit("z").alias("stay_id")), THRESHOLDS)


def test_labels_that_leave_come_back(tmp_path: Path) -> None:
    own = stays(["12", "7"], ADMISSION)
    rows = predictions(own).select(schemas.Labels.column_names())
    labels = rows.with_columns(pl.col("label") * pl.col("at_risk").cast(pl.Int8))
    meds_labels(labels, own)["death_6h"].write_parquet(tmp_path / "labels.parquet")
    back, counts = external_labels(tmp_path / "labels.parquet", own, rows.select("stay_id", "hours"), "death", 6)
    assert back.equals(labels.filter("at_risk"))
    assert counts["used"] == back.height == sum(counts.values())
