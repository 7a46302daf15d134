from __future__ import annotations

import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.inputs import Inputs
from clinical_lstm.models.inputs.disturbance import hide, shake

BATCH = Batch(
    values=torch.tensor([[[0.0, -1.0], [0.5, -1.0], [0.5, 2.0]]]),
    mask=torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]]),
    delta=torch.tensor([[[1.0, 0.5], [0.0, 1.5], [1.0, 0.0]]]),
    hours=torch.tensor([[1.0, 2.0, 48.0]]),
    static=torch.tensor([[0.3]]),
    lengths=torch.tensor([3]),
)
MANY = Batch(*(part.expand(4000, *part.shape[1:]) for part in BATCH))


def test_whole_variables_of_a_stay_are_hidden_as_if_never_measured() -> None:
    torch.manual_seed(0)
    found = hide(MANY, 0.3)
    for v in range(2):
        hidden = (found.mask[..., v] == 0).all(dim=1)  # (B,)
        assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.03)
        assert not found.values[hidden][..., v].any()
        assert torch.equal(found.delta[hidden][..., v], MANY.hours[hidden])
        for name in ("values", "mask", "delta"):
            assert torch.equal(getattr(found, name)[~hidden][..., v], getattr(MANY, name)[~hidden][..., v])


def test_the_error_of_an_observation_is_carried_forward_with_it() -> None:
    torch.manual_seed(0)
    error = shake(MANY, 0.1).values - MANY.values  # (B, T, V)
    assert not error[:, 0, 0].any(), "what was never observed has no value"
    assert torch.allclose(error[:, 1, 0], error[:, 2, 0])
    assert torch.allclose(error[:, 0, 1], error[:, 1, 1])
    assert not torch.allclose(error[:, 1, 1], error[:, 2, 1]), "a new observation has an error of its own"
    drawn = torch.stack([error[:, 1, 0], error[:, 0, 1], error[:, 2, 1]])
    assert torch.allclose(torch.corrcoef(drawn), torch.eye(3), atol=0.06)
    assert torch.allclose(drawn.std(dim=1), torch.tensor(0.1), atol=0.005)


def test_only_training_disturbs() -> None:
    inputs = Inputs(2, 1, variable_dropout=0.5, noise=0.1)
    assert inputs.eval().disturb(MANY) is MANY
    found = inputs.train().disturb(MANY)
    assert not torch.equal(found.mask, MANY.mask)
    assert not torch.equal(found.values, MANY.values)
    assert Inputs(2, 1).train().disturb(MANY) is MANY
