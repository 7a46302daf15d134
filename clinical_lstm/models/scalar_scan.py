"""The loop over time of an sLSTM, with its gradient written out; equations of `slstm`, heads first and stays last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from clinical_lstm.models.xlstm import NOTHING


def advance(raw: Tensor, memory: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return h, y, w and the share p of what was stored (each (N, d, B)) from gates (N, 4d, B): equations 2 to 5."""
    i, f, z, o = raw.chunk(4, dim=1)
    above = logsigmoid(f) + weight - i
    share = torch.sigmoid(above)  # equation 2
    memory = torch.lerp(torch.tanh(z), memory, share)  # equation 3
    return torch.sigmoid(o) * memory, memory, i - logsigmoid(-above), share  # equations 5 and 4


class Scan(torch.autograd.Function):
    """The loop over time with its gradient written out: an eighth of the operations that autograd would record."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, recurrent: Tensor) -> Tensor:
        """Return the hidden states (T, N, d, B) of gates W x + b (T, N, 4d, B)."""
        hidden = gates.new_zeros(recurrent.shape[0], recurrent.shape[2], gates.shape[3])
        memory, weight, kept = hidden, torch.full_like(hidden, NOTHING), []
        for gate in gates.unbind():
            raw = torch.baddbmm(gate, recurrent, hidden)  # equation 1
            hidden, memory, weight, share = advance(raw, memory, weight)
            kept.append((hidden, raw, memory, share))
        found, *others = (torch.stack(same) for same in zip(*kept))
        ctx.save_for_backward(recurrent, found, *others)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of the gates and of R.

        With dw_t, dy_t what later steps ask of w_t and y_t, p = share, u = log f + w_{t-1} - i:
        du = dy p (1-p) (y_{t-1} - z),  dw_{t-1} = p dw + du,  di = dw - dw_{t-1},  df = dw_{t-1} sigmoid(-f~)
        """
        recurrent, hidden, raw, memory, share = ctx.saved_tensors
        _, f, z, o = raw.chunk(4, dim=2)
        z, o = torch.tanh(z), torch.sigmoid(o)
        before = torch.cat([torch.zeros_like(memory[:1]), memory[:-1]])
        by_share, by_forget = share * (1 - share) * (before - z), torch.sigmoid(-f)
        by_input, by_output = (1 - share) * (1 - z * z), memory * o * (1 - o)
        gradient, backwards = torch.empty_like(raw), recurrent.transpose(1, 2).contiguous()
        later_memory = later_weight = torch.zeros_like(memory[0])
        towards = towards.contiguous()
        asked = towards[-1]
        for t in range(len(raw) - 1, -1, -1):
            di, df, dz, do = gradient[t].chunk(4, dim=1)
            torch.mul(asked, by_output[t], out=do)
            dy = torch.addcmul(later_memory, asked, o[t])
            torch.mul(dy, by_input[t], out=dz)
            earlier = torch.addcmul(dy * by_share[t], later_weight, share[t])
            torch.sub(later_weight, earlier, out=di)
            torch.mul(earlier, by_forget[t], out=df)
            later_memory, later_weight = dy * share[t], earlier
            if t > 0:
                asked = torch.baddbmm(towards[t - 1], backwards, gradient[t])
        return gradient, torch.matmul(gradient[1:], hidden[:-1].transpose(2, 3)).sum(0)
