"""Training throughput of the pipeline against a bare torch loop: same tensors, groups, model and threads.

    python reports/benchmarks/training.py COHORT_DIRECTORY [hidden=64] [layers=1] [groups=4] [epochs=2] [threads=1]

After every 20 draws of the pipeline (assembly from the memory map, Lightning) a bare loop (zero, forward, loss,
backward, clip, step) learns the same 20 draws, which lie ready in memory. Taking turns within seconds cancels most of a
busy machine's drift. Prints a Markdown table.
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

from clinical_lstm.artifacts import Cohort
from clinical_lstm.inference import build_model
from clinical_lstm.training import datamodule
from clinical_lstm.training.data import training_data
from clinical_lstm.training.fit import TrainerSettings, fit
from clinical_lstm.training.losses import weighted_bce

DRAWS = 20
WARM_UP = 2


def main(folder: str, *options: str) -> None:
    """Measure and print."""
    given = {name: int(value) for name, value in (option.split("=") for option in options)}
    option = {"hidden": 64, "layers": 1, "groups": 4, "epochs": 2, "threads": 1} | given
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
    pairs = take_turns(bare)
    settings = TrainerSettings(epochs=option["epochs"], length_groups=option["groups"], patience=99)
    with tempfile.TemporaryDirectory() as scratch:
        fit(build_model(description), data, settings, 1, Path(scratch), False, lambda line: None)
    spin = f"GOMP_SPINCOUNT={os.environ['GOMP_SPINCOUNT']}"
    net = f"lstm {option['layers']} x {option['hidden']}"
    what = f"{net}, {option['groups']} length groups, {option['threads']} thread(s), {spin}"
    report(pairs[WARM_UP:], what)


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


def take_turns(bare: BareLoop) -> list[tuple[float, float, int]]:
    """Make the bare loop learn every 20 draws after the pipeline did; return the list that fills with (s, s, steps)."""
    original = datamodule._Epochs.__iter__
    pairs: list[tuple[float, float, int]] = []

    def watched(epochs: datamodule._Epochs) -> Iterator[list[datamodule.Group]]:
        window: list[list[datamodule.Group]] = []
        begin = time.perf_counter()
        for groups in original(epochs):
            if len(window) == DRAWS:
                seconds = time.perf_counter() - begin
                steps = sum(int(group.batch.lengths.sum()) for draw in window for group in draw)
                pairs.append((seconds, bare.learn(window), steps))
                window = []
                begin = time.perf_counter()
            window.append(groups)
            yield groups

    datamodule._Epochs.__iter__ = watched  # type: ignore[method-assign]
    return pairs


def report(pairs: list[tuple[float, float, int]], what: str) -> None:
    """Print the totals of both loops, and the ratios of the turns."""
    pipeline, bare, steps = (sum(column) for column in zip(*pairs))
    ratios = [b / p for p, b, _ in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"\n{describe()}; {what}; {len(pairs)} turns of {DRAWS} draws\n\n| loop | steps/s |\n|---|---|")
    print(f"| bare torch loop, groups ready in memory | {steps / bare:,.0f} |")
    print(f"| pipeline (assembly, Lightning) | {steps / pipeline:,.0f} |")
    print(f"\nthroughput of the pipeline / bare loop: median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
