from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from clinical_lstm.errors import InputError
from clinical_lstm.models.transformer_layers import TransformerLayers

STAYS, STEPS, WIDTH, HEADS = 2, 11, 8, 2


def layers(window: int, number: int = 2) -> TransformerLayers:
    torch.manual_seed(0)
    found = TransformerLayers(WIDTH, number, HEADS, 2, window, dropout=0.5).double().eval()
    with torch.no_grad():
        for weight in found.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return found


def given() -> tuple[Tensor, Tensor]:
    """Return rows and native event times."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(STAYS, STEPS, WIDTH, generator=generator, dtype=torch.float64)
    return rows, (4 * torch.rand(STAYS, STEPS, generator=generator, dtype=torch.float64)).cumsum(1)


def turned(vector: Tensor, hours: Tensor) -> Tensor:
    """Return a vector (D,) with the pair i turned by hours * 1000^(-2i/D)."""
    half, found = len(vector) // 2, vector.clone()
    for i in range(half):
        angle = float(hours) * 1000 ** (-2 * i / len(vector))
        found[i] = vector[i] * math.cos(angle) - vector[half + i] * math.sin(angle)
        found[half + i] = vector[i] * math.sin(angle) + vector[half + i] * math.cos(angle)
    return found


def equations(model: TransformerLayers, rows: Tensor, hours: Tensor) -> Tensor:
    """Return what the equations of a layer say of one stay (T, H), step by step and head by head."""
    each = WIDTH // HEADS
    for layer in model.layers:
        projected = layer.project(layer.norm(rows))  # (T, 3 H): queries, keys, values
        found = torch.zeros_like(rows)
        for t in range(len(rows)):
            past = range(max(0, t - model.window + 1), t + 1)
            for head in range(HEADS):
                own = [slice(part * WIDTH + head * each, part * WIDTH + (head + 1) * each) for part in range(3)]
                query = turned(projected[t, own[0]], hours[t])
                scores = [query @ turned(projected[s, own[1]], hours[s]) / math.sqrt(each) for s in past]
                weights = torch.stack(scores).softmax(0)
                found[t, head * each : (head + 1) * each] = sum(w * projected[s, own[2]] for w, s in zip(weights, past))
        rows = rows + layer.out(found)
        _, up, _, down = layer.feed
        rows = rows + down(torch.nn.functional.gelu(up(layer.feed[0](rows))))
    return model.norm(rows)


@pytest.mark.parametrize("window", [1, 3, 5, 6, 48], ids=lambda w: f"window{w}")
def test_whole_stays_and_single_steps_are_the_equations(window: int) -> None:
    model, (rows, hours) = layers(window), given()
    with torch.no_grad():
        expected = torch.stack([equations(model, *stay) for stay in zip(rows, hours)])
        torch.testing.assert_close(model(rows, hours), expected, rtol=1e-6, atol=1e-6)  # speeds are rounded to 32 bits
        past, found = model.empty(STAYS), []
        for t in range(STEPS):
            out, past = model.advance(rows[:, t : t + 1], hours[:, t : t + 1], past)
            found.append(out)
    torch.testing.assert_close(torch.cat(found, dim=1), model(rows, hours), rtol=1e-10, atol=1e-10)
    assert past.keys.shape == (STAYS, 2, HEADS, window - 1, WIDTH // HEADS), "the cache grew"


def test_only_hours_between_steps_matter() -> None:
    model, (rows, hours) = layers(5), given()
    found = model(rows, hours)
    torch.testing.assert_close(model(rows, hours + 100), found, rtol=1e-8, atol=1e-8)
    assert (model(rows, 2 * hours) - found).abs().max() > 1e-3


def test_what_left_every_window_is_forgotten() -> None:
    model, (rows, hours) = layers(3, number=2), given()
    rows.requires_grad_()
    (found,) = torch.autograd.grad(model(rows, hours)[:, 9].sum(), rows)
    assert not found[:, :5].any() and not found[:, 10:].any()
    assert found[:, 5:10].abs().amin(dim=(0, 2)).gt(0).all()  # 2 layers of 2 steps back, and itself


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((6, 1, 2, 2, 4), "hidden=6"),
        ((0, 1, 2, 2, 4), "hidden=0"),
        ((8, 1, 0, 2, 4), "heads=0"),
        ((8, 0, 2, 2, 4), "layers=0"),
        ((8, 1, 2, 0, 4), "expansion=0"),
        ((8, 1, 2, 2, 0), "window_steps=0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: tuple[int, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        TransformerLayers(*sizes, dropout=0.0)
