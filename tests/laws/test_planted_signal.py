"""The whole pipeline on a known truth: it finds the planted signal, and nothing where the labels are shuffled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.inference import Predictor
from clinical_lstm.metrics.discrimination import auroc
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train
from pipelines.stage import CONF

EFFECTS = {"heart_rate": 2.0, "map": -2.0, "respiratory_rate": 1.5, "lactate": 2.0}
SPLIT = {"fractions": {"train": 0.5, "val": 0.1, "calib": 0.1, "test": 0.3}}


def judged(folder: Path, stays: int, epochs: int, shuffle_labels: bool) -> pl.DataFrame:
    """Return label, risk and true_risk of the test rows at risk after training on synthetic stays."""
    torch.set_num_threads(1)
    source = Synthetic(
        stays=stays,
        mean_hours=30.0,
        rate_per_hour=2.0,
        variables=list(EFFECTS),
        effects=EFFECTS,
        missing={"vital": 0.1, "lab": 0.3},
        lead_hours=12,
        horizon_hours=12,
        onset_per_hour=0.001,
        shuffle_labels=shuffle_labels,
    )
    task = Task.of(yaml.safe_load((CONF / "task" / "planted_12h.yaml").read_text(encoding="utf-8")))
    assert task.horizons_hours == [source.horizon_hours]
    cohort = prepare(source, task, SPLIT, folder / "cohort", "key", {}, say=lambda line: None)
    settings = TrainerSettings(epochs=epochs, learning_rate=0.01, batch_size=64)
    spec = {"name": "lstm", "hidden": 24, "dropout": 0.1}
    run = train(cohort, spec, settings, 1, folder / "run", "key", say=lambda line: None)
    data, splits = training_data(cohort, "uniform")
    test = np.flatnonzero(splits == "test")
    row = np.repeat(np.arange(len(splits)), data.tensors.lengths)
    table = pl.DataFrame(
        {
            "stay_id": cohort.table("stays.parquet")["stay_id"].gather(row),
            "hours": data.tensors.hours,
            "label": data.label[:, 0],
            "risk": Predictor.load(run).risks(data.tensors, test)[:, 0],
        }
    )
    asked = table.filter(pl.Series(np.isin(row, test)), pl.col("label") >= 0)
    return asked.join(source.truth(), on=["stay_id", "hours"], how="left", maintain_order="left")


def area(table: pl.DataFrame, column: str) -> float:
    return auroc(table["label"].to_numpy(), table[column].to_numpy())


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return judged(tmp_path_factory.mktemp("planted"), stays=4000, epochs=8, shuffle_labels=False)


def test_model_finds_the_planted_signal(planted: pl.DataFrame) -> None:
    true = area(planted, "true_risk")
    assert true > 0.85
    assert true - 0.06 < area(planted, "risk") < true


def test_its_risk_is_near_the_true_risk(planted: pl.DataFrame) -> None:
    assert planted["risk"].mean() == pytest.approx(planted["true_risk"].mean(), rel=0.15)
    assert planted.select(pl.corr("risk", "true_risk", method="spearman")).item() > 0.7
    top = planted.filter(pl.col("risk") > planted["risk"].quantile(0.9))
    assert top["label"].mean() == pytest.approx(top["risk"].mean(), rel=0.25)


def test_shuffled_labels_leave_nothing_to_find(tmp_path: Path) -> None:
    table = judged(tmp_path, stays=6000, epochs=4, shuffle_labels=True)
    assert table["label"].sum() > 1000
    assert area(table, "risk") == pytest.approx(0.5, abs=0.06)
