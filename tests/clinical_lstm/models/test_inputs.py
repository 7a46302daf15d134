from __future__ import annotations

import math

import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.models.inputs import Inputs

BATCH = Batch(
    values=torch.tensor([[[0.5, -1.0], [0.5, 2.0]]]),
    mask=torch.tensor([[[1.0, 1.0], [0.0, 1.0]]]),
    delta=torch.tensor([[[0.0, 0.5], [1.0, 0.0]]]),
    hours=torch.tensor([[1.0, 48.0]]),
    static=torch.tensor([[0.3]]),
    lengths=torch.tensor([2]),
)


def test_features_are_what_the_equation_says() -> None:
    found = Inputs(2, 1)(BATCH)
    quarter = [math.log1p(x) / 4 for x in (1.0, 48.0)]
    first = [0.5, -1.0, 1.0, 1.0, 0.0, math.log1p(0.5) / 4, 0.3, quarter[0]]
    second = [0.5, 2.0, 0.0, 1.0, math.log1p(1.0) / 4, 0.0, 0.3, quarter[1]]
    assert torch.allclose(found, torch.tensor([[first, second]]))
    assert 0.9 < quarter[1] < 1.1


@pytest.mark.parametrize(("left_out", "columns"), [("mask", [2, 3]), ("delta", [4, 5]), ("hours", [7])])
def test_a_channel_can_be_left_out(left_out: str, columns: list[int]) -> None:
    inputs = Inputs(2, 1, **{left_out: False})
    found = inputs(BATCH)
    kept = [column for column in range(8) if column not in columns]
    assert torch.equal(found, Inputs(2, 1)(BATCH)[..., kept])
    assert inputs.width == found.shape[2] == len(kept)


def test_nothing_is_learnt_here() -> None:
    assert not list(Inputs(2, 1).parameters())
    assert not Inputs(2, 1).state_dict()


def test_variable_dropout_hides_whole_variables_of_a_stay_in_training() -> None:
    torch.manual_seed(0)
    inputs = Inputs(2, 1, variable_dropout=0.3)
    many = Batch(*(part.expand(2000, *part.shape[1:]) for part in BATCH))
    unmeasured = BATCH._replace(
        values=torch.zeros(1, 2, 2), mask=torch.zeros(1, 2, 2), delta=BATCH.hours[:, :, None].expand(-1, -1, 2)
    )
    whole, none = (Inputs(2, 1)(batch) for batch in (BATCH, unmeasured))
    assert torch.equal(inputs.eval()(many), whole.expand(2000, -1, -1))
    found = inputs.train()(many)
    for variable in range(2):
        channels = [variable, 2 + variable, 4 + variable]
        hidden = (found[..., channels] == none[..., channels]).all(dim=(1, 2))
        kept = (found[..., channels] == whole[..., channels]).all(dim=(1, 2))
        assert (hidden ^ kept).all()
        assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(found[..., 6:], whole[..., 6:].expand(2000, -1, -1))
