from __future__ import annotations

import numpy as np
import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.grud import GRUD

TARGETS = [("sepsis", 6.0)]
STAYS, STEPS, VARIABLES, HIDDEN = 3, 9, 4, 5


def measured() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values (B, T, V), mask (B, T, V) and native event times (B, T); a measurement has the time of its step."""
    draw = np.random.default_rng(0)
    shape = (STAYS, STEPS, VARIABLES)
    mask = (draw.random(shape) < 0.4).astype(float)
    return draw.standard_normal(shape), mask, 1 + (10 * draw.random(shape[:2])).cumsum(1)


def batch() -> Batch:
    """Return the same as a batch of 64 bits: values carried forward, delta since the last one or since admission."""
    values, mask, hours = measured()
    carried, delta = np.zeros_like(values), np.zeros_like(values)
    for b, t, v in np.ndindex(values.shape):
        seen = [s for s in range(t + 1) if mask[b, s, v]]
        carried[b, t, v] = values[b, seen[-1], v] if seen else 0.0
        delta[b, t, v] = hours[b, t] - (hours[b, seen[-1]] if seen else 0.0)
    static = np.linspace(-1, 1, 2 * STAYS).reshape(STAYS, 2)
    return Batch(*map(torch.from_numpy, (carried, mask, delta, hours, static, np.full(STAYS, STEPS))))


def model(inputs: dict | None = None) -> GRUD:
    torch.manual_seed(0)
    made = GRUD(VARIABLES, 2, TARGETS, hidden=HIDDEN, inputs=inputs).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return made


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def equations(made: GRUD, stay: int) -> np.ndarray:
    """Return the states (T, H) of one stay by equations 1 to 7, from what was measured, one variable at a time."""
    w = {name: weight.detach().numpy() for name, weight in made.named_parameters()}
    values, mask, hours = (part[stay] for part in measured())
    static, states, hidden = batch().static[stay].numpy(), [], np.zeros(HIDDEN)
    last, since, never = np.zeros(VARIABLES), np.zeros(VARIABLES), np.ones(VARIABLES, bool)
    for t in range(STEPS):
        waited = np.zeros(VARIABLES) if t == 0 else (hours[t] - since) / 24  # (1)
        faded = np.zeros(VARIABLES)
        for v in range(VARIABLES):
            age = hours[t] / 24 if never[v] else waited[v]
            gamma = np.exp(-max(0.0, w["inputs.decay.rate"][v] * age + w["inputs.decay.bias"][v]))
            faded[v] = values[t, v] if mask[t, v] else gamma * last[v]  # (2)
        x = np.concatenate([faded, mask[t], static, [np.log1p(hours[t]) / 4]])
        hidden = np.exp(-np.maximum(0, w["decay.weight"] @ waited + w["decay.bias"])) * hidden  # (3)
        r, z = np.split(sigmoid(w["gates.weight"] @ x + w["gates_back"].T @ hidden + w["gates.bias"]), 2)  # (4, 5)
        n = np.tanh(w["candidate.weight"] @ x + w["candidate_back"].T @ (r * hidden) + w["candidate.bias"])  # (6)
        hidden = (1 - z) * hidden + z * n  # (7)
        states.append(hidden)
        last, since = np.where(mask[t], values[t], last), np.where(mask[t], hours[t], since)
        never &= mask[t] == 0
    return np.stack(states)


def test_it_computes_its_equations() -> None:
    made, given = model(), batch()
    with torch.no_grad():
        found = made.states(made.inputs(given), given).numpy()
    for stay in range(STAYS):
        np.testing.assert_allclose(found[stay], equations(made, stay), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("inputs", [{"static": "state"}, {"decay": False, "mask": False}, {"encoding": "embedding"}])
def test_other_inputs_step_as_they_run(inputs: dict) -> None:
    made, given = model(inputs), batch()
    state, found = made.start(given.static), []
    for t in range(STEPS):
        one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones(STAYS, dtype=torch.int64))
        logits, state = made.step(one, state)
        found.append(logits)
    torch.testing.assert_close(torch.stack(found, dim=1), made(given), rtol=1e-10, atol=1e-12)


def test_a_state_fades_slowly_at_first_and_every_unit_can_learn_its_pace() -> None:
    torch.manual_seed(0)
    made, given = GRUD(VARIABLES, 2, TARGETS).double(), batch()
    waited = made._waited(given, made.initial_state(given.static))
    assert not waited[:, 0].any() and waited[:, 1:].gt(0).all()
    kept = torch.exp(-torch.relu(made.decay(torch.ones(1, VARIABLES).double())))  # a day without any measurement
    assert kept.mean().item() == pytest.approx(0.9, abs=0.02) and kept.max() < 1
    made(given).sum().backward()
    assert made.decay.weight.grad.abs().amin() > 0


def test_it_learns_in_mixed_precision() -> None:
    made = model().float()
    given = Batch(*(part.float() for part in batch()[:5]), batch().lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found = made(given)
    found.float().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in made.parameters())
    torch.testing.assert_close(found.float(), made(given), atol=0.1, rtol=0.1)
