from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.models.inputs.piecewise import Piecewise
from clinical_lstm.training.fit import TrainerSettings
from clinical_lstm.training.train import train


def learnt(values: np.ndarray, variable: np.ndarray, variables: int = 1, bins: int = 4) -> Piecewise:
    model = Piecewise(variables, 1, bins)
    model.learn_scale(values.astype(np.float32), variable.astype(np.uint16))
    return model


def encode(model: Piecewise, *values: float) -> torch.Tensor:
    """Return the encodings (n, N) of values of the only variable."""
    return model([torch.tensor(values)[:, None, None]])[:, 0]


def equation(value: float, edges: list[float]) -> list[float]:
    return [min(max((value - low) / (high - low), 0.0), 1.0) for low, high in pairwise(edges)]


def test_edges_are_the_quantiles_of_each_variable() -> None:
    draw = np.random.default_rng(0)
    values, variable = draw.standard_normal(2000), draw.integers(0, 2, 2000)
    model = learnt(values + variable, variable, variables=2)
    for v in range(2):
        expected = np.quantile((values + variable).astype(np.float32)[variable == v], [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(model.edges[v].numpy(), expected, rtol=1e-6)


def test_the_equations_written_out() -> None:
    model = learnt(np.array([-2.0, -1.0, 0.5, 1.0, 4.0]), np.zeros(5))
    edges = [-2.0, -1.0, 0.5, 1.0, 4.0]
    for value in (-3.0, -2.0, -1.2, 0.0, 0.1, 0.5, 2.5, 4.0, 9.0):
        expected = np.subtract(equation(value, edges), equation(0.0, edges))
        np.testing.assert_allclose(encode(model, value)[0].numpy(), expected, atol=1e-6)


def test_what_was_never_observed_is_all_zeros() -> None:
    model = learnt(np.random.default_rng(0).standard_normal(100), np.zeros(100))
    assert not encode(model, 0.0).any()
    assert not encode(Piecewise(1, 1), 0.0).any()


def test_many_equal_values_make_bins_without_width() -> None:
    values = np.append(np.zeros(90), np.linspace(1, 2, 10))
    found = encode(learnt(values, np.zeros(100)), -5.0, 0.0, 1.0, 1.9, 9.0)
    assert found.isfinite().all()
    assert (found.sum(dim=1).diff() >= 0).all()
    assert found[-1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("values", [np.array([]), np.full(50, 0.7), np.array([0.7])])
def test_a_variable_that_train_does_not_tell_apart_says_nothing(values: np.ndarray) -> None:
    model = learnt(values, np.zeros(len(values)))
    given = torch.tensor([-1e6, 0.0, 0.7, 0.7000001, 3.0])[:, None, None].requires_grad_()
    found = model([given])
    assert not found.any()
    found.sum().backward()
    assert not given.grad.any()


def test_the_order_of_the_cells_does_not_matter() -> None:
    draw = np.random.default_rng(0)
    values, variable, order = draw.standard_normal(500), draw.integers(0, 3, 500), draw.permutation(500)
    one, other = (learnt(values[some], variable[some], variables=3) for some in (np.arange(500), order))
    assert torch.equal(one.edges, other.edges)


def test_training_learns_the_edges_from_the_train_split_alone(tiny_cohort: Cohort, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    spec = {"name": "lstm", "hidden": 4, "inputs": {"encoding": "piecewise", "bins": 3}}
    settings = TrainerSettings(epochs=1, batch_size=64)
    run = train(tiny_cohort, spec, settings, 1, tmp_path / "run", "piecewise", say=lambda line: None)
    edges = safetensors.numpy.load_file(run.path / "weights.safetensors")["inputs.encoding.edges"]
    tensors = Ragged.load(tiny_cohort.path / "tensors")
    scaler = Scaler.from_table(tiny_cohort.table("scaler.parquet"))
    cells = pl.DataFrame(
        {
            "split": tiny_cohort.table("stays.parquet")["split"]
            .cast(pl.String)
            .to_numpy()
            .repeat(np.diff(tensors.cell_offsets)),
            "variable": np.asarray(tensors.cell_variable),
            "value": scaler.measured(tensors.cell_value, tensors.cell_variable),
        }
    ).filter(pl.col("split") == "train")
    for v in range(len(scaler.variables)):
        own = cells.filter(pl.col("variable") == v)["value"].to_numpy()
        expected = np.quantile(own, np.linspace(0, 1, 4)) if len(own) else np.zeros(4)
        np.testing.assert_allclose(edges[v], expected, rtol=1e-5, atol=1e-6)
