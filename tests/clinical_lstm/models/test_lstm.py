from __future__ import annotations

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.lstm import LSTM

TARGETS = [("sepsis", 6.0)]


def batch(stays: int = 3, steps: int = 7, variables: int = 4, statics: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    shape = (stays, steps, variables)
    return Batch(
        values=torch.randn(shape, generator=generator),
        mask=(torch.rand(shape, generator=generator) < 0.5).float(),
        delta=5 * torch.rand(shape, generator=generator),
        hours=torch.arange(1.0, steps + 1).expand(stays, -1),
        static=torch.randn(stays, statics, generator=generator),
        lengths=torch.full((stays,), steps),
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def equations(model: LSTM, x: np.ndarray) -> np.ndarray:
    """Return the hidden states (B, T, H) of features (B, T, F) by equations 1 to 5 in float64, layer by layer."""
    weights = {name: weight.detach().double().numpy() for name, weight in model.layers.named_parameters()}
    for layer in range(model.layers.num_layers):
        w, u = weights[f"weight_ih_l{layer}"], weights[f"weight_hh_l{layer}"]
        b = weights[f"bias_ih_l{layer}"] + weights[f"bias_hh_l{layer}"]
        hidden = cell = np.zeros((len(x), model.layers.hidden_size))
        states = []
        for t in range(x.shape[1]):
            i, f, c, o = np.split(x[:, t] @ w.T + hidden @ u.T + b, 4, axis=1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
            hidden = sigmoid(o) * np.tanh(cell)
            states.append(hidden)
        x = np.stack(states, axis=1)
    return x


@pytest.mark.parametrize("layers", [1, 2])
def test_it_computes_its_equations(layers: int) -> None:
    torch.manual_seed(1)
    model = LSTM(4, 2, TARGETS, hidden=6, layers=layers).eval()
    given = batch()
    states = equations(model, model.inputs(given).double().numpy())
    head = model.head.linear
    expected = states @ head.weight.detach().double().numpy().T + head.bias.detach().double().numpy()
    with torch.no_grad():
        assert np.allclose(model(given).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
def test_forget_biases_start_at_one_and_recurrences_orthogonal(layers: int) -> None:
    model = LSTM(4, 2, TARGETS, hidden=6, layers=layers)
    for layer in range(layers):
        i, f, c, o = torch.split(getattr(model.layers, f"bias_ih_l{layer}").detach(), 6)
        assert torch.equal(f, torch.ones(6))
        assert not torch.cat([i, c, o, getattr(model.layers, f"bias_hh_l{layer}").detach()]).any()
        for gate in torch.split(getattr(model.layers, f"weight_hh_l{layer}").detach(), 6):
            assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)


def test_state_of_a_stay_is_its_hidden_and_cell_of_every_layer() -> None:
    model = LSTM(4, 2, TARGETS, hidden=6, layers=2)
    state = model.initial_state(torch.zeros(5, 2))
    assert state._fields == ("hidden", "cell")
    assert {part.shape for part in state} == {torch.Size([2, 5, 6])}
    assert not any(part.any() for part in state)


def test_dropout_acts_in_training_only() -> None:
    model, given = LSTM(4, 2, TARGETS, dropout=0.5), batch()
    model.train()
    assert not torch.equal(model(given), model(given))
    model.eval()
    assert torch.equal(model(given), model(given))


def test_channels_can_be_left_out() -> None:
    model = LSTM(4, 2, TARGETS, inputs={"mask": False, "delta": False, "hours": False})
    assert model.layers.input_size == 4 + 2
    other = batch()._replace(mask=torch.zeros(3, 7, 4), delta=torch.ones(3, 7, 4))
    model.eval()
    assert torch.equal(model(batch()), model(other))


def test_variable_dropout_acts_in_training_only() -> None:
    model, given = LSTM(4, 2, TARGETS, dropout=0.0, inputs={"variable_dropout": 0.5}), batch()
    model.train()
    assert not torch.equal(model(given), model(given))
    model.eval()
    assert torch.equal(model(given), model(given))
