"""With `inputs.observation_process` false, when and how often something was measured moves no bit of any risk."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clinical_lstm import plugins
from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM

_SPEC = importlib.util.spec_from_file_location("input_laws", Path(__file__).with_name("test_input_laws.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
input_laws = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(input_laws)
laws = input_laws.laws

HIDDEN: dict[str, Any] = {"observation_process": False}
DOORS = {"mask": True, "delta": True, "decay": True, "statistics": True, "variable_dropout": 0.3, "noise": 0.1}
REFUSING = {"grud"}  # its equations are of the hours since each variable was measured


def maker(model: Callable[..., SequenceModel], **inputs: Any) -> Callable[[int], SequenceModel]:
    """Return what builds `model`, or an ensemble of two LSTMs, with such inputs."""

    def make(seed: int) -> SequenceModel:
        torch.manual_seed(seed)
        if "inputs" in inspect.signature(model).parameters:
            return model(**laws.SIZES, inputs=inputs)
        members = [{"name": "lstm", "hidden": 8, "inputs": inputs} for _ in range(2)]
        return model(**laws.SIZES, members=members)

    def informed(seed: int) -> SequenceModel:
        made = make(seed)
        made.learn_engineered(input_laws.MEASURED, [laws.batch_of(laws.ward(seed=5))])
        return made

    return informed


def wards() -> tuple[Batch, Batch]:
    """Return two batches that differ in mask and delta alone, everywhere a model may look, the padding included."""
    batch = laws.batch_of(laws.ward())
    draw = torch.Generator().manual_seed(1)
    mask = (torch.rand(batch.mask.shape, generator=draw) < 0.7).float()
    return batch, batch._replace(mask=mask, delta=30 * torch.rand(mask.shape, generator=draw))


def stepped(model: SequenceModel, batch: Batch) -> Tensor:
    """Return the logits (B, T, K) of one step after the other."""
    state, found = model.start(batch.static), []
    with torch.no_grad():
        for t in range(batch.hours.shape[1]):
            logits, state = model.step(Batch(*(part[:, t : t + 1] for part in batch[:4]), *batch[4:]), state)
            found.append(logits)
    return torch.stack(found, dim=1)


def only_values_are_seen(make: Callable[[int], SequenceModel]) -> None:
    one, other = wards()
    model = laws.stirred(make)
    risks = laws.risks(model, one)
    assert torch.equal(risks, laws.risks(model, other)), "mask or delta moves the risks"
    assert not torch.equal(risks, laws.risks(model, one._replace(values=one.values + 0.1))), "the values move nothing"
    if model.causal:
        assert torch.equal(stepped(model, one), stepped(model, other)), "mask or delta moves the risks of the stream"
    in_training = []
    for batch in (one, other):
        torch.manual_seed(3)
        in_training.append(laws.risks(model.train(), batch))
    assert torch.equal(*in_training), "mask or delta moves what training shows"


class ReadsTheMaskAtTheDoor(LSTM):
    def hidden(self, batch: Batch) -> Tensor:
        return super().hidden(batch) + 0.01 * batch.mask.sum(2, keepdim=True)


class ReadsDeltaInTheStream(LSTM):
    def hidden_step(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        found, after = super().hidden_step(batch, state)
        return found + 0.01 * batch.delta[:, 0].mean(1, keepdim=True), after


class SeesNoValues(LSTM):
    def hidden(self, batch: Batch) -> Tensor:
        return super().hidden(batch._replace(values=torch.zeros_like(batch.values)))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", plugins.names("models"))
def test_every_model_obeys_or_refuses(name: str) -> None:
    model = plugins.load("models", name)
    for inputs in (HIDDEN, HIDDEN | DOORS):
        if name in REFUSING:
            with pytest.raises(InputError, match=r"model\.inputs\.observation_process=false: \w+ is built on when"):
                maker(model, **inputs)(0)
        else:
            only_values_are_seen(maker(model, **inputs))


@pytest.mark.parametrize("encoding", ["piecewise", "embedding"])
def test_every_encoding_obeys(encoding: str) -> None:
    only_values_are_seen(maker(LSTM, encoding=encoding, **HIDDEN, **DOORS))


@pytest.mark.parametrize("name", ["lstm", "bilstm", "ensemble"])
@pytest.mark.parametrize("bins", [1, 4])
def test_engineered_inputs_obey(name: str, bins: int) -> None:
    only_values_are_seen(maker(plugins.load("models", name), **HIDDEN, **input_laws.ENGINEERED, engineered_bins=bins))


@pytest.mark.parametrize("block", plugins.names("features"))
def test_every_block_is_a_door_and_is_closed_or_left_out(block: str) -> None:
    """Alone, all but ratios show when something was measured; counts show nothing else."""
    closed = {"mask": False, "delta": False, **input_laws.ENGINEERED, "engineered": [block]}
    if block == "ratios":
        only_values_are_seen(maker(LSTM, **closed))
    else:
        with pytest.raises(AssertionError, match="mask or delta moves"):
            only_values_are_seen(maker(LSTM, **closed))
    if block == "counts":
        with pytest.raises(InputError, match="observation_process=false hides"):
            maker(LSTM, **closed, **HIDDEN)(0)
    else:
        only_values_are_seen(maker(LSTM, **closed, **HIDDEN))


@pytest.mark.parametrize("broken", [LSTM, ReadsTheMaskAtTheDoor, ReadsDeltaInTheStream, SeesNoValues])
def test_the_law_catches(broken: type[SequenceModel]) -> None:
    hidden = {} if broken is LSTM else HIDDEN  # an LSTM as it is sees masks
    with pytest.raises(AssertionError, match="move"):
        only_values_are_seen(maker(broken, **hidden))


@pytest.mark.parametrize("door", ["mask", "delta", "decay", "statistics"])
def test_every_door_is_one(door: str) -> None:
    """What is closed was open: alone, each of the options shows when something was measured."""
    closed = {"mask": False, "delta": False, "decay": False, "statistics": False}
    with pytest.raises(AssertionError, match="mask or delta moves"):
        only_values_are_seen(maker(LSTM, **closed | {door: True}))
    only_values_are_seen(maker(LSTM, **closed | {door: True}, **HIDDEN))


@pytest.mark.parametrize("law", laws.CAUSAL + laws.ALWAYS, ids=lambda law: law.__name__)
def test_the_laws_of_models_hold(law: Callable[..., None]) -> None:
    law(maker(LSTM, **HIDDEN, statistics=True))


def test_risks_are_explained_by_values_alone() -> None:
    model = maker(LSTM, **HIDDEN, statistics=True)(0).eval()
    batch = laws.batch_of(laws.ward([12] * 4))
    found = IntegratedGradients()(model, batch, torch.tensor([3, 11, 7, 5]), torch.tensor([0, 1, 2, 1]))
    assert found.explained.all()
    assert found.values.any()
    assert not found.mask.any()
    assert not found.delta.any()
