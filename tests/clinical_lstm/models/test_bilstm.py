from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Batch
from clinical_lstm.data.prepare import prepare
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor
from clinical_lstm.models.bilstm import BiLSTM
from clinical_lstm.prediction import predict
from clinical_lstm.sources.synthetic import Synthetic
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train

TARGETS = [("sepsis_label", 6.0)]
LENGTHS = [9, 4, 1]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(3, 9, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, 10, dtype=torch.float64).expand(3, 9)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.tensor(LENGTHS))


def lstm(layers: torch.nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    """Return the states (T, H) of one stay (T, F)."""
    h = c = torch.zeros(layers.hidden_size, dtype=x.dtype)
    states = []
    for row in x:
        gates = layers.weight_ih_l0 @ row + layers.bias_ih_l0 + layers.weight_hh_l0 @ h + layers.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_equations_written_out_stay_by_stay(layers: int) -> None:
    torch.manual_seed(1)
    model, given = BiLSTM(4, 2, TARGETS, hidden=5, layers=layers).double().eval(), batch()
    features, found = model.inputs(given), model(given)
    for stay, length in enumerate(LENGTHS):
        y = features[stay, :length]
        for forwards, backwards in zip(model.forwards, model.backwards):
            f, b = lstm(forwards, y), lstm(backwards, y.flip(0)).flip(0)  # (1), (2)
            y = torch.cat([f, b], dim=1)  # (3)
        expected = model.head(torch.cat([f, b[:1].expand_as(f)], dim=1))  # (4)
        torch.testing.assert_close(found[stay, :length], expected, rtol=1e-10, atol=1e-12)


def test_both_halves_of_the_last_state_have_read_the_whole_window() -> None:
    torch.manual_seed(2)
    model = BiLSTM(4, 2, TARGETS, hidden=5).double().eval()
    features = model.inputs(batch()).requires_grad_()
    last = model.states(features, batch())[0, 8]
    for half in last.split(5):
        (slope,) = torch.autograd.grad(half.sum(), features, retain_graph=True)
        assert (slope[0].abs().sum(1) > 0).all()


def test_static_variables_may_set_the_memory_of_both_directions() -> None:
    torch.manual_seed(3)
    model = BiLSTM(4, 2, TARGETS, hidden=5, inputs={"static": "state"}).double().eval()
    features = model.inputs(batch())
    one, other = (model.states(features, batch()._replace(static=s)) for s in (batch().static, -batch().static))
    for half in (slice(5), slice(5, 10)):
        assert not torch.equal(one[..., half], other[..., half])


def test_a_stream_is_refused() -> None:
    model, given = BiLSTM(4, 2, TARGETS), batch()
    with pytest.raises(InputError, match="train a causal model"):
        model.start(given.static)
    with pytest.raises(InputError, match="cannot run step by step"):
        model.step(Batch(*(part[:, :1] for part in given[:4]), *given[4:]), None)


# --- as a plug-in: what lies behind a prediction is out of its reach --------------------------------------------------


@pytest.fixture(scope="module")
def source() -> Synthetic:
    return Synthetic(stays=250, mean_hours=30.0, variables=["map"], effects={"map": -1.0}, onset_per_hour=0.01)


def cohort(source: Synthetic, task: Task, path: Path) -> Cohort:
    shares = {"fractions": {"train": 0.4, "val": 0.2, "calib": 0.2, "test": 0.2}}
    return prepare(source, task, shares, path, "", {}, say=lambda line: None)


def test_behind_a_fixed_hour_it_sees_nothing(source: Synthetic, tmp_path: Path) -> None:
    task = Task("once", ["planted"], [100.0], at_hours=12.0, censoring=False)
    made = cohort(source, task, tmp_path / "cohort")
    seen = training_data(made, "uniform")[0].seen
    assert set(seen.lengths) == {12} and training_data(made, "uniform")[0].tensors.lengths.max() > 30
    settings = TrainerSettings(epochs=1, batch_size=32)
    run = train(made, {"name": "bilstm", "hidden": 8}, settings, 1, tmp_path / "run", "key", say=lambda line: None)
    predictor, extract = Predictor.load(run), next(source.extracts())

    def risks(changed: pl.Expr, predictor: Predictor = predictor) -> np.ndarray:
        value = pl.when(changed).then(pl.col("value") + 20).otherwise("value")
        observations = extract.observations.with_columns(value.alias("value"))
        ((found, _),) = predict(run, predictor, [extract._replace(observations=observations)])
        assert set(found["hours"]) == {12.0} and found.height > 100
        return found["risk"].to_numpy()

    unchanged = risks(pl.lit(False))
    assert np.array_equal(unchanged, risks(pl.col("hours") > 12))
    assert (unchanged != risks(pl.col("hours") <= 12)).mean() > 0.9
    whole_stays = replace(predictor, lookback_hours=None)
    assert (unchanged != risks(pl.lit(False), whole_stays)).mean() > 0.9, "whole stays would have told it more"


def test_every_hour_without_a_lookback_is_refused(source: Synthetic, tmp_path: Path) -> None:
    made = cohort(source, Task("hourly", ["planted"], [6.0]), tmp_path / "cohort")
    settings = TrainerSettings(epochs=1)
    with pytest.raises(InputError, match=r"bilstm sees the whole window; .*at_hours.*lookback_hours"):
        train(made, {"name": "bilstm"}, settings, 1, tmp_path / "run", "key", say=lambda line: None)
