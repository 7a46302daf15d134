from __future__ import annotations

import numpy as np
import pytest
import torch

from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.lstm import LSTM


def test_a_model_without_a_streaming_form_cannot_be_built() -> None:
    class Whole(SequenceModel):
        def states(self, features, batch):
            return features

    with pytest.raises(TypeError, match="initial_state"):
        Whole()


def test_start_at_reaches_the_head_of_any_model() -> None:
    model = LSTM(3, 1, [("death", 24.0)])
    model.start_at(np.array([0.25]))
    assert torch.sigmoid(model.head.linear.bias).item() == pytest.approx(0.25)
    assert model.causal
