"""Integrate a model's gradient along straight paths, refined until the parts account for the differences of the logit.

    x(a) = x' + a (x - x')                                                                           (1) straight path
    A_i[a, b] = (b - a) (x_i - x'_i) * mean over x(a)..x(b) of dF/dx_i                               (2) its part [a, b]
    A_i = A_i[0, a_1] + A_i[a_1, a_2] + ... + A_i[a_m, 1]                                            (3) the whole path
    e[a, b] = | sum_i A_i[a, b] - (F(x(b)) - F(x(a))) |                                              (4) in theory 0

The mean in (2) is taken at Gauss-Legendre nodes. A gated recurrence remembers or forgets: its logit may jump by ten
within a thousandth of the path, which any fixed number of nodes misses. (4) tells without a reference where: a part is
accepted when

    e[a, b] <= (tolerance - errors accepted so far) * (b - a) / (length of the path still open)                      (5)

and halved otherwise. By (5) the accepted errors add up to less than the tolerance: they bound the gap, and cannot
cancel each other. The path starts as `2 ** min_depth` parts, since the few nodes of one long part can satisfy (4) by
chance. An input that is the same at both ends gets exactly 0 by (2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from captum.attr import IntegratedGradients as FixedNodes
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explanation
from clinical_lstm.explainers.traces import require_eval
from clinical_lstm.models.base import SequenceModel

Inputs = tuple[Tensor, ...]  # values (n, T, V), mask (n, T, V), delta (n, T, V), static (n, S)


class AdaptivePaths:
    """Attribute logits along the paths from given baselines to the stays; the arguments are those of the explainers."""

    def __init__(
        self, tolerance: float, nodes: int, min_depth: int, max_depth: int, max_evaluations: int, batch_steps: int
    ) -> None:
        if not tolerance >= 1e-3:
            raise InputError(f"tolerance = {tolerance} is below the noise of 32-bit logits; give at least 0.001")
        if nodes < 1 or batch_steps < 1 or not 0 <= min_depth <= max_depth:
            raise InputError("nodes and batch_steps must be at least 1, and 0 <= min_depth <= max_depth")
        self.tolerance = tolerance
        self.nodes, self.batch_steps = nodes, batch_steps
        self.min_depth, self.max_depth, self.max_evaluations = min_depth, max_depth, max_evaluations

    def __call__(
        self, model: SequenceModel, batch: Batch, baseline: Batch, step: Tensor, target: Tensor
    ) -> Explanation:
        """Return the attributions of the logits `model(batch)[b, step[b], target[b]]` against those of `baseline`.

        All is computed on the model's device; the sums are kept on the CPU, where their order is fixed. Raises
        InputError when the model is in training mode (dropout would be attributed) or its logits are not finite.
        """
        require_eval(model)
        steps = batch.values.shape[1]
        until = int(step.max()) + 1 if model.causal else steps
        with _gradients_of_inputs_only(model):
            path = _Path(model, _prefix(batch, until), _prefix(baseline, until), step, target)
            found, baseline_logit, logit = self._integrate(path)
        total = sum(part.flatten(1).sum(1) for part in found.parts)  # (B,)
        gap = torch.maximum(found.error, (total - (logit - baseline_logit)).abs())
        padding = (0, 0, 0, steps - path.steps)
        values, mask, delta = (torch.nn.functional.pad(part, padding).numpy() for part in found.parts[:3])  # (B, T, V)
        rest = (found.parts[3], logit, baseline_logit, gap, found.evaluations, gap < self.tolerance)
        return Explanation(values, mask, delta, *(part.numpy() for part in rest))

    def _integrate(self, path: _Path) -> tuple[_Sums, Tensor, Tensor]:
        """Return the sums (3), and the logits (B,) of the baseline and of the input."""
        sums = _Sums(
            parts=tuple(torch.zeros(part.shape, dtype=torch.float64) for part in path.end),
            error=torch.zeros(path.size, dtype=torch.float64),
            evaluations=torch.zeros(path.size, dtype=torch.int64),
        )
        parts, baseline_logit, logit = self._begin(path, sums)
        for depth in range(self.min_depth, self.max_depth + 1):
            last = (sums.evaluations >= self.max_evaluations) | (depth == self.max_depth)
            refused = self._accept(path, parts, sums, last)
            if not len(refused.row):
                break
            parts = self._halve(path, refused, sums)
        return sums, baseline_logit, logit

    def _begin(self, path: _Path, sums: _Sums) -> tuple[_Parts, Tensor, Tensor]:
        """Return every path in `2 ** min_depth` equal parts, and the logits (B,) of both ends."""
        pieces = 2**self.min_depth
        edges = torch.arange(pieces + 1, dtype=torch.float64) / pieces
        rows = torch.arange(path.size)
        logits = self._logits(path, rows.repeat_interleave(pieces + 1), edges.repeat(path.size), sums)
        logits = logits.view(path.size, pieces + 1)
        parts = _Parts(
            row=rows.repeat_interleave(pieces),
            low=edges[:-1].repeat(path.size),
            high=edges[1:].repeat(path.size),
            logit_low=logits[:, :-1].flatten(),
            logit_high=logits[:, 1:].flatten(),
        )
        return parts, logits[:, 0], logits[:, -1]

    def _accept(self, path: _Path, parts: _Parts, sums: _Sums, last: Tensor) -> _Parts:
        """Add the parts that (5) accepts to `sums`, and all parts of the rows in `last` (B,); return the others."""
        length = parts.high - parts.low
        still_open = torch.zeros_like(sums.error).index_add_(0, parts.row, length)  # (B,)
        share = (self.tolerance - sums.error)[parts.row] * length / still_open[parts.row]  # right side of (5)
        refused = []
        for some in self._chunks(len(parts.row), path.steps * self.nodes):
            chunk = parts.select(some)
            attributed = path.attribute(chunk, self.nodes)
            total = sum(part.flatten(1).sum(1) for part in attributed)  # (n,)
            error = (total - (chunk.logit_high - chunk.logit_low)).abs()  # (4)
            accept = (error <= share[some]) | last[chunk.row]
            for whole, part in zip(sums.parts, attributed):
                whole.index_add_(0, chunk.row[accept], part[accept])  # (3)
            sums.error.index_add_(0, chunk.row[accept], error[accept])
            refused.append(chunk.select(~accept))
        sums.evaluations.add_(self.nodes * torch.bincount(parts.row, minlength=path.size))
        return _Parts(*(torch.cat(columns) for columns in zip(*refused)))

    def _halve(self, path: _Path, parts: _Parts, sums: _Sums) -> _Parts:
        """Return both halves of every part, the logit in the middle evaluated."""
        middle = (parts.low + parts.high) / 2
        logit = self._logits(path, parts.row, middle, sums)
        left = parts._replace(high=middle, logit_high=logit)
        right = parts._replace(low=middle, logit_low=logit)
        return _Parts(*(torch.cat(columns) for columns in zip(left, right)))

    def _logits(self, path: _Path, row: Tensor, at: Tensor, sums: _Sums) -> Tensor:
        sums.evaluations.add_(torch.bincount(row, minlength=path.size))
        return torch.cat([path.logits(row[some], at[some]) for some in self._chunks(len(row), path.steps)])

    def _chunks(self, count: int, steps: int) -> Iterator[slice]:
        size = max(1, self.batch_steps // steps)
        return (slice(begin, begin + size) for begin in range(0, count, size))


class _Sums(NamedTuple):
    """What has been accepted so far: attributions, the sum of errors (B,) and the model evaluations (B,)."""

    parts: Inputs
    error: Tensor
    evaluations: Tensor


class _Parts(NamedTuple):
    """n open parts of paths: row of the batch, both ends (float64 in 0..1) and the logits there; on the CPU."""

    row: Tensor
    low: Tensor
    high: Tensor
    logit_low: Tensor
    logit_high: Tensor

    def select(self, some: Tensor | slice) -> _Parts:
        """Return the parts at `some`."""
        return _Parts(*(column[some] for column in self))


class _Path:
    """The straight path (1) of every row, from its baseline to the stay as it was, on the model's device."""

    def __init__(self, model: SequenceModel, batch: Batch, baseline: Batch, step: Tensor, target: Tensor) -> None:
        device = next((weight.device for weight in model.parameters()), batch.hours.device)
        self.start, self.end = (_inputs(ends.to(device)) for ends in (baseline, batch))
        self.move = tuple(end.double().cpu() - start.double().cpu() for start, end in zip(self.start, self.end))
        self.held = (batch.hours.to(device), batch.lengths.to(device), step.to(device))
        self.target, self.model = target.to(device), model
        self.size, self.steps = batch.hours.shape
        self.rule = FixedNodes(self._forward, multiply_by_inputs=False)  # gives the mean gradient

    def _forward(self, *inputs: Tensor) -> Tensor:
        values, mask, delta, static, hours, lengths, step = inputs
        logits = self.model(Batch(values, mask, delta, hours, static, lengths))  # (n, T, K)
        unused = 0 * sum(part.sum() for part in inputs[:4])  # captum wants a gradient of what a model leaves out, too
        return logits[torch.arange(len(step), device=step.device), step] + unused  # (n, K)

    def point(self, row: Tensor, at: Tensor) -> Inputs:
        """Return x(at): exactly the baseline at 0 and exactly the input at 1."""
        weight = at.to(self.end[0])
        return tuple(torch.lerp(a[row], b[row], _wide(weight, a)) for a, b in zip(self.start, self.end))

    @torch.no_grad()
    def logits(self, row: Tensor, at: Tensor) -> Tensor:
        """Return F(x(at)) (n,) in float64."""
        logits = self._forward(*self.point(row, at), *(held[row] for held in self.held))  # (n, K)
        picked = logits.gather(1, self.target[row][:, None])[:, 0].double().cpu()
        if not torch.isfinite(picked).all():
            wrong = len(torch.unique(row[~torch.isfinite(picked)]))
            raise InputError(f"the model gives no finite logit for {wrong} prediction(s); train it again")
        return picked

    def attribute(self, parts: _Parts, nodes: int) -> Inputs:
        """Return (2) in float64."""
        row = parts.row
        gradients = self.rule.attribute(
            inputs=self.point(row, parts.high),
            baselines=self.point(row, parts.low),
            target=self.target[row],
            additional_forward_args=tuple(held[row] for held in self.held),
            n_steps=nodes,
            method="gausslegendre",
        )
        means = [gradient.detach().cpu().double() for gradient in gradients]
        return tuple(mean * m[row] * _wide(parts.high - parts.low, m) for mean, m in zip(means, self.move))


def _inputs(batch: Batch) -> Inputs:
    return batch.values, batch.mask, batch.delta, batch.static


def _wide(column: Tensor, like: Tensor) -> Tensor:
    """Return `column` (n,) with as many dimensions as `like`."""
    return column.view(-1, *[1] * (like.dim() - 1))


def _prefix(batch: Batch, steps: int) -> Batch:
    """Return the first `steps` steps: a causal model does not look further."""
    values, mask, delta, hours = (part[:, :steps] for part in batch[:4])
    return Batch(values, mask, delta, hours, batch.static, batch.lengths.clamp(max=steps))


@contextmanager
def _gradients_of_inputs_only(model: SequenceModel) -> Iterator[None]:
    """Spare the gradients of the weights, and leave cuDNN, whose recurrent backward pass refuses eval mode."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
