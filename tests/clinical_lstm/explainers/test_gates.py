"""Gates: they give back the model's own hidden states, and half-lives are what literal loops and closed forms say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.gates import GateReader
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM

SIZES = {"n_variables": 5, "n_static": 3, "targets": [("sepsis", 6.0), ("death", 24.0)]}
SPECS = [
    {"name": "lstm", "hidden": 8, "layers": 2},
    {"name": "lstm", "hidden": 8, "inputs": {"static": "state"}},
    {"name": "residual_lstm", "hidden": 8, "layers": 3},
    {"name": "cnn_lstm", "hidden": 8},
    {"name": "attention_lstm", "hidden": 8},
    {"name": "lstm_transformer", "hidden": 8},
    {"name": "ensemble", "members": [{"name": "lstm", "hidden": 4}, {"name": "lstm", "hidden": 4, "layers": 2}]},
]


def built(spec: dict[str, Any]) -> SequenceModel:
    torch.manual_seed(1)
    model = plugins.build("models", spec, **SIZES).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return model


def own_states(model: SequenceModel, batch: Batch) -> list[Tensor]:
    """The hidden states (B, T, H) of every nn.LSTM, as torch's own kernel gives them, and the layer they come from."""
    caught: list[Tensor] = []
    hooks = [
        part.register_forward_hook(lambda module, given, answer: caught.append(answer[0]))
        for part in model.modules()
        if isinstance(part, nn.LSTM)
    ]
    with torch.no_grad():
        model(batch)
    for hook in hooks:
        hook.remove()
    return caught


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec['name']}{spec.get('layers', '')}")
def test_gates_give_back_the_hidden_states_of_the_model(spec: dict[str, Any], stays: Batch) -> None:
    model, step = built(spec), stays.lengths - 1
    found = GateReader()(model, stays, step)
    assert found.error.max() < 1e-6
    hidden = found.output * np.tanh(found.cell)  # (B, T, L, H)
    last = [
        number for number, name in enumerate(found.layers) if f"{name[:-3]}[{int(name[-2]) + 1}]" not in found.layers
    ]
    own = own_states(model, stays)
    assert len(last) == len(own)
    for number, states in zip(last, own):
        for row, end in enumerate(step):
            np.testing.assert_allclose(hidden[row, : end + 1, number], states[row, : end + 1].numpy(), atol=1e-6)
            assert not hidden[row, end + 1 :].any()
    for gate in (found.input, found.forget, found.output):
        assert gate.shape == (6, 14, len(found.layers), 4 if spec["name"] == "ensemble" else 8)
        assert 0 <= gate.min() < gate.max() < 1


def test_every_layer_has_its_name(stays: Batch) -> None:
    names = [GateReader()(built(spec), stays, stays.lengths - 1).layers for spec in SPECS]
    assert names[0] == ["layers[0]", "layers[1]"]
    assert names[2] == ["lstms.0[0]", "lstms.1[0]", "lstms.2[0]"]
    assert names[6] == ["members.0.layers[0]", "members.1.layers[0]", "members.1.layers[1]"]


def test_gates_of_one_layer_are_its_equations_written_out(stays: Batch) -> None:
    model = built({"name": "lstm", "hidden": 8})
    found, features = GateReader()(model, stays, stays.lengths - 1), model.inputs(stays)
    lstm, row = model.layers, 0
    h = c = torch.zeros(8)
    for t in range(int(stays.lengths[row])):
        parts = lstm.weight_ih_l0 @ features[row, t] + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
        i, f, new, o = parts.detach().split(8)
        c = f.sigmoid() * c + i.sigmoid() * new.tanh()
        h = o.sigmoid() * c.tanh()
        for gate, own in zip((found.input, found.forget, found.output), (i, f, o)):
            np.testing.assert_allclose(gate[row, t, 0], own.sigmoid().numpy(), atol=1e-6)
        np.testing.assert_allclose(found.cell[row, t, 0], c.numpy(), atol=1e-5)


def test_half_lives_and_what_is_retained_by_literal_loops(stays: Batch) -> None:
    model, step = built(SPECS[0]), torch.tensor([13, 7, 8, 5, 1, 0])
    batch = stays._replace(hours=(stays.hours * 1.5) ** 1.2)  # an uneven grid
    found = GateReader()(model, batch, step)
    for row, end in enumerate(step.tolist()):
        hours = batch.hours[row].double().numpy()
        passed = hours[end] - hours[0] if end else hours[0]
        for layer, unit in np.ndindex(2, 8):
            gates = [found.forget[row, t, layer, unit] for t in range(1 if end else 0, end + 1)]
            steps = math.log(0.5) / math.log(sum(gates) / len(gates))
            assert math.isclose(found.half_life_steps[row, layer, unit], steps, rel_tol=1e-9)
            assert math.isclose(found.half_life_hours[row, layer, unit], steps * passed / len(gates), rel_tol=1e-9)
            product = math.log(0.5) * passed / math.log(math.prod(gates))
            assert math.isclose(found.product_half_life_hours[row, layer, unit], product, rel_tol=1e-9)
            for s in range(14):
                later = [found.forget[row, r, layer, unit] for r in range(s + 1, end + 1)]
                expected = math.prod(later) if s <= end else 0.0
                assert math.isclose(found.retained[row, s, layer, unit], expected, rel_tol=1e-9)
        if end:
            np.testing.assert_allclose(0.5 ** (passed / found.product_half_life_hours[row]), found.retained[row, 0])


@pytest.mark.parametrize("bias", [-2.0, 1.0, 40.0, 2000.0])
def test_constant_gates_have_the_half_life_of_their_bias(bias: float, stays: Batch) -> None:
    model = LSTM(**SIZES, hidden=2).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in model.layers.parameters():
            weight.zero_()
        model.layers.bias_ih_l0[2:4] = bias
    found = GateReader()(model, stays._replace(hours=stays.hours * 2), stays.lengths - 1)
    for hours in (found.half_life_hours, found.product_half_life_hours):
        assert np.isfinite(hours).all()
        if bias < 700:
            np.testing.assert_allclose(hours, 2 * math.log(2) / math.log1p(math.exp(-bias)), rtol=1e-5)
        else:
            assert (hours > 1e200).all(), "exp(-bias) is 0 in 64 bits"


def test_a_model_that_computes_something_else_is_found_out(stays: Batch) -> None:
    class Doubled(nn.LSTM):
        def forward(self, *given: Any) -> Any:
            out, state = super().forward(*given)
            return 2 * out, state

    model = LSTM(**SIZES, hidden=8).eval()  # type: ignore[arg-type]
    model.layers.__class__ = Doubled
    assert GateReader()(model, stays, stays.lengths - 1).error.min() > 0.01


def test_the_future_and_batch_mates_do_not_matter(stays: Batch) -> None:
    model, step = built(SPECS[0]), torch.tensor([3, 7, 8, 5, 1, 0])
    together = GateReader()(model, stays, step)
    later = torch.arange(14)[None, :, None] > step[:, None, None]
    other = GateReader()(model, stays._replace(values=torch.where(later, 9, stays.values)), step)
    for one, two in zip(together[1:], other[1:]):
        assert np.array_equal(one, two)
    for row in range(6):
        alone = GateReader()(model, Batch(*(part[row : row + 1] for part in stays)), step[row : row + 1])
        for one, two in zip(together[1:-1], alone[1:-1]):
            np.testing.assert_allclose(one[row : row + 1], two, rtol=1e-9)


def test_summary_names_the_longest_memories_and_the_most_open_steps(stays: Batch) -> None:
    reader = GateReader(top=3)
    found = reader(built(SPECS[0]), stays, stays.lengths - 1)
    table = reader.summary(found)
    assert table.height == 6 * 2
    for line in table.iter_rows(named=True):
        row, layer = line["row"], found.layers.index(line["layer"])
        memory = found.half_life_hours[row, layer]
        assert line["longest_units"] == sorted(range(8), key=lambda unit: -memory[unit])[:3]
        assert line["longest_half_life_hours"] == sorted(memory, reverse=True)[:3]
        assert line["half_life_hours_p50"] == np.median(memory)
        opened = [found.input[row, t, layer].mean() for t in range(int(stays.lengths[row]))]
        assert line["open_steps"] == sorted(range(len(opened)), key=lambda t: -opened[t])[:3]
        np.testing.assert_allclose(line["open_input"], sorted(opened, reverse=True)[:3])


def test_models_without_such_gates_are_told_which_have_them(stays: Batch) -> None:
    able = "attention_lstm, cnn_lstm, ensemble, lstm, lstm_transformer, residual_lstm"
    for name in ("gru", "tcn", "bilstm"):
        with pytest.raises(InputError, match=f"has no gates of an LSTM .* choose one of the models {able}$"):
            GateReader()(plugins.build("models", {"name": name}, **SIZES).eval(), stays, stays.lengths - 1)
    uneven = {"name": "ensemble", "members": [{"name": "lstm", "hidden": 4}, {"name": "lstm", "hidden": 6}]}
    with pytest.raises(InputError, match=r"2 widths, \[4, 6\]"):
        GateReader()(plugins.build("models", uneven, **SIZES).eval(), stays, stays.lengths - 1)
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        GateReader()(plugins.build("models", {"name": "lstm"}, **SIZES), stays, stays.lengths - 1)
    with pytest.raises(InputError, match="lstm is bidirectional, projected or not batch_first"):
        GateReader()(_Stack(), stays, stays.lengths - 1)
    with pytest.raises(InputError, match="top = 0"):
        GateReader(top=0)


class _Stack(SequenceModel):
    """A causal model that claims to be, around a bidirectional LSTM."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.lstm = nn.LSTM(5, 2, batch_first=True, bidirectional=True)
        self.eval()

    def forward(self, batch: Batch) -> Tensor:
        return self.lstm(batch.values)[0]

    states = initial_state = advance = None  # type: ignore[assignment]
