"""mLSTM: a matrix memory of keys and values; no step waits for the one before, so that whole stays are one product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from clinical_lstm.models.xlstm import NOTHING, Cell, HeadNorm, ResidualCells, remember

CHUNK = 64  # steps that are one product; a longer stay is several, so that memory grows with T and not with T^2
LARGEST = 60.0  # of an exponent: exp(60) is finite in 32 bits, and an answer divided by it is 0


class _Matrices(NamedTuple):
    """The streaming state of an mLSTM."""

    memory: Tensor  # (L, B, N, d, d + 1) [C n] exp(-m): the matrix and, as its last column, the normaliser
    level: Tensor  # (L, B, N, 1, 1) m, the largest log weight in it


class _MatrixMemory(Cell):
    """Equations 1 to 7 of `MLSTM`."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__(hidden, heads)
        self.inward = nn.Linear(hidden, 4 * hidden)  # q, k, v, o
        self.gates = nn.Linear(3 * hidden, 2 * heads)  # i, f from q, k, v
        self.outward = nn.Linear(hidden, hidden)
        self.norm = HeadNorm(hidden, heads)
        nn.init.zeros_(self.gates.weight)
        nn.init.normal_(self.gates.bias, std=0.1)
        remember(self.gates.bias[heads:])

    def forward(self, seen: Tensor) -> Tensor:
        """Return the hidden states (B, T, H): the parallel form, chunk by chunk."""
        q, k, v, i, f, out = self._project(seen)
        found, (memory, level) = [], self.begin(seen, len(seen))
        for begin in range(0, seen.shape[1], CHUNK):
            part = (x[:, :, begin : begin + CHUNK] for x in (q, k, v, i, f))
            answer, memory, level = _parallel((memory, level), *part)
            found.append(answer)
        return self._answer(torch.cat(found, dim=2), out)

    def begin(self, like: Tensor, stays: int) -> tuple[Tensor, ...]:
        """Return empty memories."""
        memory = like.new_zeros(stays, self.heads, self.size, self.size + 1)
        return memory, like.new_full((stays, self.heads, 1, 1), NOTHING)

    def step(self, seen: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the hidden states (B, H) of one more step, and the state: the recurrent form, equations 3 to 6."""
        q, k, v, i, f, out = self._project(seen[:, None])
        memory, level = before
        kept = logsigmoid(f) + level  # (B, N, 1, 1)
        after = torch.maximum(kept, i)
        memory = torch.exp(kept - after) * memory + torch.exp(i - after) * (k.transpose(2, 3) @ v)  # equations 3, 4
        return self._answer(_normalised(q @ memory, after), out)[:, 0], (memory, after)  # equation 5

    def _project(self, seen: Tensor) -> tuple[Tensor, ...]:
        """Return q, k (B, N, T, d), [v 1] (B, N, T, d + 1), i~, f~ (B, N, T, 1), o~ (B, T, H): equations 1 and 2."""
        projected = self.inward(seen)  # (B, T, 4H)
        q, k, v, out = projected.chunk(4, dim=2)
        gates = self.gates(projected[..., : 3 * self.hidden]).to(seen.dtype).mT[..., None]  # (B, 2N, T, 1)
        q, k, v = (part.unflatten(2, (self.heads, self.size)).transpose(1, 2) for part in (q, k, v))  # (B, N, T, d)
        v = nn.functional.pad(v, (0, 1), value=1.0)
        return q, k * self.size**-0.5, v, *gates.chunk(2, dim=1), out

    def _answer(self, found: Tensor, out: Tensor) -> Tensor:
        """Return W [sigmoid(o~) norm(h)] (B, T, H) of what the heads found (B, N, T, d): equation 6."""
        return self.outward(torch.sigmoid(out) * self.norm(found.transpose(1, 2).flatten(2)))


def _parallel(
    before: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the answers (B, N, T, d) to a chunk of steps, and the memory behind it.

    With F_t = sum_{r <= t} log f_r and g_s = i~_s - F_s, the log weight of step s at step t is F_t + g_s:
    m_t = F_t + M_t, M_t = max(m_0, max_{s <= t} g_s),  D_ts = exp(g_s - M_t) for s <= t,
    [C n]_t q_t exp(-m_t) = sum_s D_ts (q_t . k_s) [v_s 1] + exp(m_0 - M_t) [C n]_0 q_t
    """
    memory, level = before
    forgotten = logsigmoid(f).cumsum(2)  # (B, N, T, 1) F
    weight = i - forgotten  # (B, N, T, 1) g
    highest = torch.maximum(weight.detach().cummax(2).values, level.detach())  # (B, N, T, 1) M; cancels, so constant
    later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
    decay = (weight.transpose(2, 3) - highest).masked_fill(later, float("-inf")).exp()  # (B, N, T, T) D
    found = (q @ k.transpose(2, 3) * decay) @ v + torch.exp(level - highest) * (q @ memory)  # (B, N, T, d + 1)
    top = highest[:, :, -1:]
    added = (k * torch.exp(weight - top)).transpose(2, 3) @ v  # (B, N, d, d + 1)
    memory = torch.exp(level - top) * memory + added
    return _normalised(found, forgotten + highest), memory, forgotten[:, :, -1:] + top


def _normalised(found: Tensor, level: Tensor) -> Tensor:
    """Return h = C q / max(|n q|, 1) (B, N, T, d) of [C q, n q] exp(-m) (B, N, T, d + 1) and m."""
    least = torch.exp((-level).clamp(max=LARGEST))
    return found[..., :-1] / torch.maximum(found[..., -1:].abs(), least)


class MLSTM(ResidualCells):
    """Residual layers of mLSTM: a memory of keys and values per head, read by a query.

        q_t = W_q x_t + b_q,  k_t = W_k x_t + b_k,  v_t = W_v x_t + b_v   (d features a head)            (1) attention
        i~_t, f~_t = W_g [q_t ; k_t ; v_t] + b_g,  i = exp(i~),  f = sigmoid(f~)                         (2) per head
        C_t = f_t C_{t-1} + i_t k_t v_t^T / sqrt(d)                                                      (3) memory
        n_t = f_t n_{t-1} + i_t k_t / sqrt(d)                                                            (4) normaliser
        h_t = C_t^T q_t / max(|n_t . q_t|, 1)                                                            (5) answer
        y_t = W_y [sigmoid(W_o x_t) norm(h_t)]                                                           (6) gated
        m_t = max(log f_t + m_{t-1}, i~_t)                                                               (7) stabiliser

    C and n are kept divided by exp(m), which cancels in (5), so that no gate can overflow.
    Source: Beck et al., xLSTM, NeurIPS 2024, arXiv 2405.04517 (section 2.3; without convolution and up-projection).
    """

    Memory = _MatrixMemory
    State = _Matrices
