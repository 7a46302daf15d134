from __future__ import annotations

import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.tcn import TCN

TARGETS = [("sepsis_label", 6.0)]


def batch(steps: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(2, steps, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, steps + 1, dtype=torch.float64).expand(2, steps)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.full((2,), steps))


@pytest.mark.parametrize("norm", ["weight", "layer"])
def test_the_equations_written_out(norm: str) -> None:
    torch.manual_seed(1)
    model = TCN(4, 2, TARGETS, hidden=6, blocks=2, kernel=2, norm=norm).double().eval()
    given = batch(11)
    o = model.inputs(given) @ model.encoder.weight.T + model.encoder.bias  # (1)
    for level, block in enumerate(model.blocks.blocks):
        found = o
        for convolution in block:
            weight, dilation = convolution.taps.weight, 2**level
            if norm == "weight":
                weight = weight * (convolution.gain / weight.pow(2).sum(dim=(1, 2)).sqrt())[:, None, None]
            earlier = torch.cat([torch.zeros_like(found[:, :dilation]), found[:, :-dilation]], dim=1)
            found = earlier @ weight[:, :, 0].T + found @ weight[:, :, 1].T + convolution.taps.bias
            if norm == "layer":
                found = (found - found.mean(2, keepdim=True)) / (found.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
            found = found.clamp_min(0)
        o = (o + found).clamp_min(0)  # (2)
    torch.testing.assert_close(model(given), model.head(o), rtol=1e-10, atol=1e-12)


def test_by_default_it_sees_61_steps() -> None:
    torch.manual_seed(2)
    model, given = TCN(4, 2, TARGETS, hidden=16).double().eval(), batch(90)
    given = given._replace(values=given.values.requires_grad_())
    model(given)[:, 80].sum().backward()
    seen = given.values.grad.abs().sum(dim=(0, 2)) > 0
    assert model.receptive_steps == 61
    assert seen[20] and not seen[:20].any() and not seen[81:].any()


def test_its_state_is_as_long_as_what_it_sees() -> None:
    model = TCN(4, 2, TARGETS, hidden=6, blocks=3, kernel=4)
    state = model.initial_state(torch.zeros(5, 2))
    assert state.past.shape == (5, model.receptive_steps - 1, 6) == (5, 42, 6)
    assert not state.past.any()
