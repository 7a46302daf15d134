"""Where there is a GPU: every model gives the risks of the CPU, sees no future there, and steps as it runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
TARGETS = [("death", 24.0), ("sepsis", 6.0), ("sepsis", 12.0)]
CLOSE = 2e-4  # of logits in 32 bits: other kernels, other order of sums


@pytest.fixture(autouse=True)
def exact_products() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def built(name: str) -> SequenceModel:
    torch.manual_seed(0)
    return plugins.load("models", name)(n_variables=5, n_static=2, targets=TARGETS).eval()


def batch(steps: int = 40) -> Batch:
    draw = torch.Generator().manual_seed(1)
    mask = (torch.rand(6, steps, 5, generator=draw) < 0.4).float()
    hours = torch.arange(1.0, steps + 1).expand(6, -1).contiguous()
    values, delta = torch.randn(6, steps, 5, generator=draw), 9 * torch.rand(6, steps, 5, generator=draw)
    return Batch(values, mask, delta, hours, torch.randn(6, 2, generator=draw), torch.full((6,), steps))


def there(batch: Batch) -> Batch:
    return batch.to("cuda")


@pytest.mark.parametrize("name", plugins.names("models"))
def test_the_gpu_agrees_with_the_cpu(name: str) -> None:
    model = built(name)
    with torch.no_grad():
        here = model(batch())
        found = model.to("cuda")(there(batch())).cpu()
    assert (here - found).abs().max() <= CLOSE


@pytest.mark.parametrize("name", plugins.names("models"))
def test_the_future_has_no_gradient_there(name: str) -> None:
    model = built(name).to("cuda")
    if not model.causal:
        pytest.skip(f"{name} sees the whole window and says so")
    given = there(batch())
    leaves: list[Tensor] = [part.clone().requires_grad_() for part in given[:4]]
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward of a recurrent net that does not train
        logits = model(Batch(*leaves, given.static, given.lengths))
        found = torch.autograd.grad(logits[:, 10].sum(), leaves, allow_unused=True)
    assert not any(part is not None and part[:, 11:].any() for part in found)
    assert any(part is not None and part[:, :11].any() for part in found)


@pytest.mark.parametrize("name", plugins.names("models"))
def test_stepping_equals_the_whole_there(name: str) -> None:
    model = built(name).to("cuda")
    if not model.causal:
        pytest.skip(f"{name} sees the whole window and says so")
    given, found = there(batch()), []
    with torch.no_grad():
        whole, state = model(given), model.initial_state(given.static)
        for t in range(given.hours.shape[1]):
            one = Batch(*(part[:, t : t + 1] for part in given[:4]), given.static, torch.ones_like(given.lengths))
            logits, state = model.step(one, state)
            found.append(logits)
    assert (torch.stack(found, dim=1) - whole).abs().max() <= CLOSE
