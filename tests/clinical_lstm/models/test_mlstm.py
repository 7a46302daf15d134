"""The mLSTM: the parallel form against the recurrent one, the published equations, and the published package."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from clinical_lstm.models import mlstm
from clinical_lstm.models.mlstm import MLSTM

HIDDEN, HEADS, SIZE = 12, 3, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def cell(seed: int = 0, scale: float = 0.3) -> Any:
    """Return a cell of 64 bits none of whose weights is 0."""
    torch.manual_seed(seed)
    made = MLSTM.Memory(HIDDEN, HEADS).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight += scale * torch.randn_like(weight)
    return made


def linear(layer: Any, x: Tensor) -> Tensor:
    return x @ layer.weight.T + layer.bias


def projected(made: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Return q, k, v, o (B, T, N, d) and i, f (B, T, N)."""
    q, k, v, o = linear(made.inward, x).split(HIDDEN, dim=2)
    i, f = linear(made.gates, torch.cat([q, k, v], dim=2)).split(HEADS, dim=2)
    return *(part.unflatten(2, (HEADS, SIZE)) for part in (q, k, v, o)), i, f


def published(made: Any, x: Tensor) -> Tensor:
    """Return y (B, T, H) by equations 1 to 6 as they stand, without a stabiliser: stay by stay, head by head."""
    q, k, v, o, i, f = projected(made, x)
    h = torch.zeros_like(q)
    for stay in range(len(x)):
        for head in range(HEADS):
            memory, n = torch.zeros(SIZE, SIZE, dtype=x.dtype), torch.zeros(SIZE, dtype=x.dtype)
            for t in range(x.shape[1]):
                at = stay, t, head
                memory = torch.sigmoid(f[at]) * memory + torch.exp(i[at]) * torch.outer(v[at], k[at]) / SIZE**0.5
                n = torch.sigmoid(f[at]) * n + torch.exp(i[at]) * k[at] / SIZE**0.5
                h[at] = memory @ q[at] / torch.clamp(torch.abs(n @ q[at]), min=1.0)
    return answered(made, h, o)


def answered(made: Any, h: Tensor, o: Tensor) -> Tensor:
    normed = layer_norm(h, (SIZE,)).flatten(2) * made.norm.weight + made.norm.bias
    return linear(made.outward, torch.sigmoid(o.flatten(2)) * normed)


def streamed(made: Any, x: Tensor) -> Tensor:
    state, found = made.begin(x, len(x)), []
    for seen in x.unbind(1):
        answer, state = made.step(seen, state)
        found.append(answer)
    return torch.stack(found, dim=1)


def test_the_published_equations() -> None:
    made, x = cell(), torch.randn(2, 15, HIDDEN, dtype=torch.float64)
    torch.testing.assert_close(made(x), published(made, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 63, 64, 65, 200])
def test_the_parallel_form_equals_the_recurrent_one(steps: int) -> None:
    made, x = cell(), torch.randn(3, steps, HIDDEN, dtype=torch.float64)
    torch.testing.assert_close(made(x), streamed(made, x), rtol=1e-8, atol=1e-8)


def test_chunks_change_neither_answer_nor_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = cell(), torch.randn(3, 20, HIDDEN, dtype=torch.float64)
    whole = made(x)
    asked = torch.randn_like(whole)
    expected = torch.autograd.grad((whole * asked).sum(), list(made.parameters()))
    monkeypatch.setattr(mlstm, "CHUNK", 6)
    found = made(x)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)
    for own, other in zip(torch.autograd.grad((found * asked).sum(), list(made.parameters())), expected):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-8)


def test_its_gradient_is_that_of_the_recurrent_form() -> None:
    """The parallel form takes the largest weight as a constant: it cancels."""
    made, x = cell(), torch.randn(3, 20, HIDDEN, dtype=torch.float64)
    asked = torch.randn_like(x)
    gradients = [
        torch.autograd.grad((f(x) * asked).sum(), list(made.parameters())) for f in (made, lambda x: streamed(made, x))
    ]
    for own, other in zip(*gradients):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-8)


def test_it_starts_with_long_memories_and_equal_inputs() -> None:
    gates = MLSTM.Memory(HIDDEN, HEADS).gates
    assert torch.equal(gates.bias[HEADS:], torch.linspace(3, 6, HEADS))
    assert not gates.weight.any() and gates.bias[:HEADS].abs().max() < 1


@pytest.mark.parametrize("bias", [-1e4, 0.0, 1e4])
def test_extreme_gates_stay_finite(bias: float) -> None:
    made, x = cell(scale=10.0).float(), 30 * torch.randn(3, 150, HIDDEN)
    with torch.no_grad():
        made.gates.bias[:HEADS] += bias
    for found in (made(x), streamed(made, x)):
        made.zero_grad()
        found.square().sum().backward()
        assert found.isfinite().all()
        assert all(weight.grad.isfinite().all() for weight in made.parameters())


def test_it_agrees_with_the_published_package() -> None:
    backends = pytest.importorskip("xlstm.blocks.mlstm.backends", reason="the package xlstm is not installed")
    made, x = cell(), torch.randn(3, 70, HIDDEN, dtype=torch.float64)
    q, k, v, o, i, f = projected(made, x)
    parts = [part.transpose(1, 2) for part in (q, k, v, i[..., None], f[..., None])]  # (B, N, T, .)
    h = backends.parallel_stabilized_simple(*parts, eps=0.0).transpose(1, 2)
    torch.testing.assert_close(made(x), answered(made, h, o), rtol=1e-8, atol=1e-8)
