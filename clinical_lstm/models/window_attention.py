"""Attention of every state over the last states: additive or by several heads, within a bounded window.

    a_ts = exp(e_ts) / sum_{r in (t - W, t]} exp(e_tr)                    weight of the state s in (t - W, t]        (1)

Long stays are cut into blocks of queries, so that memory grows with steps x window, not with steps x steps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clinical_lstm.errors import InputError


class MemoryAndPast(NamedTuple):
    """The streaming state of an LSTM with attention: state and last outputs of the LSTM."""

    hidden: Tensor  # (L, B, H)
    cell: Tensor  # (L, B, H)
    past: Tensor  # (B, window - 1, H), the latest one last
    known: Tensor  # (B, window - 1), 1 where there was such a step


class WindowAttention(nn.Module, ABC):
    """Weights over the states that each state may see, and what they pick out."""

    @abstractmethod
    def scores(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Return e (N, heads, Q, S) of the states `asking` (N, Q, H) and `asked` (N, S, H)."""

    @abstractmethod
    def gathered(self, weights: Tensor, asked: Tensor) -> Tensor:
        """Return the contexts (N, Q, H) of `weights` (N, heads, Q, S) over the states `asked` (N, S, H)."""

    def forward(self, asking: Tensor, asked: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """Return contexts (N, Q, H) and weights (N, heads, Q, S); `allowed` (N, Q, S) has one True per row at least."""
        scores = self.scores(asking, asked).masked_fill(~allowed[:, None], -torch.inf)
        weights = scores.softmax(-1)  # equation 1
        return self.gathered(weights, asked), weights

    def contexts(self, states: Tensor, window: int) -> Tensor:
        """Return the contexts (B, T, H) of `states` (B, T, H)."""
        found, _ = self(*_blocks(states, window))  # (B N, Q, H)
        return found.reshape(len(states), -1, states.shape[2])[:, : states.shape[1]]

    def weights(self, states: Tensor, window: int) -> Tensor:
        """Return the weights (B, heads, T, W) of the states 0, 1, ..., W - 1 steps back of `states` (B, T, H)."""
        _, weights = self(*_blocks(states, window))  # (B N, heads, Q, S)
        block, span = weights.shape[2:]
        latest = torch.arange(span - block, span, device=states.device)  # (Q,) where a query itself lies
        at = latest[:, None] - torch.arange(window, device=states.device)  # (Q, W)
        by_lag = weights.gather(3, at.clamp_min(0).expand(*weights.shape[:2], -1, -1)) * (at >= 0)
        return by_lag.unflatten(0, (len(states), -1)).transpose(1, 2).flatten(2, 3)[:, :, : states.shape[1]]


def _blocks(states: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return blocks of `states` (B, T, H) that ask (B N, Q, H), what they may ask (B N, S, H), and which (B N, Q, S).

    | window - 1 before | Q that ask |          S = window - 1 + Q; one block with nothing before it, if T is short
    """
    size, steps, width = states.shape
    block, reach = (steps, 0) if steps <= 2 * window else (window, window - 1)
    count = -(-steps // block)  # N
    padded = functional.pad(states, (0, 0, reach, count * block - steps))  # (B, reach + N Q, H)
    asking = padded[:, reach:].reshape(size * count, block, width)
    asked = padded.unfold(1, reach + block, block).transpose(2, 3).reshape(size * count, -1, width)
    key = torch.arange(reach + block, device=states.device)  # (S,)
    back = key[reach:, None] - key  # (Q, S) steps from the one that asks
    real = key + torch.arange(count, device=states.device)[:, None] * block >= reach  # (N, S) not before the first step
    return asking, asked, ((back >= 0) & (back < window) & real[:, None]).repeat(size, 1, 1)


class AdditiveAttention(WindowAttention):
    """One set of weights, by a small net.

        e_ts = v . tanh(W h_t + U h_s + b)                                                                           (2)
        c_t = sum_s a_ts h_s                                                                                         (3)

    Source: Bahdanau et al. 2015, arXiv 1409.0473, section 3.1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        between = (width + 1) // 2  # A
        self.query, self.key = nn.Linear(width, between), nn.Linear(width, between, bias=False)
        self.score = nn.Linear(between, 1, bias=False)

    def scores(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Return equation 2, (N, 1, Q, S)."""
        joined = torch.tanh(self.query(asking)[:, :, None] + self.key(asked)[:, None])  # (N, Q, S, A)
        return self.score(joined)[..., 0][:, None]

    def gathered(self, weights: Tensor, asked: Tensor) -> Tensor:
        """Return equation 3, (N, Q, H)."""
        return weights[:, 0] @ asked


class MultiheadAttention(WindowAttention):
    """Several sets of weights, by scaled products.

        e^i_ts = (Q_i h_t) . (K_i h_s) / sqrt(H / heads)                                                             (4)
        c_t = O [ sum_s a^1_ts V_1 h_s ; ... ; sum_s a^heads_ts V_heads h_s ]                                        (5)

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise InputError(f"{heads} heads cannot share states of width {width}: hidden must be a multiple of heads")
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def scores(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Return equation 4, (N, heads, Q, S)."""
        query, key = self._split(self.query(asking)), self._split(self.key(asked))  # (N, heads, ., D)
        return query @ key.transpose(2, 3) / math.sqrt(query.shape[3])

    def gathered(self, weights: Tensor, asked: Tensor) -> Tensor:
        """Return equation 5, (N, Q, H)."""
        return self.out((weights @ self._split(self.value(asked))).transpose(1, 2).flatten(2))

    def _split(self, rows: Tensor) -> Tensor:
        return rows.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, S, D)
