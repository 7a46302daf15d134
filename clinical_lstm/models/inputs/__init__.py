"""What every model sees of a step: encodings, decay, disturbance in training, and a branch of running statistics."""

from __future__ import annotations

from clinical_lstm.models.inputs.beside import apart, together
from clinical_lstm.models.inputs.features import Inputs, make_inputs
from clinical_lstm.models.inputs.statistics import Statistics

__all__ = ["Inputs", "Statistics", "apart", "make_inputs", "together"]
