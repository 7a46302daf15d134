from __future__ import annotations

import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.transformer import Transformer

TARGETS = [("sepsis", 6.0)]


def batch(stays: int = 3, steps: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(stays, steps, 4, generator=generator)
    hours = torch.rand(stays, steps, generator=generator).cumsum(1)
    return Batch(cells, (cells > 0).float(), cells.abs(), hours, cells[:, 0, :2], torch.full((stays,), steps))


def test_it_is_a_linear_encoder_and_the_layers() -> None:
    torch.manual_seed(0)
    model, given = Transformer(4, 2, TARGETS, hidden=16, window_steps=4).eval(), batch()
    encoded = model.inputs(given) @ model.encoder.weight.T + model.encoder.bias
    expected = model.head.linear(model.layers(encoded, given.hours))
    torch.testing.assert_close(model(given), expected)


def test_the_window_bounds_what_a_step_sees_and_stores() -> None:
    model, given = Transformer(4, 2, TARGETS, hidden=16, layers=1, window_steps=4).eval(), batch()
    values = given.values.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(given._replace(values=values))[:, 9].sum(), values)
    assert not found[:, :6].any() and found[:, 6:10].any(dim=2).all()
    assert model.initial_state(given.static).keys.shape == (3, 1, 4, 3, 4)


def test_it_learns_in_mixed_precision() -> None:
    model, given = Transformer(4, 2, TARGETS, hidden=16, dropout=0.0), batch()
    with torch.autocast("cpu", torch.bfloat16):
        found = model(given)
    found.float().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    torch.testing.assert_close(found.float(), model(given), atol=0.1, rtol=0.1)
