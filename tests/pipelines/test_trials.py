"""Real trainings as trials: what is written of complete, pruned and failed ones, and which runs stay."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from clinical_lstm.artifacts import Cohort, Directory, Run, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.metrics.discrimination import auroc
from pipelines import judging, trials
from pipelines.config import CONF, register
from pipelines.spaces import Space
from pipelines.study import Study

SPEC = {
    "name": "x",
    "model": "lstm",
    "trials": 8,
    "seeds": [1, 2],
    "keep": 1,
    "sampler": {"seed": 2, "startup_trials": 8},
    "pruner": {"startup_trials": 1, "warmup_epochs": 0},
    "space": {
        "model.hidden": {"choices": [2, 8]},
        "trainer.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "trainer.ema_decay": {"choices": [0.0, 0.5]},
        "trainer.swa_epochs": {"choices": [0, 1]},  # not both: such a trial fails, with its message
    },
}
KINDS = {
    "model.hidden": int,
    "trainer.ema_decay": float,
    "trainer.learning_rate": float,
    "trainer.swa_epochs": int,
}


def search(cohort: Cohort, base: DictConfig, folder: Path, **changed: object) -> tuple[Study, Directory]:
    """Return the study of a search of real trainings, and its directory."""
    space = Space.of(SPEC | changed, ["lstm"])
    study = Study(folder, "k", space, space.dimensions({key: dict(base[key]) for key in ("model", "trainer")}))
    trials.search(study, base, cohort, Directory(folder))
    return study, Directory(folder)


@pytest.fixture(scope="module")
def found(tiny_cohort, tmp_path_factory):
    """The study, base configuration and folder of a finished search, and its rows of trials.csv."""
    torch.set_num_threads(1)
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        base = compose("config", ["trainer.epochs=2", "trainer.batch_size=32", "trainer.calibration=identity"])
    study, place = search(tiny_cohort, base, tmp_path_factory.mktemp("search"))
    files = trials.write(study, base, tiny_cohort, place, "k")
    assert files == ["trials.csv", "sweep.json", "experiment/best.yaml"]
    with (place.path / "trials.csv").open() as stream:
        return study, base, place, list(csv.DictReader(stream))


def test_every_kind_of_trial_is_counted_once(found):
    _, _, place, rows = found
    assert [row["trial"] for row in rows] == [str(n) for n in range(1, 9)]
    states = [row["state"] for row in rows]
    assert set(states) == {"complete", "pruned", "failed"}
    assert json.loads((place.path / "sweep.json").read_text())["states"] == {s: states.count(s) for s in set(states)}
    for row in rows:
        assert (row["val_auroc"] != "") == (row["state"] == "complete")
        assert ("two ways to average" in row["message"]) == (row["state"] == "failed")
        failed = row["trainer.ema_decay"] == "0.5" and row["trainer.swa_epochs"] == "1"
        assert failed == (row["state"] == "failed")
        assert int(row["epochs_seen"]) in {"complete": [2], "pruned": [1, 2], "failed": [0]}[row["state"]]


def test_the_score_is_the_mean_of_the_kept_epochs_over_seeds(found):
    study, _, place, rows = found
    number, best = study.ranking[0]
    names = sorted(path.name for path in (place.path / "runs").iterdir())
    assert names == [f"trial-{number:03d}-s1", f"trial-{number:03d}-s2"]
    scores = []
    for name in names:
        run = Run(place.path / "runs" / name)
        with (run.path / "history.csv").open() as stream:
            history = list(csv.DictReader(stream))
        scores.append(float(history[run.verify()["best_epoch"] - 1]["val_auroc"]))
    assert best.value == sum(scores) / 2 == max(float(row["val_auroc"]) for row in rows if row["val_auroc"])
    row = rows[number - 1]
    assert [float(row[f"val_auroc_seed_{seed}"]) for seed in (1, 2)] == scores


def test_the_score_of_a_kept_run_is_of_val(found, tiny_cohort):
    study, _, place, rows = found
    number, _ = study.ranking[0]
    run = Run(place.path / "runs" / f"trial-{number:03d}-s1")
    table = judging.predictions_of(run, tiny_cohort).filter((pl.col("split") == "val") & (pl.col("label") >= 0))
    area = auroc(table["label"].to_numpy(), table["risk"].to_numpy())
    assert area == pytest.approx(float(rows[number - 1]["val_auroc_seed_1"]), abs=1e-9)


@pytest.mark.parametrize(("split", "same"), [("test", True), ("val", False)])
def test_labels_of_test_stays_decide_nothing(found, tiny_cohort, tmp_path, split, same):
    _, base, _, rows = found
    cohort = Cohort(shutil.copytree(tiny_cohort.path, tmp_path / "cohort"))
    stays = cohort.table("stays.parquet").filter(pl.col("split").cast(pl.String) == split)["stay_id"]
    turned = pl.when(pl.col("stay_id").is_in(stays.implode()) & (pl.col("label") >= 0))
    for shard in cohort.files("labels"):
        labels = pl.read_parquet(cohort.path / shard)
        kept = labels.with_columns(
            turned.then(1 - pl.col("label")).otherwise(pl.col("label")).cast(pl.Int8).alias("label")
        )
        write_table(cohort.path / shard, kept)
    marker = cohort.marker("prepare")
    cohort.mark("prepare", marker["key"], list(marker["outputs"]))
    first = search(cohort, base, tmp_path, trials=1)[0].trials[0]
    assert first.params == {name: kind(rows[0][name]) for name, kind in KINDS.items()}
    assert (first.user_attrs["scores"] == [float(rows[0][f"val_auroc_seed_{seed}"]) for seed in (1, 2)]) == same


def test_mlflow_is_told_of_every_trial(found, tiny_cohort):
    study, _, _, rows = found
    params, children, _, metrics = trials.tracked(study, tiny_cohort, ["a"])
    assert [child["params"]["state"] for child in children] == [row["state"] for row in rows]
    assert metrics["best_val_auroc"] == study.ranking[0][1].value and params["metric"] == "val_auroc"


def test_a_search_without_success_says_why(tiny_cohort, found, tmp_path):
    _, base, _, _ = found
    wild = {"trainer.learning_rate": {"low": 1e29, "high": 1e30}}
    study, place = search(tiny_cohort, base, tmp_path, trials=1, space=wild)
    with pytest.raises(InputError, match=r"none of 1 trials succeeded.*diverged: val_auroc is nan in epoch 1"):
        trials.write(study, base, tiny_cohort, place, "k")
