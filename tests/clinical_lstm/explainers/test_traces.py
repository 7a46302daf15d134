"""Traces: modules are caught while the model runs, and nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.traces import calls, has, models_with, require_eval, until
from clinical_lstm.models.residual_lstm import ResidualLSTM


def built() -> ResidualLSTM:
    return ResidualLSTM(5, 3, [("death", 6.0)], hidden=4, layers=2).eval()


def test_calls_come_in_the_order_of_the_model_and_leave_no_hook(stays: Batch) -> None:
    model = built()
    found = calls(model, stays, nn.LSTM)
    assert [call.name for call in found] == ["lstms.0", "lstms.1"]
    for call in found:
        torch.testing.assert_close(call.module(*call.given)[0], call.answer[0])
    assert not any(part._forward_hooks for part in model.modules())


def test_hooks_are_removed_when_the_model_fails(stays: Batch) -> None:
    model = built()
    with pytest.raises(RuntimeError):
        calls(model, stays._replace(static=stays.static[:, :1]), nn.LSTM)
    assert not any(part._forward_hooks for part in model.modules())


def test_models_are_found_by_what_they_are_made_of_and_no_random_number_is_drawn() -> None:
    before = torch.get_rng_state()
    assert models_with(lambda model: has(model, nn.GRU)) == ["gru"]
    assert torch.equal(before, torch.get_rng_state())


def test_training_mode_is_refused() -> None:
    require_eval(built())
    with pytest.raises(InputError, match="dropout is on"):
        require_eval(built().train())


def test_steps_up_to_the_prediction() -> None:
    assert until(torch.tensor([2, 0]), 4).tolist() == [[True, True, True, False], [True, False, False, False]]
