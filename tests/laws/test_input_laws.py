"""What every model obeys, with each way of showing it a step; and that each way can be explained."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm.errors import InputError
from clinical_lstm.explainers.integrated_gradients import IntegratedGradients
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.gru import GRU
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.models.residual_lstm import ResidualLSTM

_SPEC = importlib.util.spec_from_file_location("model_laws", Path(__file__).with_name("test_model_laws.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
laws = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(laws)

EVERYTHING = {"decay": True, "static": "state", "statistics": True, "variable_dropout": 0.3, "noise": 0.1}
OPTIONS: dict[str, dict[str, Any]] = {
    "values_alone": {"mask": False, "delta": False, "hours": False, "static": "none"},
    "piecewise": {"encoding": "piecewise"},
    "embedding": {"encoding": "embedding"},
    "decay": {"decay": True},
    "static_state": {"static": "state"},
    "statistics": {"statistics": True},
    "everything": {"encoding": "piecewise", **EVERYTHING},
    "everything_embedded": {"encoding": "embedding", **EVERYTHING},
}
CASES = [(LSTM, name) for name in OPTIONS]
CASES += [(GRU, "everything"), (ResidualLSTM, "static_state"), (ResidualLSTM, "everything_embedded")]
CASES_BY_NAME = {f"{kind.__name__}-{name}": (kind, OPTIONS[name]) for kind, name in CASES}


def maker(kind: Callable[..., SequenceModel], inputs: dict[str, Any]) -> Callable[[int], SequenceModel]:
    """Return what builds a model whose inputs have learned the scale of the train split, as a training begins."""

    def make(seed: int) -> SequenceModel:
        torch.manual_seed(seed)
        model = kind(**laws.SIZES, inputs=inputs)
        draw = np.random.default_rng(0)
        variable = draw.integers(0, laws.VARIABLES - 1, 400)  # the last variable is never seen in train
        model.learn_scale(draw.standard_normal(400).astype(np.float32), variable.astype(np.uint16))
        return model

    return make


class WithoutAFirstState(laws.Honest):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        SequenceModel.__init__(self, 3, 2, {"static": "state"})


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("law", laws.CAUSAL + laws.ALWAYS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES_BY_NAME)
def test_model_obeys_with(case: str, law: Callable[..., None]) -> None:
    law(maker(*CASES_BY_NAME[case]))


@pytest.mark.parametrize("case", CASES_BY_NAME)
def test_every_risk_can_be_explained(case: str) -> None:
    model = maker(*CASES_BY_NAME[case])(0).eval()
    batch = laws.batch_of(laws.ward([12] * 4))
    found = IntegratedGradients()(model, batch, torch.tensor([3, 11, 7, 5]), torch.tensor([0, 1, 2, 1]))
    assert found.explained.all()
    total = sum(part.reshape(4, -1).sum(1) for part in (found.values, found.mask, found.delta, found.static))
    assert np.allclose(total, found.logit - found.baseline_logit, atol=0.01)


def test_a_model_without_a_first_state_refuses_static_variables_in_it() -> None:
    with pytest.raises(InputError, match=r"WithoutAFirstState has no state.*gru, .*lstm.*rnn"):
        WithoutAFirstState()
