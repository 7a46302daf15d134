from __future__ import annotations

import math

import numpy as np
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.inputs import Statistics


def batch(size: int = 3, steps: int = 9, variables: int = 4) -> Batch:
    """Return a batch whose last variable is never observed."""
    draw = np.random.default_rng(0)
    mask = (draw.random((size, steps, variables)) < 0.3) & (np.arange(variables) < variables - 1)
    values, carried = np.zeros(mask.shape), np.zeros((size, variables))
    for t in range(steps):
        carried = np.where(mask[:, t], draw.standard_normal((size, variables)), carried)
        values[:, t] = carried
    parts = (torch.tensor(part, dtype=torch.float64) for part in (values, mask, np.ones(mask.shape)))
    hours = torch.arange(1.0, steps + 1).expand(size, steps)
    return Batch(*parts, hours, torch.zeros(size, 2, dtype=torch.float64), torch.full((size,), steps))


def by_hand(seen: list[float]) -> list[float]:
    """Return the seven statistics of the observed values of one variable."""
    if not seen:
        return [0.0] * 7
    low, high, first, last = min(seen), max(seen), seen[0], seen[-1]
    return [math.log1p(len(seen)) / 4, sum(seen) / len(seen), low, high, first, last, last - first]


def described(given: Batch) -> torch.Tensor:
    model = Statistics(4)
    return model.describe(given, model.observe(given, model.initial(given.static)))


def test_every_statistic_is_that_of_the_observations_so_far() -> None:
    given = batch()
    found = described(given).view(3, 9, 7, 4)
    for b in range(3):
        for t in range(9):
            for v in range(4):
                seen = given.values[b, : t + 1, v][given.mask[b, : t + 1, v] == 1].tolist()
                np.testing.assert_allclose(found[b, t, :, v].numpy(), by_hand(seen), atol=1e-12)
    assert given.mask[..., :3].any(dim=1).any()


def test_without_counts_the_others_stand_as_they_are() -> None:
    given = batch()
    model = Statistics(4, counts=False)
    found = model.describe(given, model.observe(given, model.initial(given.static)))
    assert torch.equal(found, described(given)[..., 4:])
    assert model.branch[0].normalized_shape == (found.shape[2],)


def test_step_by_step_is_the_whole() -> None:
    torch.manual_seed(0)
    model, given = Statistics(4).double(), batch()
    whole, last = model(given, model.initial(given.static))
    running = model.initial(given.static)
    for t in range(9):
        one = Batch(*(part[:, t : t + 1] for part in given[:4]), *given[4:])
        found, running = model(one, running)
        torch.testing.assert_close(found[:, 0], whole[:, t], rtol=1e-12, atol=1e-12)
    for one, other in zip(running, last):
        torch.testing.assert_close(one, other)


def test_the_path_of_an_explanation_is_finite_and_without_jumps() -> None:
    given = batch()
    for at in (0.0, 1e-6, 0.3, 1.0):
        values = (at * given.values).requires_grad_()
        found = described(given._replace(values=values, mask=at * given.mask))
        assert found.isfinite().all()
        found.sum().backward()
        assert values.grad.isfinite().all()
    zero, near = (described(given._replace(values=a * given.values, mask=a * given.mask)) for a in (0.0, 1e-9))
    torch.testing.assert_close(zero, near, atol=1e-6, rtol=0)
