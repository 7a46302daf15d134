from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.tlstm import TLSTM

TARGETS = [("sepsis", 6.0)]
STAYS, STEPS, HIDDEN = 3, 9, 5


def batch(pace: float = 10.0) -> Batch:
    """Return a batch of 64 bits; `pace` is twice the mean of the hours between steps."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(STAYS, STEPS, 4, generator=generator, dtype=torch.float64)
    hours = (pace * torch.rand(STAYS, STEPS, generator=generator, dtype=torch.float64)).cumsum(1)
    lengths = torch.full((STAYS,), STEPS)
    return Batch(cells, (cells > 0).double(), cells.abs(), hours, cells[:, 0, :2], lengths)


def model(inputs: dict | None = None) -> TLSTM:
    torch.manual_seed(0)
    made = TLSTM(4, 2, TARGETS, hidden=HIDDEN, inputs=inputs).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return made


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def equations(made: TLSTM, x: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """Return the states (T, H) of one stay with features (T, F) by equations 1 to 7."""
    w = {name: weight.detach().numpy() for name, weight in made.named_parameters()}
    hidden, cell, before, states = np.zeros(HIDDEN), np.zeros(HIDDEN), 0.0, []
    for t in range(STEPS):
        short = np.tanh(w["short"].T @ cell + w["short_bias"])  # (1)
        cell = (cell - short) + short / math.log(math.e + hours[t] - before)  # (2)
        gates = sigmoid(w["gates.weight"] @ x[t] + w["gates_back"].T @ hidden + w["gates.bias"])
        give, keep, show = np.split(gates, 3)  # (3, 4, 5)
        new = np.tanh(w["candidate.weight"] @ x[t] + w["candidate_back"].T @ hidden + w["candidate.bias"])
        cell = keep * cell + give * new  # (6)
        hidden = show * np.tanh(cell)  # (7)
        before = hours[t]
        states.append(hidden)
    return np.stack(states)


def test_it_computes_its_equations() -> None:
    made, given = model(), batch()
    with torch.no_grad():
        features = made.inputs(given)
        found = made.states(features, given).numpy()
    for stay in range(STAYS):
        expected = equations(made, features[stay].numpy(), given.hours[stay].numpy())
        np.testing.assert_allclose(found[stay], expected, rtol=1e-10, atol=1e-12)


def test_without_time_between_steps_it_is_an_lstm() -> None:
    made, given = model(), batch(pace=0.0)
    lstm = torch.nn.LSTM(made.inputs.width, HIDDEN, batch_first=True).double()
    order = [slice(0, 5), slice(5, 10), slice(10, 15)]  # i, f, o of ours; torch has i, f, c, o
    with torch.no_grad():
        i, f, o = (made.gates.weight[rows] for rows in order)
        lstm.weight_ih_l0.copy_(torch.cat([i, f, made.candidate.weight, o]))
        i, f, o = (made.gates_back.T[rows] for rows in order)
        lstm.weight_hh_l0.copy_(torch.cat([i, f, made.candidate_back.T, o]))
        i, f, o = (made.gates.bias[rows] for rows in order)
        lstm.bias_ih_l0.copy_(torch.cat([i, f, made.candidate.bias, o]))
        lstm.bias_hh_l0.zero_()
        features = made.inputs(given)
        torch.testing.assert_close(made.states(features, given), lstm(features)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("inputs", [{"static": "state"}, {"encoding": "piecewise"}])
def test_other_inputs_step_as_they_run(inputs: dict) -> None:
    made, given = model(inputs), batch()
    state, found = made.start(given.static), []
    for t in range(STEPS):
        one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones(STAYS, dtype=torch.int64))
        logits, state = made.step(one, state)
        found.append(logits)
    torch.testing.assert_close(torch.stack(found, dim=1), made(given), rtol=1e-10, atol=1e-12)


def test_it_learns_in_mixed_precision() -> None:
    made = model().float()
    given = Batch(*(part.float() for part in batch()[:5]), batch().lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found = made(given)
    found.float().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in made.parameters())
    torch.testing.assert_close(found.float(), made(given), atol=0.1, rtol=0.1)
