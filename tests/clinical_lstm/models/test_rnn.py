from __future__ import annotations

import pytest
import torch

from clinical_lstm.models.rnn import RNN


@pytest.mark.parametrize("layers", [1, 2])
def test_it_computes_its_equation(layers: int) -> None:
    torch.manual_seed(1)
    model = RNN(4, 2, [("sepsis", 6.0)], hidden=6, layers=layers).eval().double()
    x = torch.randn(3, 7, model.inputs.width, dtype=torch.float64)
    found = model.layers(x)[0]
    for layer in range(layers):
        w, u = getattr(model.layers, f"weight_ih_l{layer}"), getattr(model.layers, f"weight_hh_l{layer}")
        b = getattr(model.layers, f"bias_ih_l{layer}") + getattr(model.layers, f"bias_hh_l{layer}")
        h, states = torch.zeros(3, 6, dtype=torch.float64), []
        for t in range(x.shape[1]):
            h = torch.tanh(x[:, t] @ w.T + h @ u.T + b)
            states.append(h)
        x = torch.stack(states, dim=1)
    torch.testing.assert_close(found, x, rtol=1e-10, atol=1e-12)
