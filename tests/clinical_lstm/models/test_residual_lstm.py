"""The residual stack against its own equations, written out step by step."""

from __future__ import annotations

import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.residual_lstm import ResidualLSTM

TARGETS = [("sepsis_label", 6.0)]


def batch(size: int = 3, steps: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(size, steps, 4, generator=generator)
    hours = torch.arange(1.0, steps + 1).expand(size, steps)
    return Batch(cells, (cells > 0).float(), cells.abs(), hours, cells[:, 0, :2], torch.full((size,), steps))


def test_the_equations_written_out():
    torch.manual_seed(1)
    model = ResidualLSTM(4, 2, TARGETS, hidden=5, layers=2).eval().double()
    given = Batch(*(part.double() for part in batch()[:5]), batch().lengths)
    encoded = torch.nn.functional.gelu(model.encoder[1](model.encoder[0](model.inputs(given))))  # (1)
    stream = encoded
    for norm, lstm in zip(model.norms, model.lstms):  # (2)
        w, u, b, c = lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0, 0.0
        h, out, x = torch.zeros(3, 5, dtype=torch.float64), [], norm(stream)
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ w.T + h @ u.T + b).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            out.append(h)
        stream = stream + torch.stack(out, dim=1)
    expected = model.head(torch.cat([model.norm(stream), encoded], dim=2))  # (3)
    torch.testing.assert_close(model(given), expected, rtol=1e-10, atol=1e-12)


def test_every_layer_has_its_state():
    model = ResidualLSTM(4, 2, TARGETS, hidden=5, layers=3).eval()
    state = model.initial_state(torch.zeros(3, 2))
    assert state.hidden.shape == state.cell.shape == (3, 3, 5)
    _, after = model.step(Batch(*(part[:, :1] for part in batch()[:4]), *batch()[4:]), state)
    assert all((after.hidden[layer] != 0).any() for layer in range(3))
