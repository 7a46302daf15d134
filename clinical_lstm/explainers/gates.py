"""What the gates of an LSTM did during a stay, and how long its units remember: read from the weights, not guessed."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.traces import Call, Gates, calls, has, models_with, require_eval, until
from clinical_lstm.models.base import SequenceModel

LEAST = 1e-300  # a forget gate that is never below 1 remembers longer than any number says
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
Layer = tuple[Tensor, Tensor, Tensor, Tensor]  # gates before the sigmoid (i, f, o) and cell, (B, T, H) each


class GateReader:
    """Recompute gates and cells of every LSTM layer of a model, in 64 bits, from its weights and its own inputs.

        i_t, f_t, o_t = sigmoid(W x_t + U h_{t-1} + b)                                                               (1)
        c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c),    h_t = o_t * tanh(c_t)                      (2)
        retained_s = f_{s+1} f_{s+2} ... f_t                                    of what the cell held after step s   (3)
        half-life = ln 0.5 / ln(mean f)                                         in steps; in hours, times the mean   (4)
        half-life = ln 0.5 (hours_t - hours_0) / ln(f_1 f_2 ... f_t)            in hours, by the product             (5)

    t is the prediction; (4) and (5) are over the steps 1 ... t, whose gates met something to forget. (5) is exact:
    0.5 ** (hours passed / half-life) is retained_0. A prediction at the very first step has the gate of that step, as
    if it had lasted since admission. That (1) and (2) are the model's own is measured: `error`.

    Gates say how the memory works, not what a risk is due to. An integrated gradient says that.
    Source: Gers, Schmidhuber & Cummins 2000, doi 10.1162/089976600300015015; forget gates as time scales, Tallec &
    Ollivier, Can recurrent neural networks warp time? (2018), arXiv 1804.11188.

    Args:
        top: how many units and steps the summary names.

    """

    def __init__(self, top: int = 5) -> None:
        if top < 1:
            raise InputError(f"top = {top} must be at least 1")
        self.top = top

    @torch.no_grad()
    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor) -> Gates:
        """Return the gates of B predictions at the steps `step` (B,).

        Raises InputError when the model is in training mode, or has no LSTM layer that reads forwards.
        """
        require_eval(model)
        if not _readable(model):
            raise InputError(
                f"{type(model).__name__} has no gates of an LSTM that reads a stay forwards; choose one of the models "
                + ", ".join(models_with(_readable))
            )
        step = step.to(batch.hours.device)
        seen = until(step, batch.hours.shape[1])  # (B, T)
        names, layers, errors = [], [], []
        for call in calls(model, batch, nn.LSTM):
            own, hidden = _unrolled(call)
            names += [f"{call.name}[{number}]" for number in range(len(own))]
            layers += own
            errors.append((hidden - call.answer[0]).abs().amax(2).masked_fill(~seen, 0).amax(1))  # (B,)
        widths = sorted({layer[0].shape[2] for layer in layers})
        if len(widths) > 1:
            raise InputError(f"the LSTM layers have {len(widths)} widths, {widths}; read the members one by one")
        stacked = [torch.stack(parts, dim=2) for parts in zip(*layers)]  # (B, T, L, H) each
        return _gates(names, stacked, torch.stack(errors).amax(0), batch.hours, step, seen)

    def summary(self, found: Gates) -> pl.DataFrame:
        """Return one row per prediction (`row`) and layer: half-lives in hours (4), and where to look.

        Columns: row, layer, half_life_hours_p10, _p50, _p90 over the units, longest_units and longest_half_life_hours
        (the `top` units with the longest memory), open_steps and open_input (the steps whose input gates are most open
        on average over the units, and that average).
        """
        rows = []
        for row, layer in np.ndindex(found.half_life_hours.shape[:2]):
            memory = found.half_life_hours[row, layer]  # (H,)
            given = found.input[row, :, layer].mean(1)  # (T,)
            units = np.argsort(-memory, kind="stable")[: self.top]
            steps = np.argsort(-given, kind="stable")[: self.top]
            steps = steps[given[steps] > 0]  # after the prediction there is nothing
            spread = {f"half_life_hours_{name}": np.quantile(memory, q) for name, q in QUANTILES.items()}
            longest = {"longest_units": units.tolist(), "longest_half_life_hours": memory[units].tolist()}
            opened = {"open_steps": steps.tolist(), "open_input": given[steps].tolist()}
            rows.append({"row": row, "layer": found.layers[layer]} | spread | longest | opened)
        return pl.DataFrame(rows)


def _readable(model: SequenceModel) -> bool:
    return model.causal and has(model, nn.LSTM)


def _unrolled(call: Call) -> tuple[list[Layer], Tensor]:
    """Return gates before the sigmoid and cells of every layer of one nn.LSTM, and its hidden states (B, T, H)."""
    lstm = call.module
    if lstm.bidirectional or lstm.proj_size or not lstm.batch_first:
        raise InputError(f"{call.name} is bidirectional, projected or not batch_first: its gates are not read")
    features = call.given[0].double()  # (B, T, F)
    zeros = features.new_zeros(2, lstm.num_layers, len(features), lstm.hidden_size)
    hidden, cell = (part.double() for part in (call.given[1] if len(call.given) > 1 else zeros))  # (L, B, H) each
    layers = []
    for number in range(lstm.num_layers):
        weights = {name: part.double() for name, part in lstm.named_parameters() if name.endswith(f"_l{number}")}
        inward, back = weights[f"weight_ih_l{number}"], weights[f"weight_hh_l{number}"]
        bias = sum(part for name, part in weights.items() if name.startswith("bias"))  # 0 without any
        given, h, c, found = features @ inward.T + bias, hidden[number], cell[number], []
        for now in given.unbind(1):
            i, f, new, o = (now + h @ back.T).chunk(4, dim=1)  # (B, H) each; torch orders the gates i, f, c, o
            c = f.sigmoid() * c + i.sigmoid() * new.tanh()
            h = o.sigmoid() * c.tanh()
            found.append((i, f, o, c, h))
        *layer, features = (torch.stack(parts, dim=1) for parts in zip(*found))  # (B, T, H) each
        layers.append((layer[0], layer[1], layer[2], layer[3]))
    return layers, features


def _gates(names: list[str], parts: list[Tensor], error: Tensor, hours: Tensor, step: Tensor, seen: Tensor) -> Gates:
    """Return the contract from the gates before the sigmoid and the cells (B, T, L, H)."""
    given, kept, shown, cell = parts
    first = (step == 0)[:, None]
    at = torch.arange(seen.shape[1], device=seen.device)
    acting = (seen & ((at > 0) | first))[:, :, None, None]  # (B, T, 1, 1)
    count = acting.sum(1)  # (B, 1, 1)
    end = hours.double().gather(1, step[:, None])  # (B, 1)
    passed = torch.where(first, end, end - hours[:, :1].double())[:, :, None]  # (B, 1, 1) hours
    faded = logsigmoid(kept) * acting  # ln f
    total = faded.flip(1).cumsum(1).flip(1)
    lost = (torch.sigmoid(-kept) * acting).sum(1) / count  # (B, L, H) = 1 - mean f
    steps = math.log(2) / (-torch.log1p(-lost)).clamp_min(LEAST)  # 4
    product = math.log(2) * passed / (-faded.sum(1)).clamp_min(LEAST)  # 5
    retained = (total - faded).exp()  # 3
    traces = [given.sigmoid(), kept.sigmoid(), shown.sigmoid(), cell, retained]
    traces = [trace * seen[:, :, None, None] for trace in traces]
    return Gates(names, *(part.cpu().numpy() for part in (*traces, steps, steps * passed / count, product, error)))
