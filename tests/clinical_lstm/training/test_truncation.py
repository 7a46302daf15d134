from __future__ import annotations

import pytest
import torch

from clinical_lstm import plugins
from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.training.data import training_data
from clinical_lstm.training.datamodule import DataModule
from clinical_lstm.training.truncation import proceeds, truncated

NAMES = ["lstm", "gru", "rnn", "residual_lstm"]


@pytest.fixture(scope="module")
def batch(tiny_cohort: Cohort) -> Batch:
    torch.set_num_threads(1)
    data, _ = training_data(tiny_cohort, "uniform")
    return DataModule(data, 16, 1, 1).assemble([data.train[:12]])[0].batch


def made(name: str, batch: Batch, **inputs: object) -> SequenceModel:
    torch.manual_seed(0)
    sizes = {"n_variables": batch.values.shape[2], "n_static": batch.static.shape[1], "targets": [("a", 6.0)]}
    return plugins.build("models", {"name": name, "hidden": 8, "inputs": inputs or None}, **sizes).eval()


def gradients(model: SequenceModel, batch: Batch, steps: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with truncated(model, steps):
        logits = model(batch)
    model.zero_grad()
    logits.sum().backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", NAMES)
def test_a_chunk_as_long_as_the_stay_changes_nothing(name: str, batch: Batch) -> None:
    model = made(name, batch)
    logits, expected = gradients(model, batch, 0)
    found, same = gradients(model, batch, batch.values.shape[1])
    assert torch.equal(found, logits)
    assert all(torch.equal(same[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_have_the_values_of_the_whole_and_other_gradients(name: str, batch: Batch) -> None:
    model = made(name, batch)
    logits, whole = gradients(model, batch, 0)
    found, cut = gradients(model, batch, 5)
    assert torch.allclose(found, logits, atol=1e-5)
    assert not torch.allclose(cut["head.linear.weight"] * 0, whole["head.linear.weight"])
    assert torch.allclose(cut["head.linear.weight"], whole["head.linear.weight"], rtol=1e-3, atol=1e-3)
    recurrent = next(key for key in whole if "weight_hh" in key)
    assert not torch.allclose(cut[recurrent], whole[recurrent], rtol=1e-2)


def test_no_gradient_crosses_the_border_of_a_chunk(batch: Batch) -> None:
    model = made("lstm", batch)
    values = batch.values.clone().requires_grad_()
    with truncated(model, 5):
        model(batch._replace(values=values))[:, 7].sum().backward()
    assert not values.grad[:, :5].any() and values.grad[:, 5:8].any() and not values.grad[:, 8:].any()


def test_the_model_is_as_before_afterwards(batch: Batch) -> None:
    model = made("lstm", batch)
    with pytest.raises(RuntimeError), truncated(model, 5):
        raise RuntimeError
    assert "states" not in vars(model)


def test_what_changes_the_states_alone_cannot_proceed(batch: Batch) -> None:
    class Twice(LSTM):
        """A model whose `proceed` is that of another."""

        def states(self, features: torch.Tensor, batch: Batch) -> torch.Tensor:
            return 2 * super().states(features, batch)

    assert all(proceeds(made(name, batch)) for name in NAMES)
    assert not proceeds(Twice(batch.values.shape[2], batch.static.shape[1], [("a", 6.0)]))
