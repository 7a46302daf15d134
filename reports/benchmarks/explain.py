"""How long explanations take: refined paths against Gauss-Legendre nodes fixed beforehand, at the same worst gap.

    python reports/benchmarks/explain.py [predictions=200] [steps=48] [variables=40] [hidden=128] [threads=1]
        [references=4] [repeats=3]

A two-layer LSTM learns a planted rule for three epochs; then the last step of new stays is explained. Captum's own
integrated gradients get, from 16 on, a tenth more nodes at a time until no prediction has a gap above the worst of the
refined path; its rows share calls as far as the gaps stay the same, so that it is timed at its best. The floor is what
its evaluations alone take: every node one forward and one backward pass, every end of a part one forward pass. Prints
Markdown; seconds are the least of `repeats`. Where other programs share the cores, compare the processor's seconds with
threads=1: an idle machine takes as long by the clock.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy finds the nodes for captum: its threads would only spin

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from captum.attr import IntegratedGradients as FixedNodes
from machine import describe
from torch import Tensor
from torch.nn import functional
from work import STATICS, TARGET, batches, options

from clinical_lstm.batch import Batch
from clinical_lstm.explainers.expected_gradients import ExpectedGradients
from clinical_lstm.explainers.integrated_gradients import BASELINES, IntegratedGradients
from clinical_lstm.models.lstm import LSTM

DEFAULTS = {"predictions": 200, "steps": 48, "variables": 40, "hidden": 128, "threads": 1, "references": 4}
DEFAULTS |= {"repeats": 3}
TRAIN_STAYS, EPOCHS = 1024, 3
NODES, PARTS = 4, 8  # of a part, and at the beginning of a path: the defaults of the explainers
TOGETHER = [3072, 16384]  # rows x steps of a call of the fixed rule: the faster one counts


class Run(NamedTuple):
    """What one method did: its seconds by clock and processor, its gaps and evaluations (predictions,)."""

    clock: float
    processor: float
    gap: np.ndarray
    evaluations: np.ndarray


def main(*given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    torch.set_num_threads(option["threads"])
    size = option["steps"], option["variables"]
    model, loss = learned(*size, option["hidden"])
    batch = batches(option["predictions"], *size, option["predictions"], seed=2)[0][0]
    step, target = batch.lengths - 1, torch.zeros_like(batch.lengths)
    with torch.no_grad():
        low, middle, high = np.quantile(model(batch)[:, -1, 0].numpy(), [0.0, 0.5, 1.0])
    print(f"{describe()}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
    print(f"\nTraining loss {loss:.2f}; logits {low:.1f} to {high:.1f}, median {middle:.1f}.")
    refined = [IntegratedGradients(baseline) for baseline in BASELINES]
    expected = ExpectedGradients(option["references"])
    expected.inform(None, TRAIN_STAYS, lambda rows: batches(len(rows), *size, len(rows), seed=3)[0][0])
    forward, backward = passes(model, batch)
    heads = ["seconds", "of the processor", "floor", "evaluations: median (most)", "gap: median", "worst", "explained"]
    print(f"\n| method | {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|")
    ours = None
    for explainer, name in zip([*refined, expected], [*BASELINES, f"{option['references']} references"]):
        repeats = option["repeats"] if explainer is not expected else 1
        paths = option["references"] if explainer is expected else 1
        run = measured(lambda explainer=explainer: explainer(model, batch, step, target), repeats)
        ours = ours or run
        row(f"refined, {name}", run, refined_floor(run.evaluations, forward, backward, paths), explainer.tolerance)
    assert ours is not None
    start = model_baseline(batch)
    nodes = needed(model, batch, start, ours.gap.max())
    runs = [fixed_run(model, batch, start, nodes, together) for together in TOGETHER]
    fixed = min(runs, key=lambda run: run.clock)
    floor = nodes * len(step) * (forward + backward)
    row(f"captum, nothing, {nodes} nodes", fixed, floor, refined[0].tolerance)
    clock, processor, least = fixed.clock / ours.clock, fixed.processor / ours.processor, floor / ours.processor
    print(f"\nAgainst nothing, captum with {nodes} nodes takes {clock:.1f} times the seconds of the refined path,")
    print(f"{processor:.1f} times those of the processor; the floor of its nodes alone is {least:.1f} times.")


def learned(steps: int, variables: int, hidden: int) -> tuple[LSTM, float]:
    """Return an LSTM that has learned a rule of four variables with memory, and its loss in the last epoch."""
    torch.manual_seed(0)
    model = LSTM(variables, STATICS, TARGET, hidden=hidden, layers=2, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        losses = []
        for batch, _ in batches(TRAIN_STAYS, steps, variables, 64, seed=1):
            fading = (batch.values * torch.exp(-batch.delta / 6))[:, :, :4].sum(2)  # (B, T)
            label = (fading.cumsum(1) / batch.hours.sqrt() > 1.5).float()[:, :, None]  # (B, T, 1)
            loss = functional.binary_cross_entropy_with_logits(model(batch), label)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return model.eval().requires_grad_(False), float(np.mean(losses))


def measured(explain: Callable[[], object], repeats: int) -> Run:
    """Return the least seconds of the repeats, and what the explanation says of itself."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        found = explain()
        seconds.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    clock, processor = zip(*seconds)
    return Run(min(clock), min(processor), found.gap, found.evaluations)  # type: ignore[attr-defined]


def passes(model: LSTM, batch: Batch) -> tuple[float, float]:
    """Return the processor's seconds of a forward and a backward pass to the inputs, per row, at the better size."""
    found = []
    for rows in (64, 128, 64, 128, 64, 128):
        some = Batch(*(part[torch.arange(rows) % len(part)] for part in batch))
        inputs = [part.clone().requires_grad_() for part in (*some[:3], some.static)]
        times = [time.process_time()]
        logits = model(Batch(*inputs[:3], some.hours, inputs[3], some.lengths))[:, -1, 0]
        times.append(time.process_time())
        torch.autograd.grad(logits.sum(), inputs)
        times.append(time.process_time())
        found.append(np.diff(times) / rows)
    forward, backward = min(found, key=np.sum)
    return float(forward), float(backward)


def refined_floor(evaluations: np.ndarray, forward: float, backward: float, paths: int) -> float:
    """Return the seconds of the evaluations alone: h halvings cost 1 + 2 NODES each, the beginning 1 + PARTS more."""
    halvings = (evaluations.sum() - paths * len(evaluations) * (1 + PARTS + NODES * PARTS)) / (1 + 2 * NODES)
    gradients = NODES * (paths * len(evaluations) * PARTS + 2 * halvings)
    return float(evaluations.sum() * forward + gradients * backward)


def row(name: str, run: Run, floor: float, tolerance: float) -> None:
    """Print a row of the table."""
    count = f"{np.median(run.evaluations):.0f} ({run.evaluations.max()})"
    gaps = f"{np.median(run.gap):.5f} | {run.gap.max():.5f}"
    share = f"{(run.gap < tolerance).sum()} of {len(run.gap)}"
    print(f"| {name} | {run.clock:.1f} | {run.processor:.1f} | {floor:.1f} | {count} | {gaps} | {share} |", flush=True)


def model_baseline(batch: Batch) -> Batch:
    """Return the stays with nothing observed."""
    values, mask, static = (torch.zeros_like(part) for part in (batch.values, batch.mask, batch.static))
    waited = batch.hours[:, :, None].expand_as(batch.delta)
    return batch._replace(values=values, mask=mask, delta=waited, static=static)


def fixed_gaps(model: LSTM, batch: Batch, start: Batch, nodes: int, together: int) -> np.ndarray:
    """Return |sum of attributions - (logit - baseline logit)| of captum's integrated gradients with `nodes` nodes."""

    def logit(values: Tensor, mask: Tensor, delta: Tensor, static: Tensor, hours: Tensor, lengths: Tensor) -> Tensor:
        return model(Batch(values, mask, delta, hours, static, lengths))[:, -1, 0]

    totals = []
    rule = FixedNodes(logit)
    for some in stretches(len(batch.lengths), max(1, together // (nodes * batch.hours.shape[1]))):
        ends, zero = ((*(part[some] for part in inputs[:3]), inputs.static[some]) for inputs in (batch, start))
        held = batch.hours[some], batch.lengths[some]
        parts = rule.attribute(ends, zero, additional_forward_args=held, n_steps=nodes, method="gausslegendre")
        totals.append(sum(part.double().flatten(1).sum(1) for part in parts))
    with torch.no_grad():
        moved = (model(batch) - model(start))[:, -1, 0].double()
    return (torch.cat(totals) - moved).abs().numpy()  # type: ignore[arg-type]


def stretches(count: int, size: int) -> Iterator[slice]:
    """Yield 0..count in stretches of `size`."""
    return (slice(begin, begin + size) for begin in range(0, count, size))


def needed(model: LSTM, batch: Batch, start: Batch, worst: float) -> int:
    """Return the first number of nodes with which no prediction has a gap above `worst`."""
    nodes, failing = 16, np.arange(len(batch.lengths))
    while len(failing):
        some, zero = (Batch(*(part[torch.from_numpy(failing)] for part in inputs)) for inputs in (batch, start))
        failing = failing[fixed_gaps(model, some, zero, nodes, TOGETHER[1]) > worst]
        if not len(failing):  # those that had passed with fewer must still do
            failing = np.flatnonzero(fixed_gaps(model, batch, start, nodes, TOGETHER[1]) > worst)
        nodes += max(1, nodes // 10) if len(failing) else 0
    return nodes


def fixed_run(model: LSTM, batch: Batch, start: Batch, nodes: int, together: int) -> Run:
    """Return captum's run with `nodes` nodes."""
    begin = time.perf_counter(), time.process_time()
    gap = fixed_gaps(model, batch, start, nodes, together)
    return Run(time.perf_counter() - begin[0], time.process_time() - begin[1], gap, np.full(len(gap), nodes))


if __name__ == "__main__":
    main(*sys.argv[1:])
