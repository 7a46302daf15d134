"""The blend: the mean of logits, calibrated on calib, operated by val, and blind to the labels of test."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Directory, write_table
from clinical_lstm.calibration import fit
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.training.baseline import thresholds_of
from clinical_lstm.training.blend import blend, blended
from clinical_lstm.training.operating import thresholds_of_risks

TARGETS = [("death", 12.0), ("death", 24.0), ("sepsis", 6.0)]


def predictions(seed: int, blur: float = 1.0) -> pl.DataFrame:
    """Return predictions of 60 patients x 10 hours x 3 targets; the truth is the same whatever seed and blur are."""
    truth, noise = np.random.default_rng(0), np.random.default_rng(seed)
    rows = [(f"s{i:02d}", float(hour), *target) for i in range(60) for hour in range(10) for target in TARGETS]
    table = pl.DataFrame(rows, ["stay_id", "hours", "complication", "horizon_hours"], orient="row")
    logit = truth.normal(-1.0, 1.5, len(rows))
    label = (truth.random(len(rows)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    risk = 1 / (1 + np.exp(-(logit + noise.normal(0, blur, len(rows)))))
    splits = np.array(["val", "calib", "test"])[np.arange(len(rows)) // len(TARGETS) // 10 % 3]
    columns = {"label": label, "risk": risk, "at_risk": truth.random(len(rows)) < 0.9, "split": splits}
    table = table.with_columns(**columns, site=pl.lit("A"), patient_id="stay_id", after_onset=pl.lit(False))
    table = table.with_columns(label=pl.when(pl.col("hours") < 9).then("label"), split=pl.col("split").cast(SPLIT))
    return table.select([name for name in schemas.empty(schemas.Predictions).columns if name in table.columns])


SPLIT = schemas.empty(schemas.Predictions).schema["split"]


def placed(folder: Path, **tables: pl.DataFrame) -> dict[str, Directory]:
    for name, table in tables.items():
        write_table(folder / name / "predictions.parquet", table)
    return {name: Directory(folder / name) for name in tables}


def logit(risk: np.ndarray) -> np.ndarray:
    return np.log(risk / (1 - risk))


def test_a_risk_is_the_calibrated_mean_of_logits() -> None:
    tables = {"lstm": predictions(1), "trees": predictions(2)}
    table, maps = blended(tables, "platt")
    sepsis = pl.col("complication") == "sepsis"
    mean = np.mean([logit(one.filter(sepsis)["risk"].to_numpy()) for one in tables.values()], axis=0)
    own = table.filter(sepsis)
    calib = own.select((pl.col("split") == "calib") & pl.col("at_risk") & pl.col("label").is_not_null())
    kept = calib.to_series().to_numpy()
    line = fit("platt", mean[kept], own["label"].to_numpy()[kept])
    assert own["risk"].to_numpy() == pytest.approx(line.apply(mean), abs=1e-12)
    assert maps["sepsis", 6.0].slope == pytest.approx(line.slope)
    assert table.drop("risk").equals(tables["lstm"].drop("risk"))


def test_the_risk_rises_with_the_horizon() -> None:
    table, _ = blended({"lstm": predictions(1), "trees": predictions(2)}, "temperature")
    near, far = (table.filter(complication="death", horizon_hours=h)["risk"].to_numpy() for h in (12.0, 24.0))
    assert (far >= near).all() and (far == near).any() and (far > near).any()


def test_the_mean_of_two_that_err_apart_ranks_better_than_either() -> None:
    tables = {"lstm": predictions(1, blur=2.0), "trees": predictions(2, blur=2.0)}
    both, _ = blended(tables, "identity")
    own = pl.col("at_risk") & pl.col("label").is_not_null() & (pl.col("complication") == "sepsis")
    area = {
        name: auroc(*(one.filter(own)[c].to_numpy() for c in ("label", "risk")))
        for name, one in {**tables, "b": both}.items()
    }
    assert area["b"] > max(area["lstm"], area["trees"])


def test_no_label_of_test_is_read(tmp_path: Path) -> None:
    tables = {"lstm": predictions(1), "trees": predictions(2)}
    first = blend(placed(tmp_path, **tables), tmp_path / "first", "auto", "youden")
    shuffled = pl.when(pl.col("split") == "test").then(1 - pl.col("label")).otherwise("label")
    gone = pl.when(pl.col("split") != "test").then("label")
    for name, label in {"flipped": shuffled, "gone": gone}.items():
        others = {one: table.with_columns(label.cast(pl.Int8).alias("label")) for one, table in tables.items()}
        other = blend(placed(tmp_path / name, **others), tmp_path / name / "blend", "auto", "youden")
        assert other.table("predictions.parquet")["risk"].equals(first.table("predictions.parquet")["risk"])
        for file in ("thresholds.json", "calibrator.json"):
            assert (other.path / file).read_bytes() == (first.path / file).read_bytes()
    moved = pl.when(pl.col("split") == "calib").then(1 - pl.col("label")).otherwise("label").cast(pl.Int8)
    others = {one: table.with_columns(moved.alias("label")) for one, table in tables.items()}
    other = blend(placed(tmp_path / "calib", **others), tmp_path / "calib" / "blend", "auto", "youden")
    assert (other.path / "calibrator.json").read_bytes() != (first.path / "calibrator.json").read_bytes()


def test_it_is_a_directory_like_a_baseline_s_and_made_once(tmp_path: Path) -> None:
    members = placed(tmp_path, lstm=predictions(1), trees=predictions(2))
    made = blend(members, tmp_path / "lstm" / "blend", "platt", "min_se_ppv")
    table = schemas.check(schemas.Predictions, made.table("predictions.parquet"), "it")
    assert thresholds_of(made.path) == thresholds_of_risks(table, "min_se_ppv") and len(thresholds_of(made.path)) == 3
    assert list(made.json("blend.json")["members"]) == ["lstm", "trees"]
    stamp = (made.path / "predictions.parquet").stat().st_mtime_ns
    blend(members, made.path, "platt", "min_se_ppv")
    assert (made.path / "predictions.parquet").stat().st_mtime_ns == stamp
    blend(members, made.path, "platt", "youden")
    assert made.json("thresholds.json")[0]["rule"] == "youden"
    before = made.table("predictions.parquet")
    blend(placed(tmp_path, trees=predictions(3)) | {"lstm": members["lstm"]}, made.path, "platt", "youden")
    assert not made.table("predictions.parquet").equals(before)
    shutil.rmtree(made.path)


def test_other_rows_and_a_lone_member_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lstm and trees predicted different rows"):
        blended({"lstm": predictions(1), "trees": predictions(2).head(30)}, "platt")
    with pytest.raises(InputError, match="two predictors or more, not lstm"):
        blend(placed(tmp_path, lstm=predictions(1)), tmp_path / "blend", "platt", "youden")
