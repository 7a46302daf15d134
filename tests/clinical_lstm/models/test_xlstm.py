from __future__ import annotations

import pytest
import torch

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.models.mlstm import MLSTM
from clinical_lstm.models.slstm import SLSTM
from clinical_lstm.models.xlstm import HeadNorm, remember


def test_a_head_is_normed_by_itself() -> None:
    torch.manual_seed(0)
    norm, states = HeadNorm(6, 2).double(), torch.randn(3, 4, 6, dtype=torch.float64)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    for part in (slice(0, 3), slice(3, 6)):
        own = states[..., part]
        plain = (own - own.mean(2, keepdim=True)) / (own.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
        found = norm(states)[..., part]
        torch.testing.assert_close(found, plain * norm.weight[part] + norm.bias[part], rtol=1e-12, atol=1e-12)


def test_forget_gates_begin_between_three_and_six() -> None:
    bias = torch.zeros(2, 3)
    remember(bias)
    torch.testing.assert_close(bias, torch.tensor([[3.0, 3.6, 4.2], [4.8, 5.4, 6.0]]))


@pytest.mark.parametrize("model", [SLSTM, MLSTM])
@pytest.mark.parametrize("heads", [3, 0])
def test_heads_must_divide_the_width(model: type[SLSTM] | type[MLSTM], heads: int) -> None:
    with pytest.raises(InputError, match=r"multiple of model\.heads"):
        model(4, 2, [("death", 24.0)], hidden=8, heads=heads)


@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_it_trains_in_mixed_precision(kind: type[SLSTM] | type[MLSTM]) -> None:
    torch.manual_seed(3)
    model, cells = kind(4, 2, [("death", 24.0)]), torch.randn(3, 70, 4)
    hours = torch.arange(1.0, 71).expand(3, 70)
    given = Batch(cells, (cells > 0).float(), cells.abs(), hours, cells[:, 0, :2], torch.full((3,), 70))
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(given)
    logits.float().sum().backward()
    torch.testing.assert_close(logits.float(), model(given), rtol=0.1, atol=0.1)
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
