"""Attention: with the weights that were read, the model's own states are computed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.attention import AttentionReader
from clinical_lstm.models.base import SequenceModel

SIZES = {"n_variables": 5, "n_static": 3, "targets": [("sepsis", 6.0), ("death", 24.0)]}
STEPS = 14
WINDOWS = [1, 3, 5, 48]  # in blocks (14 > 2 x window), and one block


def built(name: str, **arguments: Any) -> SequenceModel:
    torch.manual_seed(1)
    model = plugins.build("models", {"name": name, "hidden": 8, **arguments}, **SIZES).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return model


def full(batch: Batch) -> Batch:
    """The batch without padding: every stay as long as the longest."""
    return batch._replace(hours=batch.hours[:1].expand(6, -1), lengths=torch.full((6,), STEPS))


def matrices(model: SequenceModel, batch: Batch) -> list[torch.Tensor]:
    """The weights (B, heads, T, T) of every layer, one query after the other."""
    read = [AttentionReader()(model, batch, torch.full((6,), t)).weights for t in range(STEPS)]
    return [torch.from_numpy(np.stack(rows, axis=2)).float() for rows in zip(*read)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("kind", "heads"), [("additive", 1), ("multihead", 4)])
def test_weights_give_back_the_contexts_of_an_attention_lstm(kind: str, heads: int, window: int, stays: Batch) -> None:
    model, batch = built("attention_lstm", attention=kind, window_steps=window), full(stays)
    (weights,) = matrices(model, batch)
    assert weights.shape == (6, heads, STEPS, STEPS)
    with torch.no_grad():
        states, contexts = model.states(model.inputs(batch), batch).chunk(2, dim=2)
        if kind == "additive":
            expected = weights[:, 0] @ states
        else:
            value = model.attention.value(states).unflatten(2, (heads, -1)).transpose(1, 2)
            expected = model.attention.out((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(contexts, expected, rtol=0, atol=2e-6)
    by_lag = model.weights(batch)
    for t, lag in np.ndindex(STEPS, min(window, STEPS)):
        if lag <= t:
            torch.testing.assert_close(weights[:, :, t, t - lag], by_lag[:, :, t, lag].detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", ["transformer", "lstm_transformer"])
def test_weights_give_back_the_states_of_a_transformer(name: str, window: int, stays: Batch) -> None:
    model, batch = built(name, layers=2, heads=2, window_steps=window), full(stays)
    weights = matrices(model, batch)
    assert [part.shape for part in weights] == [(6, 2, STEPS, STEPS)] * 2
    with torch.no_grad():
        rows = model.encoder(model.inputs(batch))
        rows = rows + model.lstm(model.norm(rows))[0] if name == "lstm_transformer" else rows
        for layer, own in zip(model.layers.layers, weights):
            value = layer.project(layer.norm(rows)).unflatten(2, (3 * 2, -1))[:, :, 4:].transpose(1, 2)
            rows = layer.answered(rows, own @ value)
        torch.testing.assert_close(model.layers.norm(rows), model.states(model.inputs(batch), batch), rtol=0, atol=5e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("attention_lstm", {"attention": "additive"}),
        ("attention_lstm", {}),
        ("transformer", {"layers": 3}),
        ("lstm_transformer", {}),
    ],
)
def test_weights_are_those_of_the_window_and_sum_to_one(
    name: str, arguments: dict[str, Any], window: int, stays: Batch
) -> None:
    model, step = built(name, window_steps=window, **arguments), torch.tensor([13, 7, 8, 5, 1, 0])
    found = AttentionReader()(model, stays, step)
    assert found.error.max() < 1e-5
    assert len(found.layers) == len(found.weights) == arguments.get("layers", 1 if name != "transformer" else 2)
    at = np.arange(STEPS)
    inside = (at <= step.numpy()[:, None]) & (at > step.numpy()[:, None] - window)
    for weights in found.weights:
        np.testing.assert_allclose(weights.sum(2), 1, atol=1e-6)
        assert (weights[~np.broadcast_to(inside[:, None], weights.shape)] == 0).all()
        assert (weights.transpose(0, 2, 1)[inside] > 0).all()


@pytest.mark.parametrize("name", ["attention_lstm", "transformer", "lstm_transformer"])
def test_the_future_and_batch_mates_do_not_matter(name: str, stays: Batch) -> None:
    model, step = built(name, window_steps=4), torch.tensor([3, 7, 8, 5, 1, 0])
    together = AttentionReader()(model, stays, step)
    later = torch.arange(STEPS)[None, :, None] > step[:, None, None]
    other = AttentionReader()(model, stays._replace(values=torch.where(later, 9, stays.values)), step)
    rows = [Batch(*(part[row : row + 1] for part in stays)) for row in range(6)]
    alone = [AttentionReader()(model, one, step[row : row + 1]) for row, one in enumerate(rows)]
    for layer, weights in enumerate(together.weights):
        assert np.array_equal(weights, other.weights[layer])
        np.testing.assert_allclose(np.concatenate([one.weights[layer] for one in alone]), weights, atol=1e-6)


def test_members_of_an_ensemble_are_read_one_after_the_other(stays: Batch) -> None:
    members = [{"name": "transformer", "hidden": 8}, {"name": "lstm"}, {"name": "attention_lstm", "hidden": 8}]
    model = plugins.build("models", {"name": "ensemble", "members": members}, **SIZES).eval()
    found = AttentionReader()(model, stays, stays.lengths - 1)
    assert found.layers == ["members.0.layers.layers.0", "members.0.layers.layers.1", "members.2.attention"]
    assert all(np.allclose(weights.sum(2), 1) for weights in found.weights)


def test_an_answer_that_does_not_follow_from_the_weights_is_found_out(stays: Batch) -> None:
    model = built("transformer")
    model.layers.norm.register_forward_hook(lambda module, given, answer: answer + torch.rand(()))
    assert AttentionReader()(model, stays, stays.lengths - 1).error.min() > 1e-3


def test_models_without_attention_are_told_which_have_it(stays: Batch) -> None:
    for name in ("lstm", "tcn"):
        message = "has no attention; choose one of the models attention_lstm, lstm_transformer, transformer$"
        with pytest.raises(InputError, match=message):
            AttentionReader()(built(name), stays, stays.lengths - 1)
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        AttentionReader()(built("transformer").train(), stays, stays.lengths - 1)
