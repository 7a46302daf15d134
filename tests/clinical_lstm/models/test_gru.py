from __future__ import annotations

import pytest
import torch

from clinical_lstm.models.gru import GRU


@pytest.mark.parametrize("layers", [1, 2])
def test_it_computes_its_equations(layers: int) -> None:
    torch.manual_seed(1)
    model = GRU(4, 2, [("sepsis", 6.0)], hidden=6, layers=layers).eval().double()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn_like(weight)
    x = torch.randn(3, 7, model.inputs.width, dtype=torch.float64)
    found = model.layers(x)[0]
    for layer in range(layers):
        w, u, b, d = (
            getattr(model.layers, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h, states = torch.zeros(3, 6, dtype=torch.float64), []
        for t in range(x.shape[1]):
            (xr, xz, xn), (hr, hz, hn) = (x[:, t] @ w.T + b).chunk(3, dim=1), (h @ u.T + d).chunk(3, dim=1)
            r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)  # 1 and 2
            h = (1 - z) * torch.tanh(xn + r * hn) + z * h  # 3 and 4
            states.append(h)
        x = torch.stack(states, dim=1)
    torch.testing.assert_close(found, x, rtol=1e-10, atol=1e-12)
