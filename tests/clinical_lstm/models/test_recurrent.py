from __future__ import annotations

import pytest
import torch
from torch import nn

from clinical_lstm.batch import Batch
from clinical_lstm.models.gru import GRU
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.models.recurrent import Before, Hidden, HiddenAndCell, Recurrent, initialise_gates
from clinical_lstm.models.rnn import RNN

TARGETS = [("sepsis", 6.0)]
MODELS = [LSTM, GRU, RNN]


def batch(stays: int = 3, steps: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(stays, steps, 4, generator=generator)
    hours = torch.arange(1.0, steps + 1).expand(stays, steps)
    static = torch.randn(stays, 2, generator=generator)
    return Batch(cells, (cells > 0).float(), cells.abs(), hours, static, torch.full((stays,), steps))


@pytest.mark.parametrize("kind", MODELS)
def test_weights_are_drawn_for_the_layers_and_then_for_the_head(kind: type[Recurrent]) -> None:
    """A seed gives the weights that it has always given, so that a run can be made again."""
    torch.manual_seed(3)
    model = kind(4, 2, TARGETS, hidden=6)
    torch.manual_seed(3)
    layers, linear = kind.kernel(4 * 3 + 2 + 1, 6, 1, batch_first=True), nn.Linear(6, 1)
    initialise_gates(layers)
    assert torch.equal(model.head.linear.weight, linear.weight)
    for name, weight in layers.named_parameters():
        assert torch.equal(getattr(model.layers, name), weight)
    assert not list(model.before.parameters())


@pytest.mark.parametrize("kind", MODELS)
def test_without_static_states_it_is_torch_from_zeros(kind: type[Recurrent]) -> None:
    model, given = kind(4, 2, TARGETS, hidden=6, layers=2).eval(), batch()
    features = model.inputs(given)
    assert torch.equal(model.states(features, given), model.layers(features)[0])


def test_the_first_state_is_what_the_equation_says() -> None:
    torch.manual_seed(0)
    before, static = Before(2, tensors=2, layers=3, hidden=4, learnt=True), batch().static
    found = before(static)
    raw = torch.tanh(static @ before.linear.weight.T + before.linear.bias)  # (B, 2 x 3 x 4)
    for n in range(2):
        for layer in range(3):
            begin = (n * 3 + layer) * 4
            torch.testing.assert_close(found[n][layer], raw[:, begin : begin + 4])


@pytest.mark.parametrize("kind", MODELS)
def test_static_variables_reach_the_risk_through_the_first_state_alone(kind: type[Recurrent]) -> None:
    torch.manual_seed(0)
    model, given = kind(4, 2, TARGETS, hidden=6, layers=2, inputs={"static": "state"}).eval(), batch()
    assert model.layers.input_size == 4 * 3 + 1
    other = given._replace(static=given.static + 1)
    assert not torch.allclose(model(given), model(other))
    with torch.no_grad():
        model.before.linear.weight.zero_()
    assert torch.equal(model(given), model(other))
    assert model.initial_state(given.static)[0].abs().max() > 0, "the bias remains"


def test_a_cohort_without_static_variables_begins_at_zeros() -> None:
    model = LSTM(4, 0, TARGETS, inputs={"static": "state"})
    assert not any(part.any() for part in model.initial_state(torch.zeros(3, 0)))


def test_a_state_has_what_the_kernel_remembers() -> None:
    assert type(GRU(4, 2, TARGETS).initial_state(torch.zeros(3, 2))) is Hidden
    assert type(LSTM(4, 2, TARGETS).initial_state(torch.zeros(3, 2))) is HiddenAndCell


@pytest.mark.parametrize("kind", MODELS)
def test_gates_begin_orthogonal_and_without_bias(kind: type[Recurrent]) -> None:
    layers = kind(4, 2, TARGETS, hidden=6, layers=2).layers
    for layer in range(2):
        for gate in getattr(layers, f"weight_hh_l{layer}").detach().split(6):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
        forget = getattr(layers, f"bias_ih_l{layer}").detach().split(6)[1:2] if kind is LSTM else ()
        assert all(torch.equal(part, torch.ones(6)) for part in forget)
        assert getattr(layers, f"bias_hh_l{layer}").abs().sum() == 0
