from __future__ import annotations

import numpy as np
import torch

from clinical_lstm.models.inputs.embedding import Embedding


def channels(steps: int = 3, variables: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, steps, variables, generator=generator, dtype=torch.float64) for _ in range(3)]


def test_the_equations_written_out() -> None:
    torch.manual_seed(1)
    model, given = Embedding(5, 3, width=4, heads=2).double(), channels()
    a, e, q = (weight.detach().numpy() for weight in (model.weight, model.identity, model.query))
    found = model(given).detach().numpy()
    assert found.shape == (2, 3, model.width) == (2, 3, 8)
    for b in range(2):
        for t in range(3):
            seen = [[channel[b, t, v].item() for channel in given] for v in range(5)]
            z = [[max(0.0, seen[v] @ a[v, :, d] + e[v, d]) for d in range(4)] for v in range(5)]  # 1
            for k in range(2):
                score = np.exp([np.dot(q[k], z[v]) / 2 for v in range(5)])
                pooled = (score / score.sum()) @ np.array(z)  # 2 and 3
                np.testing.assert_allclose(found[b, t, 4 * k : 4 * k + 4], pooled, rtol=1e-10)


def test_variables_are_told_apart() -> None:
    torch.manual_seed(1)
    model = Embedding(5, 3).double()
    turned = [channel.flip(2) for channel in channels()]
    assert not torch.allclose(model(channels()), model(turned))
    with torch.no_grad():
        model.weight.copy_(model.weight[:1].expand_as(model.weight))
        model.identity.copy_(model.identity[:1].expand_as(model.identity))
    assert torch.allclose(model(channels()), model(turned)), "pooling itself knows no order"
