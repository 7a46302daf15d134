"""Readings are the readers' own numbers, one row per step and layer, under the predictions that they belong to."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from clinical_lstm import plugins, schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.batch import Ragged
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.gates import GateReader
from clinical_lstm.explanation import readings
from clinical_lstm.inference import Predictor


@pytest.fixture(scope="module")
def asked(tiny_run: Run, tiny_cohort: Cohort) -> tuple:
    predictor, stays = Predictor.load(tiny_run), tiny_cohort.table("stays.parquet")
    places = {stay: place for place, stay in enumerate(stays["stay_id"])}
    return predictor.model, Ragged.load(tiny_cohort.path / "tensors"), predictor.scaler, places, predictor.targets


@pytest.fixture(scope="module")
def chosen(tiny_cohort: Cohort) -> pl.DataFrame:
    rows = tiny_cohort.table("labels").filter(pl.col("hours") == pl.col("hours").max().over("stay_id"))
    return rows.unique("stay_id", maintain_order=True).head(5).with_columns(reason=pl.lit("typical"), risk=0.5)


def test_gates_of_every_step_until_the_prediction(asked: tuple, chosen: pl.DataFrame) -> None:
    found = readings(GateReader(), *asked, chosen)
    gates = schemas.check(schemas.GateTraces, found["gates"], "gates")
    memory = schemas.check(schemas.HalfLives, found["half_lives"], "half-lives")
    assert set(gates["stay_id"]) == set(chosen["stay_id"])
    assert (gates["input_hours"] <= gates["hours"]).all()
    assert memory.height == chosen.height * gates["layer"].n_unique() * 8, "8 units"
    last = gates.filter(pl.col("input_hours") == pl.col("hours"))
    assert last.height == chosen.height and np.allclose(last["retained"], 1.0)
    reverse = readings(GateReader(), *asked, chosen.reverse())
    assert reverse["gates"].equals(gates)


def test_a_model_without_attention_is_told(asked: tuple, chosen: pl.DataFrame) -> None:
    reader = plugins.build("explainers", {"name": "attention"})
    with pytest.raises(InputError, match="has no attention; choose one of"):
        readings(reader, *asked, chosen)


def test_attention_weights_of_a_prediction_sum_to_one(asked: tuple, chosen: pl.DataFrame) -> None:
    _, tensors, scaler, places, targets = asked
    spec = {"name": "transformer", "hidden": 8, "heads": 2, "layers": 1}
    sizes = {"n_variables": len(scaler.variables), "n_static": len(scaler.statics), "targets": targets}
    model = plugins.build("models", spec, **sizes).eval()
    reader = plugins.build("explainers", {"name": "attention"})
    found = readings(reader, model, tensors, scaler, places, targets, chosen)["attention"]
    schemas.check(schemas.Attention, found, "attention")
    sums = found.group_by("stay_id", "layer", "head").agg(pl.col("weight").sum())
    assert sums.height == chosen.height * 2 and np.allclose(sums["weight"], 1.0, atol=1e-5)
    assert (found["input_hours"] <= found["hours"]).all()
