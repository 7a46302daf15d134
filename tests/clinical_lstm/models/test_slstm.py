"""The sLSTM against the published equations, in their own stabilised form, and against the published package."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, logsigmoid

from clinical_lstm.batch import Batch
from clinical_lstm.models.slstm import SLSTM

TARGETS = [("sepsis", 6.0)]
HIDDEN, HEADS, SIZE = 12, 3, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def cell(seed: int = 0, scale: float = 1.0) -> Any:
    """Return a cell of 64 bits none of whose weights is 0."""
    torch.manual_seed(seed)
    made = SLSTM.Memory(HIDDEN, HEADS).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight += scale * torch.randn_like(weight)
    return made


def published(made: Any, x: Tensor) -> Tensor:
    """Return h (B, T, H) before the norm: c, n, m and exponential gates, gate by gate, head by head, step by step."""
    w, r = made.inward, made.recurrent.view(HEADS, 4, SIZE, SIZE)
    found = torch.zeros(len(x), x.shape[1], HIDDEN, dtype=x.dtype)
    for head in range(HEADS):
        h = c = n = m = torch.zeros(len(x), SIZE, dtype=x.dtype)
        for t in range(x.shape[1]):
            i, f, z, o = (x[:, t] @ w[head, g].T + h @ r[head, g].T + made.bias[head, g] for g in range(4))
            before, m = m, i if t == 0 else torch.maximum(logsigmoid(f) + m, i)
            kept = torch.zeros_like(i) if t == 0 else torch.exp(logsigmoid(f) + before - m)
            c = kept * c + torch.exp(i - m) * torch.tanh(z)
            n = kept * n + torch.exp(i - m)
            h = torch.sigmoid(o) * c / n
            found[:, t, head * SIZE : (head + 1) * SIZE] = h
    return found


def normed(made: Any, h: Tensor) -> Tensor:
    return layer_norm(h.unflatten(2, (HEADS, SIZE)), (SIZE,)).flatten(2) * made.norm.weight + made.norm.bias


def test_the_published_equations_and_their_gradient() -> None:
    made, x = cell(), torch.randn(5, 20, HIDDEN, dtype=torch.float64)
    found, expected = made(x), normed(made, published(made, x))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    asked = torch.randn_like(found)
    gradients = torch.autograd.grad((found * asked).sum(), list(made.parameters()))
    for own, other in zip(gradients, torch.autograd.grad((expected * asked).sum(), list(made.parameters()))):
        torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-8)


def test_a_residual_layer_around_it() -> None:
    torch.manual_seed(2)
    model = SLSTM(4, 2, TARGETS, hidden=HIDDEN, heads=HEADS, layers=2).double().eval()
    given = ward()
    r = model.encoder(model.inputs(given))
    for norm, layer in zip(model.norms, model.cells):
        r = r + layer(norm(r))
    torch.testing.assert_close(model(given), model.head(model.norm(r)), rtol=1e-12, atol=1e-12)


def test_it_starts_with_long_memories_and_without_recurrence() -> None:
    made = SLSTM.Memory(HIDDEN, HEADS)
    assert torch.equal(made.bias[:, 1].flatten(), torch.linspace(3, 6, HIDDEN))
    assert not made.bias[:, [0, 2, 3]].any() and not made.recurrent.any()


def test_extreme_gates_stay_finite() -> None:
    made, x = cell(scale=1e3).float(), 1e3 * torch.randn(3, 40, HIDDEN)
    found = made(x)
    found.square().sum().backward()
    assert found.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in made.parameters())


def test_one_strong_input_overrules_all_that_was_stored() -> None:
    made, x = cell(), torch.randn(1, 6, HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        made.recurrent.zero_()
        made.inward[:, 0] = 0
        made.inward[:, 0, :, 0] = 1.0  # the input gate follows the first feature
    x[0, 3, 0] = 200.0
    one, other = made(x), made(torch.cat([-x[:, :3], x[:, 3:]], dim=1))
    assert (one[:, 2] - other[:, 2]).abs().max() > 0.1
    torch.testing.assert_close(one[:, 3:], other[:, 3:])


def ward() -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(3, 9, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, 10, dtype=torch.float64).expand(3, 9)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.full((3,), 9))


def test_it_agrees_with_the_published_package() -> None:
    vanilla = pytest.importorskip("xlstm.blocks.slstm.src.vanilla", reason="the package xlstm is not installed")
    made, x = cell(), torch.randn(5, 20, HIDDEN, dtype=torch.float64)
    gates = torch.einsum("bti,ngdi->tbgnd", x, made.inward).flatten(2)  # (T, B, 4H), gates first
    states, _, _ = vanilla.slstm_forward(
        gates,
        torch.zeros(4, 5, HIDDEN, dtype=torch.float64),
        made.recurrent.detach(),
        made.bias.detach().transpose(0, 1).flatten(),
        vanilla.slstm_pointwise_function_registry["slstm"],
    )
    hidden = states[0, 1:].transpose(0, 1)  # (B, T, H)
    torch.testing.assert_close(made(x), normed(made, hidden), rtol=1e-9, atol=1e-9)
