from __future__ import annotations

import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.attention_lstm import AttentionLSTM

TARGETS = [("sepsis_label", 6.0)]
KINDS = ["additive", "multihead"]


def batch(steps: int = 13) -> Batch:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(3, steps, 4, generator=generator, dtype=torch.float64)
    hours = torch.arange(1.0, steps + 1, dtype=torch.float64).expand(3, steps)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], torch.full((3,), steps))


def built(**keywords) -> AttentionLSTM:
    torch.manual_seed(1)
    return AttentionLSTM(4, 2, TARGETS, hidden=8, **keywords).double().eval()


def lstm(layers: torch.nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    h = c = torch.zeros(len(x), layers.hidden_size, dtype=x.dtype)
    states = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ layers.weight_ih_l0.T + layers.bias_ih_l0 + h @ layers.weight_hh_l0.T + layers.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, dim=1)


def test_the_equations_written_out() -> None:
    model = built(attention="additive", window_steps=4)
    s, net = lstm(model.layers, model.inputs(batch())), model.attention  # (1)
    contexts = []
    for t in range(13):
        past = s[:, max(0, t - 3) : t + 1]  # (B, S, H)
        score = torch.tanh(net.query(s[:, t])[:, None] + net.key(past)) @ net.score.weight[0]  # (B, S)
        contexts.append((score.softmax(1)[:, :, None] * past).sum(1))  # (2)
    expected = model.head(torch.cat([s, torch.stack(contexts, dim=1)], dim=2))  # (3)
    torch.testing.assert_close(model(batch()), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [1, 3, 6])
def test_a_stream_longer_than_the_window_gives_the_same(kind: str, window: int) -> None:
    model, given = built(attention=kind, window_steps=window, layers=2), batch()
    state, found = model.start(given.static), []
    with torch.no_grad():
        for t in range(13):
            one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones(3, dtype=torch.int64))
            logits, state = model.step(one, state)
            found.append(logits)
            assert state.past.shape == (3, window - 1, 8), "the cache grows"
            assert state.known.sum().item() == 3 * min(t + 1, window - 1)
        torch.testing.assert_close(torch.stack(found, dim=1), model(given), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "heads"), [("additive", 1), ("multihead", 4)])
def test_weights_give_back_the_context(kind: str, heads: int) -> None:
    model, given = built(attention=kind, window_steps=5), batch()
    with torch.no_grad():
        weights, s = model.weights(given), lstm(model.layers, model.inputs(given))
        found = model.states(model.inputs(given), given)[:, :, 8:]
    assert weights.shape == (3, heads, 13, 5)
    torch.testing.assert_close(weights.sum(3), torch.ones(3, heads, 13, dtype=torch.float64))
    assert not weights[:, :, 0, 1:].any(), "before the first step there is nothing"
    back = torch.stack([torch.roll(s, lag, dims=1) for lag in range(5)], dim=2)  # (B, T, W, H)
    if kind == "additive":
        expected = (weights[:, 0, :, :, None] * back).sum(2)
    else:
        value = model.attention.value(back).unflatten(3, (heads, -1))  # (B, T, W, heads, D)
        expected = model.attention.out((weights.permute(0, 2, 3, 1)[..., None] * value).sum(2).flatten(2))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_static_variables_may_set_its_memory() -> None:
    model = built(inputs={"static": "state"})
    assert not torch.equal(model(batch()), model(batch()._replace(static=-batch().static)))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'additive'"):
        built(attention="aditive")
    with pytest.raises(InputError, match="window_steps must be 1 or more, not 0"):
        built(window_steps=0)
    with pytest.raises(InputError, match="3 heads"):
        built(heads=3)
