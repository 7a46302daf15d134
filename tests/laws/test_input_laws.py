"""What every model obeys, with each way of showing it a step; and that each way can be explained."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clinical_lstm import plugins
from clinical_lstm.batch import Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.integrated_gradients import BASELINES, IntegratedGradients
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.gru import GRU
from clinical_lstm.models.lstm import LSTM
from clinical_lstm.models.residual_lstm import ResidualLSTM

_SPEC = importlib.util.spec_from_file_location("model_laws", Path(__file__).with_name("test_model_laws.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
laws = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(laws)

NAMES = ("heart_rate", "lactate", "sbp", "gcs", "fio2")  # what the five variables of the laws are to a block
VOCABULARY = {"variables": NAMES, "statics": ("age_years", "male"), "step_hours": 1.0}
ENGINEERED = {"engineered": plugins.names("features"), "vocabulary": VOCABULARY}
EVERYTHING = {"decay": True, "static": "state", "statistics": True, "variable_dropout": 0.3, "noise": 0.1}
OPTIONS: dict[str, dict[str, Any]] = {
    "values_alone": {"mask": False, "delta": False, "hours": False, "static": "none"},
    "piecewise": {"encoding": "piecewise"},
    "embedding": {"encoding": "embedding"},
    "decay": {"decay": True},
    "static_state": {"static": "state"},
    "statistics": {"statistics": True},
    "engineered": ENGINEERED,
    "engineered_bins": {**ENGINEERED, "engineered_bins": 5},
    "engineered_values": {**ENGINEERED, "mask": False, "delta": False, "hours": False, "static": "none"},
    "engineered_and_everything": {**ENGINEERED, "engineered_bins": 3, "encoding": "piecewise", **EVERYTHING},
    "everything": {"encoding": "piecewise", **EVERYTHING},
    "everything_embedded": {"encoding": "embedding", **EVERYTHING},
}
MEASURED = Scaler(
    variables=list(NAMES),
    statics=["age_years", "male"],
    log=np.arange(7) == 1,
    location=np.array([85.0, 1.0, 118.0, 13.0, 0.4, 62.0, 0.5]),
    scale=np.array([20.0, 0.4, 22.0, 2.0, 0.15, 15.0, 0.5]),
)
CASES = [(LSTM, name) for name in OPTIONS]
CASES += [(GRU, "everything"), (ResidualLSTM, "static_state"), (ResidualLSTM, "everything_embedded")]
CASES += [(GRU, "engineered_and_everything"), (ResidualLSTM, "engineered")]
CASES_BY_NAME = {f"{kind.__name__}-{name}": (kind, OPTIONS[name]) for kind, name in CASES}


def maker(kind: Callable[..., SequenceModel], inputs: dict[str, Any]) -> Callable[[int], SequenceModel]:
    """Return what builds a model whose inputs have learned the scale of the train split, as a training begins."""

    def make(seed: int) -> SequenceModel:
        torch.manual_seed(seed)
        model = kind(**laws.SIZES, inputs=inputs)
        draw = np.random.default_rng(0)
        variable = draw.integers(0, laws.VARIABLES - 1, 400)  # the last variable is never seen in train
        model.learn_scale(draw.standard_normal(400).astype(np.float32), variable.astype(np.uint16))
        model.learn_engineered(MEASURED, [laws.batch_of(laws.ward(seed=5))])
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


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("case", CASES_BY_NAME)
def test_every_risk_can_be_explained(case: str, baseline: str) -> None:
    model = laws.stirred(maker(*CASES_BY_NAME[case]))
    batch = laws.batch_of(laws.ward([12] * 4))
    explained = IntegratedGradients(baseline)(model, batch, torch.tensor([3, 11, 7, 5]), torch.tensor([0, 1, 2, 1]))
    assert explained.explained.all()
    parts = (explained.values, explained.mask, explained.delta, explained.static)
    total = sum(part.reshape(4, -1).sum(1) for part in parts)
    assert np.allclose(total, explained.logit - explained.baseline_logit, atol=0.01)
    assert np.abs(explained.logit - explained.baseline_logit).max() > 0.02


def test_a_model_without_a_first_state_refuses_static_variables_in_it() -> None:
    with pytest.raises(InputError, match=r"WithoutAFirstState has no state.*gru, .*lstm.*rnn"):
        WithoutAFirstState()
