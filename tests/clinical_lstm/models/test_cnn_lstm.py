from __future__ import annotations

import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.cnn_lstm import CNNLSTM

TARGETS = [("sepsis_label", 6.0)]


def batch(steps: int = 9) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(3, steps, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, steps + 1, dtype=torch.float64).expand(3, steps)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.full((3,), steps))


def lstm(layers: torch.nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    h = c = torch.zeros(len(x), layers.hidden_size, dtype=x.dtype)
    states = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ layers.weight_ih_l0.T + layers.bias_ih_l0 + h @ layers.weight_hh_l0.T + layers.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, dim=1)


def test_the_equations_written_out() -> None:
    torch.manual_seed(1)
    model = CNNLSTM(4, 2, TARGETS, hidden=6, blocks=2, kernel=2).double().eval()
    o = model.inputs(batch()) @ model.encoder.weight.T + model.encoder.bias  # (1)
    for level, (convolution,) in enumerate(model.blocks.blocks):
        weight, dilation = convolution.taps.weight, 2**level
        earlier = torch.cat([torch.zeros_like(o[:, :dilation]), o[:, :-dilation]], dim=1)
        found = earlier @ weight[:, :, 0].T + o @ weight[:, :, 1].T + convolution.taps.bias
        found = (found - found.mean(2, keepdim=True)) / (found.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
        o = (o + found.clamp_min(0)).clamp_min(0)  # (2)
    torch.testing.assert_close(model(batch()), model.head(lstm(model.layers, o)), rtol=1e-10, atol=1e-12)  # (3)


def test_its_state_is_what_the_convolutions_need_and_the_memory() -> None:
    model = CNNLSTM(4, 2, TARGETS, hidden=6, layers=2, blocks=3, kernel=3)
    state = model.initial_state(torch.zeros(5, 2))
    assert state.past.shape == (5, 2 * (1 + 2 + 4), 6)
    assert state.hidden.shape == state.cell.shape == (2, 5, 6)


def test_static_variables_may_set_its_memory() -> None:
    torch.manual_seed(2)
    model = CNNLSTM(4, 2, TARGETS, hidden=6, inputs={"static": "state"}).double().eval()
    other = batch()._replace(static=-batch().static)
    assert not torch.equal(model(batch()), model(other))
    assert not model.initial_state(batch().static).past.any()
