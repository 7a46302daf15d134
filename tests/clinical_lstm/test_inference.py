from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm import inference, plugins, schemas
from clinical_lstm.artifacts import Cohort, Run
from clinical_lstm.batch import Batch, Ragged, assemble
from clinical_lstm.calibration import Calibrator, apply_all
from clinical_lstm.errors import InputError
from clinical_lstm.inference import (
    ROWS,
    STEPS,
    Predictor,
    build_model,
    canonical_batches,
    logits,
    predictions_table,
)


@pytest.fixture(scope="module")
def tensors(tiny_cohort: Cohort) -> Ragged:
    return Ragged.load(tiny_cohort.path / "tensors")


@pytest.fixture(scope="module")
def predictor(tiny_run: Run) -> Predictor:
    torch.set_num_threads(1)
    return Predictor.load(tiny_run)


def test_canonical_batches_hold_every_stay_once_in_its_own_length(tensors: Ragged, predictor: Predictor) -> None:
    asked = np.arange(len(tensors.lengths))[::-1]
    seen: list[int] = []
    for stays, batch in canonical_batches(tensors, asked, predictor.scaler):
        steps = batch.values.shape[1]
        assert batch.values.shape[0] == ROWS and steps % STEPS == 0
        assert ((tensors.lengths[stays] > steps - STEPS) & (tensors.lengths[stays] <= steps)).all()
        assert np.array_equal(batch.lengths, np.append(tensors.lengths[stays], np.zeros(ROWS - len(stays))))
        assert not any(part[len(stays) :].any() for part in batch)
        own = assemble(tensors, stays, predictor.scaler, steps)
        assert all(np.array_equal(part[: len(stays)], expected) for part, expected in zip(batch, own))
        seen += stays.tolist()
    assert sorted(seen) == list(range(len(tensors.lengths)))


def test_logits_stand_in_the_rows_of_their_stays(tensors: Ragged, predictor: Predictor) -> None:
    found = logits(predictor.model, tensors, predictor.scaler)
    assert found.shape == (len(tensors.hours), 1) and found.dtype == np.float64 and np.isfinite(found).all()
    for stay in (0, 17, 239):
        with torch.no_grad():
            alone = predictor.model(assemble(tensors, [stay], predictor.scaler).tensors())[0].numpy()
        begin, end = tensors.step_offsets[stay : stay + 2]
        assert np.allclose(found[begin:end], alone, atol=1e-5)


def test_logits_of_some_stays_are_the_same_bits_and_nan_elsewhere(tensors: Ragged, predictor: Predictor) -> None:
    every = logits(predictor.model, tensors, predictor.scaler)
    some = logits(predictor.model, tensors, predictor.scaler, [200, 3])
    own = np.isin(np.repeat(np.arange(len(tensors.lengths)), tensors.lengths), [3, 200])
    assert np.array_equal(some[own], every[own])
    assert np.isnan(some[~own]).all()
    assert logits(predictor.model, tensors, predictor.scaler, []).shape[0] == len(tensors.hours)


def test_a_stay_longer_than_any_of_training_has_risks(tensors: Ragged, predictor: Predictor) -> None:
    """Also one without any step and one without any measurement."""
    hours = np.arange(1.0, 1001.0)
    cells = np.zeros(0)
    long = Ragged(
        step_offsets=np.array([0, 0, 1000]),
        cell_offsets=np.array([0, 0, 0]),
        hours=hours,
        cell_step=cells.astype(np.int32),
        cell_variable=cells.astype(np.uint16),
        cell_value=cells.astype(np.float32),
        cell_age=cells.astype(np.float32),
        static=np.full((2, tensors.static.shape[1]), np.nan, np.float32),
    )
    risks = predictor.risks(long)
    assert risks.shape == (1000, 1)
    assert ((risks > 0) & (risks < 1)).all()


def test_build_model_follows_its_description() -> None:
    sizes = {"n_variables": 3, "n_static": 1, "targets": [["sepsis", 6], ["sepsis", 12]]}
    model = inference.build_model({"model": {"name": "lstm", "hidden": 5, "layers": 2}, "sizes": sizes})
    assert (model.layers.hidden_size, model.layers.num_layers, model.head.linear.out_features) == (5, 2, 2)
    with pytest.raises(InputError, match="hiden"):
        inference.build_model({"model": {"name": "lstm", "hiden": 5}, "sizes": sizes})


def test_ready_threads_sets_the_count_and_quiet_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    inference.ready_threads(1)
    assert torch.get_num_threads() == 1
    assert inference.os.environ["GOMP_SPINCOUNT"] == "1000"


def test_a_run_directory_is_enough_by_itself(
    tiny_run: Run, tensors: Ragged, predictor: Predictor, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "moved")
    moved = Predictor.load(Run(tmp_path / "moved"))
    assert np.array_equal(moved.risks(tensors), predictor.risks(tensors))
    assert moved.targets == [("sepsis_label", 6.0)] and not moved.model.training


@pytest.mark.parametrize("name", ["weights.safetensors", "scaler.parquet", "calibrator.json", "model.json"])
def test_an_altered_or_incomplete_run_is_refused(name: str, tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "run")
    file = tmp_path / "run" / name
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"{name} was altered"):
        Predictor.load(Run(tmp_path / "run"))
    file.unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        Predictor.load(Run(tmp_path / "run"))


def test_risks_are_the_calibrated_logits(tensors: Ragged, predictor: Predictor) -> None:
    bent = dataclasses.replace(predictor, calibrators=[Calibrator("platt", slope=2.0, intercept=-1.0)])
    raw = logits(predictor.model, tensors, predictor.scaler, [5, 6])
    found = bent.risks(tensors, [5, 6])
    asked = ~np.isnan(raw[:, 0])
    assert np.array_equal(found[asked], apply_all(bent.calibrators, raw[asked], bent.targets))
    assert np.isnan(found[~asked]).all() and asked.sum() == tensors.lengths[[5, 6]].sum()


def test_predictions_table_joins_risks_labels_and_stays() -> None:
    labels = pl.DataFrame(
        {
            "stay_id": ["b", "b", "a", "a"],
            "hours": [1.0, 1.0, 1.0, 1.0],
            "complication": ["sepsis"] * 4,
            "horizon_hours": [6.0, 12.0, 6.0, 12.0],
            "label": [0, 1, 0, 0],
            "at_risk": [True] * 4,
            "after_onset": [False] * 4,
        },
        schema_overrides={"label": pl.Int8},
    )
    stays = pl.DataFrame(
        {"stay_id": ["a", "b"], "patient_id": ["p", "q"], "site": ["X", "Y"], "split": ["new", "test"]}
    )
    table = predictions_table(labels, stays, np.array([[0.1, 0.2], [0.3, 0.4]]))
    schemas.check(schemas.Predictions, table, "predictions")
    assert table["stay_id"].to_list() == ["b", "b", "a", "a"]
    assert table["risk"].to_list() == [0.1, 0.2, 0.3, 0.4]
    assert table["patient_id"].to_list() == ["q", "q", "p", "p"]
    assert table["split"].cast(pl.String).to_list() == ["test", "test", "new", "new"]


def test_fill_up_appends_empty_stays(tensors: Ragged, predictor: Predictor) -> None:
    _, batch = next(canonical_batches(tensors, [7], predictor.scaler))
    assert isinstance(batch, Batch) and batch.lengths.tolist() == [tensors.lengths[7]] + [0] * (ROWS - 1)


SIZES = {"n_variables": 3, "n_static": 1, "targets": [["death", 24.0]]}


@pytest.mark.parametrize("name", [name for name in plugins.names("models") if name != "ensemble"])
@pytest.mark.parametrize("value", [0, -3, 1.5, "many", True])
def test_a_size_that_is_none_is_refused_for_every_model(name: str, value: object) -> None:
    with pytest.raises(InputError, match=r"model\.hidden must be a whole number of at least 1, not"):
        build_model({"model": {"name": name, "hidden": value}, "sizes": SIZES})


@pytest.mark.parametrize("change", [{"dropout": 2}, {"dropout": "half"}])
def test_what_makes_no_net_is_told_with_its_numbers(change: dict) -> None:
    with pytest.raises(InputError, match="model lstm cannot be built with dropout="):
        build_model({"model": {"name": "lstm"} | change, "sizes": SIZES})
