from __future__ import annotations

import numpy as np
import pytest
import torch

from clinical_lstm.errors import InputError
from clinical_lstm.models.window_attention import AdditiveAttention, MultiheadAttention, WindowAttention

WIDTH = 6
KINDS = {"additive": lambda: AdditiveAttention(WIDTH), "multihead": lambda: MultiheadAttention(WIDTH, 2)}


def states(steps: int) -> torch.Tensor:
    return torch.randn(3, steps, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def linear(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    found = x @ layer.weight.detach().numpy().T
    return found if layer.bias is None else found + layer.bias.detach().numpy()


def equations(attention: WindowAttention, h: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return contexts (B, T, H) and weights (B, heads, T, W) of equations 1 to 5, pair by pair, in float64."""
    heads = 2 if isinstance(attention, MultiheadAttention) else 1
    contexts, weights = np.zeros_like(h), np.zeros((len(h), heads, h.shape[1], window))
    for b, t in np.ndindex(h.shape[:2]):
        past = h[b, max(0, t - window + 1) : t + 1]  # (S, H), the latest last
        query, keys = linear(attention.query, h[b, t]), linear(attention.key, past)
        if heads == 1:
            scores = linear(attention.score, np.tanh(query + keys))  # (S, 1): equation 2
        else:
            scores = np.stack([keys[:, k] @ query[k] / np.sqrt(3) for k in (slice(3), slice(3, 6))], axis=1)  # 4
        a = np.exp(scores) / np.exp(scores).sum(0)  # (S, heads): equation 1
        if heads == 1:
            contexts[b, t] = a[:, 0] @ past  # 3
        else:
            value = linear(attention.value, past)
            contexts[b, t] = linear(
                attention.out, np.concatenate([a[:, 0] @ value[:, :3], a[:, 1] @ value[:, 3:]])
            )  # 5
        weights[b, :, t, : len(past)] = a[::-1].T
    return contexts, weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "window"), [(5, 8), (8, 4), (9, 4), (23, 4), (12, 1), (1, 3)])
def test_it_computes_its_equations_in_one_block_and_in_several(kind: str, steps: int, window: int) -> None:
    torch.manual_seed(1)
    attention, given = KINDS[kind]().double(), states(steps)
    contexts, weights = equations(attention, given.numpy(), window)
    with torch.no_grad():
        np.testing.assert_allclose(attention.contexts(given, window).numpy(), contexts, atol=1e-12)
        found = attention.weights(given, window).numpy()
    assert found.shape == weights.shape
    np.testing.assert_allclose(found, weights, atol=1e-12)
    np.testing.assert_allclose(found.sum(3), 1.0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_allowed_does_not_count(kind: str) -> None:
    torch.manual_seed(2)
    attention, given = KINDS[kind]().double(), states(5)
    allowed = torch.tensor([False, True, False, True, True]).expand(3, 1, 5)
    found, weights = attention(given[:, 4:], given, allowed)
    junk = torch.where(allowed[:, 0, :, None], given, 1e6)
    again, _ = attention(given[:, 4:], junk, allowed)
    assert torch.equal(found, again)
    assert not weights[:, :, :, [0, 2]].any() and (weights[:, :, :, [1, 3, 4]] > 0).all()


def test_heads_that_do_not_fit_are_refused() -> None:
    for heads in (0, 4):
        with pytest.raises(InputError, match="multiple of heads"):
            MultiheadAttention(WIDTH, heads)
