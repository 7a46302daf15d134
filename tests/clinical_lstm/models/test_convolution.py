from __future__ import annotations

import numpy as np
import pytest
import torch

from clinical_lstm.errors import InputError
from clinical_lstm.models.convolution import CausalConvolution, ResidualBlocks


def rows(steps: int = 9, width: int = 3) -> torch.Tensor:
    return torch.randn(2, steps, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def nothing(size: int, reach: int, width: int) -> torch.Tensor:
    return torch.zeros(size, reach, width, dtype=torch.float64)


def equations(convolution: CausalConvolution, x: np.ndarray, norm: str) -> np.ndarray:
    """Return (B, T, C) of equation 1 and its norm, tap by tap, in float64."""
    weight, bias = (part.detach().numpy() for part in (convolution.taps.weight, convolution.taps.bias))
    taps, dilation = weight.shape[2], convolution.taps.dilation[0]
    if norm == "weight":
        for channel in range(len(weight)):
            length = np.sqrt((weight[channel] ** 2).sum())
            weight[channel] = convolution.gain[channel].item() * weight[channel] / length
    found = np.tile(bias, (*x.shape[:2], 1))
    for t in range(x.shape[1]):
        for j in range(taps):
            past = t - (taps - 1 - j) * dilation
            if past >= 0:
                found[:, t] += x[:, past] @ weight[:, :, j].T
    if norm == "layer":
        found = (found - found.mean(2, keepdims=True)) / np.sqrt(found.var(2, keepdims=True) + 1e-5)
    return np.maximum(found, 0)


@pytest.mark.parametrize("norm", ["layer", "weight"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (2, 4), (1, 1), (4, 1)])
def test_a_convolution_computes_its_equation(norm: str, kernel: int, dilation: int) -> None:
    torch.manual_seed(1)
    convolution = CausalConvolution(3, kernel, dilation, norm).double()
    if norm == "weight":
        torch.nn.init.uniform_(convolution.gain, 0.5, 2.0)
    found, past = convolution(rows(), nothing(2, convolution.reach, 3))
    expected = equations(convolution, rows().numpy(), norm)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)
    assert convolution.reach == (kernel - 1) * dilation == past.shape[1]
    assert torch.equal(past, rows()[:, 9 - convolution.reach :])


@pytest.mark.parametrize("norm", ["layer", "weight"])
def test_pieces_give_what_the_whole_gives(norm: str) -> None:
    torch.manual_seed(2)
    blocks = ResidualBlocks(3, 3, 2, 3, norm, 0.0).double()
    whole, after = blocks(rows(20), nothing(2, blocks.reach, 3))
    past, found = nothing(2, blocks.reach, 3), []
    for piece in rows(20).split([1, 1, 7, 11], dim=1):
        part, past = blocks(piece, past)
        found.append(part)
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(past, after, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("blocks", "convolutions", "kernel", "reach"), [(3, 2, 3, 28), (2, 1, 3, 6), (1, 2, 2, 2)])
def test_the_receptive_field_is_what_it_says(blocks: int, convolutions: int, kernel: int, reach: int) -> None:
    torch.manual_seed(3)
    stack = ResidualBlocks(8, blocks, convolutions, kernel, "layer", 0.0).double()
    x = rows(40, 8).requires_grad_()
    found, _ = stack(x, nothing(2, stack.reach, 8))
    found[:, 35].sum().backward()
    seen = x.grad.abs().sum(dim=(0, 2)) > 0
    assert stack.reach == reach
    assert seen[35 - reach] and not seen[: 35 - reach].any() and not seen[36:].any()


def test_a_convolution_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'layer'"):
        ResidualBlocks(3, 2, 1, 3, "layr", 0.0)
    for sizes in ({"blocks": 0, "kernel": 3}, {"blocks": 2, "kernel": 0}):
        with pytest.raises(InputError, match="1 or more"):
            ResidualBlocks(3, convolutions=1, norm="layer", dropout=0.0, **sizes)
