"""Causal transformer layers over real hours: whole stays at once, or step by step with a bounded cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clinical_lstm.errors import InputError


class Cache(NamedTuple):
    """What the layers remember of the last W - 1 steps."""

    keys: Tensor  # (B, L, heads, W - 1, D), rotated
    values: Tensor  # (B, L, heads, W - 1, D)
    filled: Tensor  # (B, W - 1) whether there was such a step


class TransformerLayer(nn.Module):
    """Attention and a feed-forward net, each on normed rows and beside a direct path (pre-norm).

        q_t, k_t, v_t = W LN(r_t),   per head, q_t and k_t turned by the hour of the step                            (1)
        a_t = sum_s softmax_s(q_t . k_s / sqrt(D)) v_s                               s in the window of t            (2)
        r_t = r_t + dropout(O a_t)                                                                                   (3)
        r_t = r_t + dropout(W_2 GELU(W_1 LN(r_t)))                                                                   (4)

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1; pre-norm, Xiong et al. 2020, arXiv 2002.04745.
    """

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.project, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        up, down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.feed = nn.Sequential(nn.LayerNorm(width), up, nn.GELU(), down)
        self.dropout = nn.Dropout(dropout)

    def asked(self, rows: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (B, heads, T, D) of the rows (B, T, H): equation 1."""
        three = self.project(self.norm(rows)).unflatten(2, (3 * self.heads, -1))  # (B, T, 3 heads, D)
        both, value = three.split([2 * self.heads, self.heads], dim=2)
        query, key = turned(both, turns).transpose(1, 2).chunk(2, dim=1)
        return query, key, value.transpose(1, 2)

    def answered(self, rows: Tensor, found: Tensor) -> Tensor:
        """Return the rows (B, T, H) after what attention found (B, heads, T, D): equations 3 and 4."""
        rows = rows + self.dropout(self.out(found.transpose(1, 2).flatten(2)))
        return rows + self.dropout(self.feed(rows))


class TransformerLayers(nn.Module):
    """Transformer layers whose step t sees the steps t - W + 1 ... t of the layer below, and a last norm.

    Positions are hours since admission, as rotations: of the pair i of a head by hours * 1000^(-2i/D) radians, so that
    a product of a query and a key depends on the hours between their steps alone, on any grid.
    Source: rotations, Su et al. 2021, arXiv 2104.09864.
    """

    LONGEST = 1000.0  # hours per radian that the slowest pair nears
    speeds: Tensor  # (D / 2,) radians per hour of every pair

    def __init__(self, width: int, layers: int, heads: int, expansion: int, window: int, dropout: float) -> None:
        super().__init__()
        if min(width, heads) < 1 or width % (2 * heads):
            raise InputError(f"hidden={width} cannot be cut into heads={heads} of an even width: choose a multiple")
        if min(layers, expansion, window) < 1:
            raise InputError(f"layers={layers}, expansion={expansion} and window_steps={window} must be 1 or more")
        self.window = window
        self.layers = nn.ModuleList(TransformerLayer(width, heads, expansion, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        each = width // heads
        self.register_buffer("speeds", self.LONGEST ** (-torch.arange(0, each, 2) / each), persistent=False)

    def forward(self, rows: Tensor, hours: Tensor) -> Tensor:
        """Return the last rows (B, T, H) of whole stays, from the first (B, T, H) and the hours (B, T)."""
        turns = self._turns(hours)
        for layer in self._each():
            rows = layer.answered(rows, banded(*layer.asked(rows, turns), self.window))
        return self.norm(rows)

    def empty(self, size: int) -> Cache:
        """Return the cache of `size` stays before their first step."""
        layers, heads, each = len(self.layers), next(iter(self._each())).heads, 2 * len(self.speeds)
        nothing = self.norm.weight.new_zeros(size, layers, heads, self.window - 1, each)
        filled = torch.zeros(size, self.window - 1, dtype=torch.bool, device=nothing.device)
        return Cache(nothing, nothing, filled)

    def advance(self, rows: Tensor, hours: Tensor, past: Cache) -> tuple[Tensor, Cache]:
        """Return the last rows (B, 1, H) of one more step and the cache after it."""
        turns, keys, values = self._turns(hours), [], []
        filled = torch.cat([past.filled, past.filled.new_ones(len(rows), 1)], dim=1)  # (B, W)
        for number, layer in enumerate(self._each()):
            query, key, value = layer.asked(rows, turns)
            keys.append(torch.cat([past.keys[:, number], key], dim=2))  # (B, heads, W, D)
            values.append(torch.cat([past.values[:, number], value], dim=2))
            allowed = filled[:, None, None]  # (B, 1, 1, W)
            found = functional.scaled_dot_product_attention(query, keys[-1], values[-1], attn_mask=allowed)
            rows = layer.answered(rows, found)
        kept, seen = (torch.stack(parts, dim=1)[:, :, :, 1:] for parts in (keys, values))
        return self.norm(rows), Cache(kept, seen, filled[:, 1:])

    def _turns(self, hours: Tensor) -> Tensor:
        """Return cosine and sine (2, B, T, 1, D / 2) of the angles of the steps."""
        angles = hours[:, :, None, None] * self.speeds
        return torch.stack([angles.cos(), angles.sin()])

    def _each(self) -> Iterable[TransformerLayer]:
        return self.layers  # type: ignore[return-value]  # a ModuleList does not say what it holds


def turned(rows: Tensor, turns: Tensor) -> Tensor:
    """Return the rows (B, T, heads, D) with every pair (i, D/2 + i) turned by its angle (2, B, T, 1, D / 2)."""
    (one, other), (cosine, sine) = rows.chunk(2, dim=3), turns
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=3)


def banded(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Return attention (B, heads, T, D) of every step over itself and the `window` - 1 steps before it: equation 2.

    Stays of many windows are cut into blocks of one window, whose queries meet the keys of two.
    """
    steps = query.shape[2]
    reach, block = (0, steps) if steps <= 2 * window else (window - 1, window)
    blocks = -(-steps // block)  # N
    ahead, behind = (torch.arange(n, device=query.device) for n in (block, reach + block))
    back = ahead[:, None] + reach - behind  # (block, reach + block) steps from the query to the key
    allowed = (back >= 0) & (back < window)
    if blocks > 1:
        first = torch.arange(blocks, device=query.device)[:, None, None] * block - reach
        allowed = (allowed & (first + behind >= 0)).repeat(query.shape[1], 1, 1)  # (heads N, block, reach + block)
        ends = (0, 0, reach, blocks * block - steps)
        query = functional.pad(query, (0, 0, 0, ends[3])).unflatten(2, (blocks, block)).flatten(1, 2)
        key, value = (
            functional.pad(rows, ends).unfold(2, reach + block, block).transpose(3, 4).flatten(1, 2)
            for rows in (key, value)
        )  # (B, heads N, reach + block, D)
    found = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    return found.unflatten(1, (-1, blocks)).flatten(2, 3)[:, :, :steps]
