"""An ensemble: any number of models whose logits are averaged, as one model."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clinical_lstm import plugins
from clinical_lstm.batch import Batch, Scaler
from clinical_lstm.errors import InputError
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.heads import Target

SMALL = ({"name": "lstm", "hidden": 32}, {"name": "lstm", "hidden": 32})


class Ensemble(SequenceModel):
    """The mean of the members' logits.

        h_t = [h^1_t ; ... ; h^M_t]                       what the heads of the members see                      (1)
        l_t = (l^1_t + ... + l^M_t) / M                   l^j = head_j(h^j)                                      (2)

    Every member has its own inputs, memory and head. The mean on the logit keeps risks monotone in the horizon, and is
    the geometric mean of the odds. One member that sees the whole window makes an ensemble that does.
    Source: averaged networks, Lakshminarayanan et al., NeurIPS 2017, arXiv 1612.01474; logarithmic pooling of
    probabilities, Genest & Zidek, Stat. Sci. 1:114-135 (1986), doi 10.1214/ss/1177013825.

    Args:
        members: a model specification each: its name and arguments, as `model.json` keeps them.

    """

    def __init__(
        self,
        n_variables: int,
        n_static: int,
        targets: Sequence[Target],
        members: Sequence[Mapping[str, Any]] = SMALL,
    ) -> None:
        super().__init__(n_variables, n_static)
        if isinstance(members, (str, Mapping)) or not members or not all(isinstance(m, Mapping) for m in members):
            raise InputError(
                f"model.members must be a list of models, [{{name: lstm, hidden: 32}}, ...]; got {members}"
            )
        sizes = {"n_variables": n_variables, "n_static": n_static, "targets": targets}
        built: list[SequenceModel] = [plugins.build("models", member, **sizes) for member in members]
        self.members = nn.ModuleList(built)
        self.causal = all(member.causal for member in built)
        self.statistics, self.dropout = None, nn.Dropout(0.0)
        self.head = _MeanHead(built)  # type: ignore[assignment]

    def states(self, features: Tensor, batch: Batch) -> Tensor:
        """Return what the members' heads see (B, T, H_1 + ... + H_M): equation 1; they read the batch themselves."""
        return torch.cat([member.hidden(batch) for member in self._members()], dim=2)

    def initial_state(self, static: Tensor) -> Any:
        """Return the members' states before the first step as one: `m0_hidden`, `m0_cell`, `m1_hidden`, ..."""
        return _together([member.start(static) for member in self._members()])

    def advance(self, features: Tensor, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Return what the members' heads see of one more step (B, H_1 + ... + H_M) and the state after it."""
        found = [member.hidden_step(batch, own) for member, own in zip(self._members(), _apart(state))]
        return torch.cat([seen for seen, _ in found], dim=1), _together([after for _, after in found])

    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the output biases of every member to the base rates (K,) of the training rows."""
        for member in self._members():
            member.start_at(base_rates)

    def learn_scale(self, scaled_values: np.ndarray, variable: np.ndarray) -> None:
        """Fit what has a scale in every member to the scaled values (M,) of the train cells."""
        for member in self._members():
            member.learn_scale(scaled_values, variable)

    def learn_engineered(self, scaler: Scaler, batches: Iterable[Batch]) -> None:
        """Let the engineered inputs of every member see the scaler and batches of train stays."""
        kept = list(batches)
        for member in self._members():
            member.learn_engineered(scaler, kept)

    def _members(self) -> list[SequenceModel]:
        return list(self.members)  # type: ignore[arg-type]


class _MeanHead(nn.Module):
    """Equation 2; the members own the heads, so that no weight is kept twice."""

    def __init__(self, members: Sequence[SequenceModel]) -> None:
        super().__init__()
        self.heads = tuple(member.head for member in members)
        self.widths = [head.width for head in self.heads]
        self.n_targets, self.width = self.heads[0].n_targets, sum(self.widths)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., K) of the members' states side by side (..., H_1 + ... + H_M)."""
        parts = hidden.split(self.widths, dim=-1)
        return torch.stack([head(part) for head, part in zip(self.heads, parts)]).mean(0)  # (..., K)


@cache
def _kind(own: tuple[type[Any], ...]) -> Any:
    """Return the state class that holds the fields of the members' state classes `own` one after the other."""
    fields = [f"m{place}_{field}" for place, kind in enumerate(own) for field in kind._fields]
    kind = namedtuple("EnsembleState", fields)  # type: ignore[misc]
    kind.own = own  # type: ignore[attr-defined]
    return kind


def _together(states: Sequence[Any]) -> Any:
    return _kind(tuple(type(state) for state in states))(*(part for state in states for part in state))


def _apart(state: Any) -> list[Any]:
    parts = iter(state)
    return [kind(*(next(parts) for _ in kind._fields)) for kind in type(state).own]
