"""Where a model's attention lay at a prediction: weights over the steps before it, per layer and head."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.traces import AttentionWeights, Call, calls, has, models_with, require_eval, until
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.models.transformer_layers import TransformerLayers, banded
from clinical_lstm.models.window_attention import WindowAttention

KINDS = (WindowAttention, TransformerLayers)
Layer = tuple[str, Tensor, Tensor]  # name, weights (B, heads, T) and their error (B,)


class AttentionReader:
    """Return the weights of every attention layer of a model, of the query at the prediction step t.

        a_ts = exp(e_ts) / sum_r exp(e_tr)              s, r in the window of t: sum 1, nothing after t              (1)

    Attention weights are not attributions: they say which steps a layer mixed, not how much a step raised or lowered
    the logit, and a state at step s already holds what came before s. That they are the model's own is measured: what
    they pick out is compared with what the model went on with (`error`).

    Source: Jain & Wallace, Attention is not explanation, NAACL 2019, doi 10.18653/v1/N19-1357; Wiegreffe & Pinter,
    Attention is not not explanation, EMNLP 2019, doi 10.18653/v1/D19-1002.
    """

    @torch.no_grad()
    def __call__(self, model: SequenceModel, batch: Batch, step: Tensor) -> AttentionWeights:
        """Return the weights of B predictions at the steps `step` (B,).

        Raises InputError when the model is in training mode, or has no attention.
        """
        require_eval(model)
        if not has(model, KINDS):
            able = ", ".join(models_with(lambda other: has(other, KINDS)))
            raise InputError(f"{type(model).__name__} has no attention; choose one of the models {able}")
        step = step.to(batch.hours.device)
        layers: list[Layer] = []
        for call in calls(model, batch, KINDS):
            layers += (
                [_over_states(call, step, batch)]
                if isinstance(call.module, WindowAttention)
                else _of_layers(call, step)
            )
        names, weights, errors = zip(*layers)
        found = [part.double().cpu().numpy() for part in weights]
        return AttentionWeights(list(names), found, torch.stack(errors).amax(0).double().cpu().numpy())


def _over_states(call: Call, step: Tensor, batch: Batch) -> Layer:
    """Return the weights that `WindowAttention` gave: its blocks of queries are taken apart again."""
    (_, asked, _), (contexts, weights) = call.given, call.answer
    size, steps = batch.hours.shape
    block, span = weights.shape[2:]  # a block of queries, and what it may ask: span - block steps before it, and itself
    per, reach = len(weights) // size, span - block
    rows = torch.arange(size, device=step.device)
    own, query = rows * per + step // block, step % block  # (B,)
    picked = weights[own, :, query]  # (B, heads, S)
    again = call.module.gathered(picked[:, :, None], asked[own])[:, 0]  # (B, H)
    error = (again - contexts[own, query]).abs().amax(1)
    at = (step // block * block)[:, None] + torch.arange(span, device=step.device)  # (B, S), counted from -reach
    found = picked.new_zeros(*picked.shape[:2], reach + per * block)
    found = found.scatter(2, at[:, None].expand_as(picked), picked)
    return call.name, found[:, :, reach : reach + steps], error


def _of_layers(call: Call, step: Tensor) -> list[Layer]:
    """Return the weights of a stack of transformer layers: the query at `step` meets all keys of its window again."""
    stack, (rows, hours) = call.module, call.given
    angles = hours[:, :, None, None] * stack.speeds
    turns = torch.stack([angles.cos(), angles.sin()])
    number = torch.arange(len(step), device=step.device)
    steps = rows.shape[1]
    allowed = until(step, steps) & ~until(step - stack.window, steps)  # (B, T)
    found = []
    for name, layer in stack.layers.named_children():
        query, key, value = layer.asked(rows, turns)  # (B, heads, T, D)
        score = (query[number, :, step][:, :, None] @ key.transpose(2, 3))[:, :, 0] / math.sqrt(query.shape[3])
        weights = score.masked_fill(~allowed[:, None], -torch.inf).softmax(2)  # (B, heads, T)
        answers = banded(query, key, value, stack.window)  # (B, heads, T, D)
        again = (weights[:, :, None] @ value)[:, :, 0]  # (B, heads, D)
        found.append((f"{call.name}.layers.{name}", weights, (again - answers[number, :, step]).abs().amax((1, 2))))
        rows = layer.answered(rows, answers)
    whole = (stack.norm(rows) - call.answer).abs()[number, step].amax(1)  # (B,) of the stack, recomputed layer by layer
    return [(name, weights, torch.maximum(error, whole)) for name, weights, error in found]
