"""From a `Batch` to the features of one step: what every model sees."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.errors import InputError, closest
from clinical_lstm.features import Engineered, Memory, Vocabulary
from clinical_lstm.models.inputs.decay import Decay
from clinical_lstm.models.inputs.disturbance import hide, shake
from clinical_lstm.models.inputs.embedding import Embedding
from clinical_lstm.models.inputs.flat import Flat
from clinical_lstm.models.inputs.piecewise import Piecewise

ENCODINGS: dict[str, Callable[..., Any]] = {"flat": Flat, "piecewise": Piecewise, "embedding": Embedding}
STATIC = ["inputs", "state", "none"]


class Inputs(nn.Module):
    """Concatenate what is known of a step: its encoded variables, static variables and log hours; nothing looks ahead.

        x_t = [ encoding(v_t, m_t, log(1 + delta_t) / 4) ; s ; log(1 + t) / 4 ]                          (F = `width`)

    `log(1 + 48 h) / 4` is about 1, so that all channels have the scale of a standardised value.

    Args:
        encoding: flat, piecewise or embedding; `own` are its keywords. mask, delta, hours: whether the model sees them.
        decay: what was measured long ago fades towards the train median (`Decay`).
        static: static variables stand in every step (`inputs`), set the state before the first one (`state`, where the
            model has one), or are not seen (`none`).
        observation_process: false hides when and how often anything was measured, habits of a ward that do not travel:
            no mask, delta, decay and counts, whatever the other arguments say. Values carried forward are left. The
            hours of the steps are hidden by no option: on a grid they are a clock, but with native event times
            (`task.step_hours` null) they still tell when something was measured.
        statistics: running statistics of every variable stand beside the states (`Statistics`).
        variable_dropout, noise: how whole stays are disturbed in training (`hide`, `shake`).
        engineered: names of blocks of `clinical_lstm.features`, computed from what is visible. engineered_bins: above 1
            each column as the bins of the train quantiles that it has passed (`Piecewise`). vocabulary: the names that
            the blocks compute from, which training fills in (`features.engineered.resolved`).

    """

    SCALE = 0.25

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        encoding: str = "flat",
        mask: bool = True,
        delta: bool = True,
        hours: bool = True,
        decay: bool = False,
        observation_process: bool = True,
        static: str = "inputs",
        statistics: bool = False,
        variable_dropout: float = 0.0,
        noise: float = 0.0,
        engineered: Sequence[str] = (),
        engineered_bins: int = 1,
        vocabulary: Mapping[str, Any] | None = None,
        **own: Any,
    ) -> None:
        super().__init__()
        mask, delta, decay = (seen and observation_process for seen in (mask, delta, decay))
        self.n_variables, self.observation_process = n_variables, observation_process
        self.mask, self.delta, self.hours, self.static, self.statistics = mask, delta, hours, static, statistics
        self.variable_dropout, self.noise = variable_dropout, noise
        self.decay = Decay(n_variables) if decay else None
        self.encoding = ENCODINGS[encoding](n_variables, 1 + mask + delta, **own)
        self.width = self.encoding.width + (n_static if static == "inputs" else 0) + hours
        self.engineered, self.bins = _engineered(engineered, vocabulary, observation_process), None
        if self.engineered is not None:
            self.bins = Piecewise(self.engineered.width, 1, engineered_bins) if engineered_bins > 1 else None
            self.width += self.engineered.width * engineered_bins

    def forward(self, batch: Batch) -> Tensor:
        """Return the features (B, T, F) of whole stays."""
        return self.proceed(batch, self.initial(batch.static))[0]

    def initial(self, static: Tensor) -> Memory | None:
        """Return what engineered inputs remember before the first step; None without any."""
        return None if self.engineered is None else self.engineered.initial(static)

    def proceed(self, batch: Batch, memory: Memory | None) -> tuple[Tensor, Memory | None]:
        """Return the features (B, T, F) of the steps after `memory`, and what is remembered after them."""
        channels = [batch.values if self.decay is None else self.decay(batch)]  # (B, T, V)
        if self.mask:
            channels.append(batch.mask)
        if self.delta:
            channels.append(torch.log1p(batch.delta) * self.SCALE)
        parts = [self.encoding(channels)]  # (B, T, E)
        if self.static == "inputs":
            parts.append(batch.static[:, None, :].expand(-1, batch.hours.shape[1], -1))  # (B, T, S)
        if self.hours:
            parts.append(torch.log1p(batch.hours)[:, :, None] * self.SCALE)  # (B, T, 1)
        if self.engineered is not None and memory is not None:
            found, memory = self.engineered(batch, memory)  # (B, T, E)
            parts.append(found if self.bins is None else self.bins([found]))
        return torch.cat(parts, dim=2), memory  # (B, T, F)

    def visible(self, batch: Batch) -> Batch:
        """Return what may be seen of a batch: all, or as if every variable were measured anew at every step."""
        if self.observation_process:
            return batch
        return batch._replace(mask=torch.ones_like(batch.mask), delta=torch.zeros_like(batch.delta))

    def disturb(self, batch: Batch) -> Batch:
        """Return whole stays as training shows them; outside training as they are."""
        if self.training and self.variable_dropout > 0:
            batch = hide(batch, self.variable_dropout)
        if self.training and self.noise > 0:
            batch = shake(batch, self.noise)
        return batch

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Let the encoding see the scaled values (M,) of the train split and the index (M,) of their variables."""
        self.encoding.learn_scale(scaled_values, variable)

    def learn_engineered(self, scaler: Scaler, batches: Iterable[Batch]) -> None:
        """Let engineered inputs know how values were scaled, and learn their own scale from batches of train stays."""
        if self.engineered is None:
            return
        self.engineered.know(scaler)
        rows = self.engineered.learn(self.visible(batch) for batch in batches)  # (R, F)
        if self.bins is not None:
            found = self.engineered.standardised(rows).numpy()
            column = np.tile(np.arange(found.shape[1]), len(found))
            self.bins.learn_scale(found.reshape(-1), column)


def make_inputs(n_variables: int, n_static: int, spec: Mapping[str, Any] | None) -> Inputs:
    """Return the inputs that `spec` describes; raises InputError on an unknown key, type, choice or range."""
    given = dict(spec or {})
    encoding = given.get("encoding", "flat")
    for key, choices in {"encoding": list(ENCODINGS), "static": STATIC}.items():
        if given.get(key, choices[0]) not in choices:
            raise InputError(f"model.inputs.{key}={given[key]}: {closest(str(given[key]), choices)}")
    known = _defaults(Inputs) | _defaults(ENCODINGS[encoding])
    for key, value in given.items():
        if key not in known:
            raise InputError(f"model.inputs takes no {key!r} with encoding={encoding}: {closest(key, list(known))}")
        if key not in ("engineered", "vocabulary"):
            _check(key, value, known[key])
    return Inputs(n_variables, n_static, **given)


def _engineered(
    blocks: Sequence[str], vocabulary: Mapping[str, Any] | None, observation_process: bool
) -> Engineered | None:
    if not blocks:
        return None
    if vocabulary is None:
        raise InputError("model.inputs.engineered needs the names of the variables (inputs.vocabulary)")
    return Engineered(blocks, Vocabulary.of(vocabulary), observation_process)


def _defaults(made: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(made).parameters.items() if p.default is not p.empty}


def _check(key: str, value: Any, default: Any) -> None:
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
        raise InputError(f"model.inputs.{key} must be of the type of its default {default!r}, not {value!r}")
    if type(default) is int and value < 1:
        raise InputError(f"model.inputs.{key} must be at least 1, not {value}")
    if isinstance(default, float) and not 0 <= value < 1:
        raise InputError(f"model.inputs.{key} must be at least 0 and below 1, not {value}")
