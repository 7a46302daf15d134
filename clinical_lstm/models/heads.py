"""From hidden states to logits of every complication x horizon, monotone in the horizon by construction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clinical_lstm.errors import InputError, closest

Target = tuple[str, float]
RARE = 1e-4  # base rates are kept this far from 0 and 1


def make_head(name: str, width: int, targets: Sequence[Target]) -> RiskHead | HazardHead:
    """Return the head `name` for states of `width`; raises InputError naming those that exist."""
    heads: dict[str, type[RiskHead | HazardHead]] = {"cumulative": RiskHead, "hazard": HazardHead}
    if name not in heads:
        raise InputError(f"there is no head {name!r}: {closest(name, list(heads))}")
    return heads[name](width, targets)


class RiskHead(nn.Module):
    """Logits that cumulate over the horizons of a complication, as in Tomasev et al. 2019.

        l_1 = w_1 h + b_1,    l_k = l_{k-1} + softplus(w_k h + b_k)        for the horizons h_1 < h_2 < ... of one

    so that the risk of an onset within 12 h is never below the one within 6 h.
    Source: Tomasev et al., Nature 572:116-119 (2019), doi 10.1038/s41586-019-1390-1.
    """

    def __init__(self, width: int, targets: Sequence[Target]) -> None:
        super().__init__()
        self.n_targets, self.width = len(targets), width
        self.linear = nn.Linear(width, len(targets))
        self.continues = _continues(targets)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., K) of hidden states (..., H)."""
        raw = self.linear(hidden)  # (..., K)
        if not any(self.continues):
            return raw
        logits = [raw[..., 0]]
        for k in range(1, raw.shape[-1]):
            logits.append(logits[-1] + functional.softplus(raw[..., k]) if self.continues[k] else raw[..., k])
        return torch.stack(logits, dim=-1)  # (..., K)

    @torch.no_grad()
    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the biases so that a hidden state of zeros gives the base rates (K,) of the training rows."""
        rates = np.clip(base_rates, RARE, 1 - RARE)
        logits = np.log(rates / (1 - rates))
        bias = logits.copy()
        for k in np.flatnonzero(self.continues):
            bias[k] = np.log(np.expm1(max(logits[k] - logits[k - 1], 1e-2)))
        self.linear.bias.copy_(torch.from_numpy(bias))


class HazardHead(nn.Module):
    """One hazard per complication and hour ahead; the risk within a horizon is what they leave unsurvived.

        L_j = L_{j-1} + softplus(a_j),  a = W h + b                       cumulative hazard after hour j ahead      (1)
        risk_k = 1 - exp(-L_{h_k}),     logit(risk_k) = log(exp(L_{h_k}) - 1)                                       (2)

    so 1 - exp(-softplus(a_j)) = sigmoid(a_j) is the hazard of hour j: of an onset in it, given none before. Horizons
    between two hours count the hour that they end in.
    Source: Tutz & Schmid, Modeling Discrete Time-to-Event Data (2016), doi 10.1007/978-3-319-28158-2.
    """

    LEAST = 1e-6  # of a cumulative hazard, so that the logit stays finite

    def __init__(self, width: int, targets: Sequence[Target]) -> None:
        super().__init__()
        _continues(targets)
        self.n_targets, self.width = len(targets), width
        names = list(dict.fromkeys(name for name, _ in targets))
        self.hours = int(np.ceil(max(horizon for _, horizon in targets)))  # J
        self.place = [(names.index(name), int(np.ceil(horizon)) - 1) for name, horizon in targets]
        self.linear = nn.Linear(width, len(names) * self.hours)

    def hazards(self, hidden: Tensor) -> Tensor:
        """Return the logits a (..., C, J) of the hazard of every complication and hour ahead."""
        return self.linear(hidden).unflatten(-1, (-1, self.hours))  # (..., C, J)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., K) of the risks: equations 1 and 2."""
        cumulative = functional.softplus(self.hazards(hidden)).cumsum(-1).clamp_min(self.LEAST)  # (..., C, J)
        at = torch.stack([cumulative[..., c, j] for c, j in self.place], dim=-1)  # (..., K)
        return at + torch.log(-torch.expm1(-at))  # log(exp(L) - 1), without overflow

    @torch.no_grad()
    def start_at(self, base_rates: np.ndarray) -> None:
        """Set the biases so that a hidden state of zeros gives the base rates (K,) of the training rows."""
        bias = self.linear.bias.view(-1, self.hours)  # (C, J)
        before: dict[int, tuple[int, float]] = {}
        for (c, j), rate in zip(self.place, np.clip(base_rates, RARE, 1 - RARE)):
            begin, reached = before.get(c, (0, 0.0))
            total = max(-np.log1p(-rate), reached + 1e-5)
            each = (total - reached) / (j + 1 - begin)
            bias[c, begin : j + 1] = float(np.log(np.expm1(each)))
            before[c] = (j + 1, total)


def _continues(targets: Sequence[Target]) -> list[bool]:
    """Return which targets are a further horizon of the one before; horizons must ascend within a complication."""
    same = [k > 0 and targets[k][0] == targets[k - 1][0] for k in range(len(targets))]
    if any(s and targets[k][1] <= targets[k - 1][1] for k, s in enumerate(same)):
        raise ValueError("targets must be sorted by complication and horizon")
    return same
