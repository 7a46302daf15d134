"""The contract of an explainer: a model and predictions in, the share of every input cell in their logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.models.base import SequenceModel


class Explanation(NamedTuple):
    """The attributions of B predictions, in logits; float64 unless said otherwise.

    What a prediction did not use has attribution 0: steps after it, what is the same in the input and in the baseline
    (against a baseline made of the stay itself: variables never observed). Hours and lengths get none: the time since
    admission is context, equal in both.

    Attributes:
        values: (B, T, V) share of the scaled value in the logit.
        mask: (B, T, V) share of having been observed within this step.
        delta: (B, T, V) share of the time since the last observation.
        static: (B, S) share of the static variables.
        logit: (B,) the model's logit. baseline_logit: (B,) its (mean) logit at what the explainer compares with.
        gap: (B,) bounds |sum of attributions - (logit - baseline_logit)|; errors of parts cannot cancel in it.
        evaluations: (B,) int64 number of times the model was evaluated.
        explained: (B,) bool, False where the gap could not be brought below the explainer's tolerance.

    """

    values: np.ndarray
    mask: np.ndarray
    delta: np.ndarray
    static: np.ndarray
    logit: np.ndarray
    baseline_logit: np.ndarray
    gap: np.ndarray
    evaluations: np.ndarray
    explained: np.ndarray


class Explainer(Protocol):
    """Built by the plug-in loader; `tolerance` is the largest gap (logits) that counts as explained."""

    tolerance: float

    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor, target: Tensor) -> Explanation:
        """Explain the logit `model(batch)[b, step[b], target[b]]` of every row b.

        `batch` holds torch tensors, `step` and `target` are (B,) int64; the model is in eval mode.
        """


@runtime_checkable
class Informed(Protocol):
    """An explainer that must know where it works: it has `inform` called once, before its first explanation."""

    def inform(self, lookback_hours: float | None, stays: int, show: Callable[[np.ndarray], Batch]) -> None:
        """Take in how far back the model looks (None: to admission), and the stays that may serve as references.

        Args:
            lookback_hours: of the task.
            stays: number of stays of the train split.
            show: returns those at the given positions (ascending, in 0..stays-1) as a batch of torch tensors, whole
                stays from their first step on, whatever the lookback.

        """


@runtime_checkable
class Named(Protocol):
    """An explainer that goes by names: it has `name` called once, before its first explanation."""

    def name(self, variables: Sequence[str]) -> None:
        """Take in the names of the V measured variables, then of the S static ones."""
