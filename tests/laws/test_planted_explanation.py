"""The truth is known, so explanations can be wrong: they must find the variables and hours that made the risk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from clinical_lstm.artifacts import Cohort
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.explanation import trust
from clinical_lstm.inference import Predictor
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train
from pipelines.stage import CONF

EFFECTS = {"heart_rate": 2.0, "map": -2.0, "respiratory_rate": 1.5, "lactate": 2.0}
NOISE = ["temperature", "spo2", "potassium", "sodium"]
LEAD, HORIZON = 6, 3  # the risk at t is made in (t - 6, t - 3]
HOURS_BACK = (float(LEAD - HORIZON), float(LEAD))


class Planted(NamedTuple):
    predictor: Predictor
    batches: list[trust.Asked]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A small LSTM trained on synthetic stays, and 40 of its highest risks, each of another test stay."""
    torch.set_num_threads(1)
    source = Synthetic(
        stays=1500,
        mean_hours=24.0,
        rate_per_hour=2.0,
        variables=[*EFFECTS, *NOISE],
        effects=EFFECTS,
        missing={"vital": 0.1, "lab": 0.3},
        lead_hours=LEAD,
        horizon_hours=HORIZON,
        onset_per_hour=0.003,
        memory_hours=3.0,
    )
    spec = yaml.safe_load((CONF / "task" / "planted_12h.yaml").read_text(encoding="utf-8"))
    split = {"fractions": {"train": 0.6, "val": 0.1, "calib": 0.1, "test": 0.2}}
    task = Task.of(spec | {"horizons_hours": [float(HORIZON)]})
    folder = tmp_path_factory.mktemp("planted")
    cohort = prepare(source, task, split, folder / "cohort", "key", {}, say=lambda line: None)
    settings = TrainerSettings(epochs=6, learning_rate=0.01, batch_size=64)
    model = {"name": "lstm", "hidden": 24, "dropout": 0.1}
    run = train(cohort, model, settings, 1, folder / "run", "key", say=lambda line: None)
    return _asked(cohort, Predictor.load(run))


def _asked(cohort: Cohort, predictor: Predictor) -> Planted:
    """Return the 40 highest risks on test, each of another stay."""
    (data, splits), stays = training_data(cohort, "uniform"), cohort.table("stays.parquet")["stay_id"]
    stay, hours = np.repeat(np.arange(len(splits)), data.tensors.lengths), data.tensors.hours
    risk = predictor.risks(data.tensors, np.flatnonzero(splits == "test"))[:, 0]  # NaN elsewhere
    rows = pl.DataFrame({"stay_id": stays.gather(stay), "hours": hours, "risk": risk, "label": data.label[:, 0]})
    rows = rows.filter(pl.col("risk").is_not_nan(), pl.col("label") >= 0, pl.col("hours") >= LEAD)
    highest = rows.sort(-pl.col("risk"), "stay_id", "hours").unique("stay_id", keep="first", maintain_order=True)
    (complication, horizon), *_ = predictor.targets
    named = {"complication": complication, "horizon_hours": horizon, "reason": "highest_risk"}
    chosen = highest.head(40).with_columns(**{name: pl.lit(value) for name, value in named.items()})
    where = {stay_id: k for k, stay_id in enumerate(stays)}
    _, batches = trust.ask(predictor.model, data.tensors, predictor.scaler, where, predictor.targets, chosen)
    return Planted(predictor, batches)


def test_integrated_gradients_put_the_planted_variables_and_hours_first(planted: Planted) -> None:
    model, variables = planted.predictor.model, planted.predictor.scaler.variables
    honest = [IntegratedGradients()(model, *asked) for asked in planted.batches]
    found = trust.recovery(planted.batches, honest, variables, list(EFFECTS), HOURS_BACK)
    assert found["passed"]
    assert found["first"] == 1
    assert found["variables"] > 2 * found["variables_chance"]
    assert found["cells"] > 2.5 * found["cells_chance"]


def test_the_law_catches_wrong_hours_wrong_variables_and_an_untrained_model(planted: Planted) -> None:
    model, variables = planted.predictor.model, planted.predictor.scaler.variables
    honest = [IntegratedGradients()(model, *asked) for asked in planted.batches]
    late = trust.recovery(planted.batches, honest, variables, list(EFFECTS), (12.0, 15.0))
    wrong = trust.recovery(planted.batches, honest, variables, NOISE, HOURS_BACK)
    untrained = [IntegratedGradients()(trust.redrawn(model, 0), *asked) for asked in planted.batches]
    blind = trust.recovery(planted.batches, untrained, variables, list(EFFECTS), HOURS_BACK)
    assert [found["passed"] for found in (late, wrong, blind)] == [False, False, False]
    assert late["first"] == 1
    assert late["cells_high"] < late["cells_chance"] + 0.1
    assert wrong["first"] < 1
    assert blind["cells"] < 0.35
