"""Occlusion: what the logit would be, had a variable not been measured for some hours."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.hiding import Hiding, blocks_back
from clinical_lstm.models.base import SequenceModel


class Occlusion:
    """Attribute a logit F(x) to observations by hiding those of one variable within a sliding window of hours.

        W_k = (t - k stride - window, t - k stride]                       windows back from the prediction time t    (1)
        E_vk = F(x) - F(x had v not been observed in W_k)                                                            (2)
        A_i = mean over the windows W_k that hold i of E_vk / |observations of v in W_k|           observation i     (3)

    Hidden means never made: the value before is carried on, the mask is 0, the time since the last observation grows
    (`hiding.unobserve`). So (3) is the effect of an observation as a whole; it stands in `values`, and `mask` and
    `delta` are 0. A static variable is hidden alone, as unknown. `baseline_logit` is that of the stay with nothing
    observed; the effects need not add up to the difference (two labs that say the same hide each other), so `explained`
    is true only where they do. Windows that hide the same observations are evaluated once.

    Source: Zeiler & Fergus, Visualizing and understanding convolutional networks, ECCV 2014, arXiv 1311.2901.

    Args:
        window_hours: length of the window, a multiple of `stride_hours`, by which it slides.
        tolerance: largest gap in logits that counts as explained.
        batch_steps: rows x steps of one forward pass; bounds the memory.

    """

    def __init__(
        self,
        window_hours: float = 6.0,
        stride_hours: float = 3.0,
        tolerance: float = 0.01,
        batch_steps: int = 16384,
    ) -> None:
        strides = window_hours / stride_hours if stride_hours > 0 else 0.0
        if not strides >= 1 or abs(strides - round(strides)) > 1e-6:
            raise InputError(
                f"window_hours = {window_hours} must be a multiple of stride_hours = {stride_hours}, both above 0"
            )
        if not tolerance > 0 or batch_steps < 1:
            raise InputError("tolerance must be above 0 and batch_steps at least 1")
        self.stride_hours, self.strides = stride_hours, round(strides)
        self.tolerance, self.batch_steps = tolerance, batch_steps

    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        """Return the attributions (3) of the logits `model(batch)[b, step[b], target[b]]`, as `Explainer` asks.

        Raises InputError when the model is in training mode or its logits are not finite.
        """
        blocks, variables = blocks_back(batch, step, self.stride_hours), batch.values.shape[2]
        # Between two variables lies as much as a window holds, so that none spans both.
        apart = int(blocks.max(initial=0)) + self.strides
        place = blocks[:, :, None] + apart * np.arange(variables)
        statics = apart * (variables + np.arange(batch.static.shape[1]))
        hiding = Hiding(model, batch, step, target, place, statics, self.batch_steps)
        sets = hiding.windows(self.strides)  # (1)
        return hiding.explanation(sets, hiding.effects(sets), self.strides, self.tolerance)
