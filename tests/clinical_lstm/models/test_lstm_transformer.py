from __future__ import annotations

import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.lstm_transformer import LSTMTransformer

TARGETS = [("sepsis", 6.0)]


def batch(stays: int = 3, steps: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(stays, steps, 4, generator=generator)
    hours = torch.rand(stays, steps, generator=generator).cumsum(1)
    return Batch(cells, (cells > 0).float(), cells.abs(), hours, cells[:, 0, :2], torch.full((stays,), steps))


def test_the_equations_written_out() -> None:
    torch.manual_seed(0)
    model = LSTMTransformer(4, 2, TARGETS, hidden=8, heads=2, window_steps=3).eval().double()
    given = Batch(*(part.double() for part in batch()[:5]), batch().lengths)
    encoded = model.inputs(given) @ model.encoder.weight.T + model.encoder.bias  # (1)
    w, u, b = model.lstm.weight_ih_l0, model.lstm.weight_hh_l0, model.lstm.bias_ih_l0 + model.lstm.bias_hh_l0
    h = c = torch.zeros(3, 8, dtype=torch.float64)
    rows, normed = [], model.norm(encoded)
    for t in range(12):
        i, f, g, o = (normed[:, t] @ w.T + h @ u.T + b).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append(encoded[:, t] + h)  # (2)
    expected = model.head(model.layers(torch.stack(rows, dim=1), given.hours))  # (3, 4)
    torch.testing.assert_close(model(given), expected, rtol=1e-10, atol=1e-12)


def test_the_lstm_remembers_what_left_the_window() -> None:
    model, given = LSTMTransformer(4, 2, TARGETS, hidden=8, heads=2, window_steps=2).eval(), batch()
    values = given.values.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(given._replace(values=values))[:, 11].sum(), values)
    assert found[:, 0].any()
    sizes = [part.shape for part in model.initial_state(given.static)]
    assert sizes == [(3, 8), (3, 8), (3, 1, 2, 1, 4), (3, 1, 2, 1, 4), (3, 1)]


def test_stepping_beyond_the_window_equals_the_whole() -> None:
    model, given = LSTMTransformer(4, 2, TARGETS, hidden=8, heads=2, layers=2, window_steps=4).eval(), batch()
    state, found = model.initial_state(given.static), []
    for t in range(12):
        one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones(3, dtype=torch.int64))
        logits, state = model.step(one, state)
        found.append(logits)
    torch.testing.assert_close(torch.stack(found, dim=1), model(given), rtol=1e-5, atol=1e-5)
