"""What the convolutional nets share: causal dilated convolutions in residual blocks, and what they must remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clinical_lstm.errors import InputError, closest


class Past(NamedTuple):
    """The streaming state of convolutions alone: the last inputs of every convolution, one after the other."""

    past: Tensor  # (B, reach, C)


class PastAndMemory(NamedTuple):
    """The streaming state of convolutions in front of an LSTM."""

    past: Tensor  # (B, reach, H)
    hidden: Tensor  # (L, B, H)
    cell: Tensor  # (L, B, H)


class CausalConvolution(nn.Module):
    """Convolve over the present and the past: tap j looks (k - 1 - j) d steps back, d the dilation.

        y_t = b + sum_j W_j x_{t - (k-1-j) d},  j = 0 ... k-1,  x_t = 0 before the first step                        (1)
        y_t = ReLU(LN(y_t))                               norm = layer: over the channels of one step, never over time
        W = g * V / |V|, y_t = ReLU(y_t)                  norm = weight: per output channel

    Source: van den Oord et al. 2016, arXiv 1609.03499 (causal, dilated); Salimans & Kingma 2016, arXiv 1602.07868
    (weight norm); Ba et al. 2016, arXiv 1607.06450 (layer norm).
    """

    def __init__(self, width: int, kernel: int, dilation: int, norm: str) -> None:
        super().__init__()
        self.taps = nn.Conv1d(width, width, kernel, dilation=dilation)
        nn.init.kaiming_normal_(self.taps.weight, nonlinearity="relu")
        self.gain = nn.Parameter(self.taps.weight.detach().norm(dim=(1, 2))) if norm == "weight" else None
        self.norm = nn.LayerNorm(width) if norm == "layer" else None

    @property
    def reach(self) -> int:
        """How many steps back it looks."""
        return (self.taps.kernel_size[0] - 1) * self.taps.dilation[0]

    def forward(self, rows: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T, C) from `rows` (B, T, C) and the `past` (B, reach, C) before them, and the past after them."""
        whole = torch.cat([past, rows], dim=1)  # (B, reach + T, C)
        weight = self.taps.weight  # (C, C, k)
        if self.gain is not None:
            weight = self.gain[:, None, None] * functional.normalize(weight.flatten(1), dim=1).view_as(weight)
        found = functional.conv1d(whole.transpose(1, 2), weight, self.taps.bias, dilation=self.taps.dilation)
        found = found.transpose(1, 2)  # (B, T, C): equation 1
        return torch.relu(found if self.norm is None else self.norm(found)), whole[:, rows.shape[1] :]


class ResidualBlocks(nn.Module):
    """Blocks of causal convolutions with dilation 1, 2, 4, ..., each beside a direct path.

        o^l = ReLU(o^{l-1} + dropout(conv_n(... dropout(conv_1(o^{l-1})))))                       (2) dilation 2^l

    The receptive field is 1 + n (k - 1) (2^blocks - 1) steps: `reach` past ones and the present. The past that is kept
    are the last inputs of every convolution, one after the other.
    Source: Bai et al. 2018, arXiv 1803.01271, figure 1.
    """

    def __init__(self, width: int, blocks: int, convolutions: int, kernel: int, norm: str, dropout: float) -> None:
        super().__init__()
        if min(blocks, kernel) < 1:
            raise InputError(f"blocks ({blocks}) and kernel ({kernel}) must be 1 or more")
        if norm not in (norms := ["layer", "weight"]):
            raise InputError(f"there is no norm {norm!r} of a convolution: {closest(norm, norms)}")
        self.blocks = nn.ModuleList(
            nn.ModuleList(CausalConvolution(width, kernel, 2**block, norm) for _ in range(convolutions))
            for block in range(blocks)
        )
        self.dropout = nn.Dropout(dropout)
        self.reaches = [conv.reach for block in self._convolutions() for conv in block]

    @property
    def reach(self) -> int:
        """How many steps back the last block looks."""
        return sum(self.reaches)

    def forward(self, rows: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T, C) from `rows` (B, T, C) and the `past` (B, reach, C) before them, and the past after them."""
        kept, before = [], iter(past.split(self.reaches, dim=1))
        for block in self._convolutions():
            found = rows
            for convolution in block:
                found, after = convolution(found, next(before))
                found = self.dropout(found)
                kept.append(after)
            rows = torch.relu(rows + found)  # equation 2
        return rows, torch.cat(kept, dim=1)

    def _convolutions(self) -> Sequence[Sequence[CausalConvolution]]:
        return self.blocks  # type: ignore[return-value]  # a ModuleList does not say what it holds
