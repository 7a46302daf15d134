"""Training throughput of the pipeline against a bare torch loop: same stays, model and threads, by turns.

    python reports/benchmarks/training.py COHORT_DIRECTORY [hidden=64] [layers=1] [groups=4] [epochs=2] [threads=1]
    python reports/benchmarks/training.py artifacts/cohorts/demo draws=8 epochs=8 longest=1

After every `draws` = 20 draws of the pipeline (assembly from the memory map, Lightning) a bare loop (zero, forward,
loss, backward, clip, step) learns the same ones, which lie ready in memory: in the pipeline's length groups, or with
`longest=1` as somebody would write it, each shuffled draw padded to its longest stay. Taking turns within seconds
cancels most of a busy machine's drift. A short last window of an epoch is left out. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from machine import describe
from torch.nn.functional import pad
from work import options

from clinical_lstm.artifacts import Cohort
from clinical_lstm.inference import build_model
from clinical_lstm.training import datamodule
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings, fit
from clinical_lstm.training.losses import weighted_bce

DEFAULTS = {"hidden": 64, "layers": 1, "groups": 4, "epochs": 2, "threads": 1, "draws": 20, "longest": 0}
WARM_UP = 2
WHOLE = {"static", "lengths"}  # parts of a batch that have no steps


def main(folder: str, *given: str) -> None:
    """Measure and print."""
    option = options(given, DEFAULTS)
    torch.set_num_threads(option["threads"])
    cohort = Cohort(folder)
    data, _ = training_data(cohort, "cinc2019")
    data = dataclasses.replace(data, val=data.val[:8])  # validation is no part of the comparison
    description = {
        "model": {"name": "lstm", "hidden": option["hidden"], "layers": option["layers"]},
        "sizes": {
            "n_variables": len(data.scaler.variables),
            "n_static": len(data.scaler.statics),
            "targets": cohort.verify()["targets"],
        },
    }
    bare = BareLoop(build_model(description))
    pairs = take_turns(bare, option["draws"], bool(option["longest"]))
    settings = TrainerSettings(epochs=option["epochs"], length_groups=option["groups"], patience=99)
    with tempfile.TemporaryDirectory() as scratch:
        fit(build_model(description), data, settings, 1, Path(scratch), False, lambda line: None)
    spin = f"GOMP_SPINCOUNT={os.environ['GOMP_SPINCOUNT']}"
    net = f"lstm {option['layers']} x {option['hidden']}"
    what = f"{net}, {option['groups']} length groups, {option['threads']} thread(s), {spin}"
    loop = "draws padded to their longest stay" if option["longest"] else "the pipeline's length groups"
    report(pairs[WARM_UP:], f"{what}; turns of {option['draws']} draws", loop)


class BareLoop:
    """The same learning without anything around it."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model.train()
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def learn(self, draws: list[list[datamodule.Group]]) -> float:
        """Return the seconds that learning the draws takes."""
        begin = time.perf_counter()
        for groups in draws:
            self.optimiser.zero_grad()
            loss = torch.stack([weighted_bce(self.model(g.batch), g.target, g.weight) for g in groups]).sum() / 1e3
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
        return time.perf_counter() - begin


def take_turns(bare: BareLoop, draws: int, longest: bool) -> list[tuple[float, float, int, int]]:
    """Make the bare loop learn what the pipeline has, every `draws` draws; return the growing (s, s, steps, stays)."""
    original = datamodule._Epochs.__iter__
    pairs: list[tuple[float, float, int, int]] = []

    def watched(epochs: datamodule._Epochs) -> Iterator[list[datamodule.Group]]:
        window: list[list[datamodule.Group]] = []
        begin = time.perf_counter()
        for groups in original(epochs):
            if len(window) == draws:
                seconds = time.perf_counter() - begin
                lengths = torch.cat([group.batch.lengths for draw in window for group in draw])
                ready = [[padded_to_longest(draw)] if longest else draw for draw in window]
                pairs.append((seconds, bare.learn(ready), int(lengths.sum()), len(lengths)))
                window = []
                begin = time.perf_counter()
            window.append(groups)
            yield groups

    datamodule._Epochs.__iter__ = watched  # type: ignore[method-assign]
    return pairs


def padded_to_longest(draw: list[datamodule.Group]) -> datamodule.Group:
    """Return the groups of a draw as one, every stay padded to the longest."""
    steps = max(group.batch.values.shape[1] for group in draw)

    def joined(parts: list[torch.Tensor], along: bool) -> torch.Tensor:
        grown = [pad(part, [0, 0] * (part.dim() - 2) + [0, steps - part.shape[1]]) if along else part for part in parts]
        return torch.cat(grown)

    batches = [group.batch for group in draw]
    whole = {name: joined([getattr(b, name) for b in batches], name not in WHOLE) for name in batches[0]._fields}
    target, weight = (joined([getattr(group, name) for group in draw], True) for name in ("target", "weight"))
    return datamodule.Group(type(batches[0])(**whole), target, weight)


def report(pairs: list[tuple[float, float, int, int]], what: str, loop: str) -> None:
    """Print the totals of both loops, and the ratios of the turns."""
    if len(pairs) < 2:
        raise SystemExit(
            f"only {len(pairs)} turn(s) after {WARM_UP} to warm up: give more epochs, or fewer draws a turn"
        )
    pipeline, bare, steps, stays = (sum(column) for column in zip(*pairs))
    ratios = [b / p for p, b, *_ in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"\n{describe()}; {what}; {len(pairs)} turns\n\n| loop | steps/s | stays/s |\n|---|---|---|")
    print(f"| bare torch loop, {loop}, ready in memory | {steps / bare:,.0f} | {stays / bare:,.0f} |")
    print(f"| pipeline (assembly, Lightning) | {steps / pipeline:,.0f} | {stays / pipeline:,.0f} |")
    print(f"\nthroughput of the pipeline / bare loop: median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
