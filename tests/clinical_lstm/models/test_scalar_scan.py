from __future__ import annotations

import torch

from clinical_lstm.models.scalar_scan import Scan


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    gates = torch.randn(4, 2, 12, 5, dtype=torch.float64, requires_grad=True)  # (T, N, 4d, B)
    recurrent = torch.randn(2, 12, 3, dtype=torch.float64, requires_grad=True)  # (N, 4d, d)
    assert torch.autograd.gradcheck(Scan.apply, (gates, recurrent))
    assert torch.autograd.gradcheck(Scan.apply, (gates[:1].detach().requires_grad_(), recurrent))


def test_extreme_gates_have_finite_states_and_gradients() -> None:
    torch.manual_seed(1)
    gates = (1e4 * torch.randn(30, 2, 12, 5)).requires_grad_()
    recurrent = torch.randn(2, 12, 3, requires_grad=True)
    hidden = Scan.apply(gates, recurrent)
    hidden.sum().backward()
    assert hidden.isfinite().all() and hidden.abs().max() <= 1
    assert gates.grad.isfinite().all() and recurrent.grad.isfinite().all()
