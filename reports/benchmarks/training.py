"""Training throughput of the pipeline against a bare torch loop: same tensors, draws, groups, model and threads.

    python reports/benchmarks/training.py COHORT_DIRECTORY [hidden=64] [layers=1] [epochs=4] [threads=1]

The bare loop gets its padded groups ready-made in memory; the pipeline assembles them from the memory map, goes
through Lightning and logs. Epochs of both alternate in one process; the first pair is warm-up. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import describe

from clinical_lstm.artifacts import Cohort
from clinical_lstm.inference import build_model
from clinical_lstm.training.data import TrainingData, training_data
from clinical_lstm.training.datamodule import DataModule, draws
from clinical_lstm.training.fit import TrainerSettings, fit
from clinical_lstm.training.losses import weighted_bce


def main(folder: str, *options: str) -> None:
    """Measure and print."""
    option = {"hidden": 64, "layers": 1, "epochs": 4, "threads": 1} | {
        k: int(v) for k, v in (o.split("=") for o in options)
    }
    torch.set_num_threads(option["threads"])
    cohort = Cohort(folder)
    data, _ = training_data(cohort, "cinc2019")
    data = dataclasses.replace(data, val=data.val[:8])  # validation is no part of the comparison
    settings = TrainerSettings(epochs=option["epochs"] + 1, patience=99)
    sizes = {"n_variables": len(data.scaler.variables), "n_static": len(data.scaler.statics)}
    description = {
        "model": {"name": "lstm", "hidden": option["hidden"], "layers": option["layers"]},
        "sizes": sizes | {"targets": cohort.verify()["targets"]},
    }
    bare = BareLoop(build_model(description), data, settings)
    pairs: list[tuple[float, float]] = []
    begun = [0.0]

    def both(row: dict[str, float]) -> None:
        pipeline = time.perf_counter() - begun[0]
        pairs.append((pipeline, bare.epoch()))
        begun[0] = time.perf_counter()

    begun[0] = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        fit(build_model(description), data, settings, 1, Path(scratch), False, lambda line: None, both)
    report(pairs[1:], len(data.train), int(data.tensors.lengths[data.train].sum()), option)


class BareLoop:
    """Zero, forward, loss, backward, clip, step over groups that lie ready in memory."""

    def __init__(self, model: torch.nn.Module, data: TrainingData, settings: TrainerSettings) -> None:
        self.model = model.train()
        module = DataModule(data, settings.batch_size, settings.length_groups, 1)
        order = draws(data.train, data.tensors.lengths, settings.batch_size, settings.length_groups, 1, 0)
        self.draws = [module.assemble(draw) for draw in order]
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)

    def epoch(self) -> float:
        """Return the seconds of one epoch."""
        begin = time.perf_counter()
        for groups in self.draws:
            self.optimiser.zero_grad()
            loss = torch.stack([weighted_bce(self.model(g.batch), g.target, g.weight) for g in groups]).sum() / 1e3
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
        return time.perf_counter() - begin


def report(pairs: list[tuple[float, float]], stays: int, steps: int, option: dict[str, int]) -> None:
    """Print medians over the pairs of epochs, and their ratio."""
    pipeline, bare = (statistics.median(times) for times in zip(*pairs))
    ratios = sorted(b / p for p, b in pairs)
    what = f"lstm {option['layers']} x {option['hidden']}, {option['threads']} thread(s)"
    print(f"\n{describe()}; {what}; {stays:,} stays, {steps:,} steps\n")
    print("| loop | s per epoch | stays/s | steps/s |\n|---|---|---|---|")
    for name, seconds in (
        ("bare torch loop, groups ready in memory", bare),
        ("pipeline (assembly, Lightning)", pipeline),
    ):
        print(f"| {name} | {seconds:.2f} | {stays / seconds:,.0f} | {steps / seconds:,.0f} |")
    print(f"\nthroughput of the pipeline / bare loop: median {statistics.median(ratios):.3f}, "
          f"range {ratios[0]:.3f} to {ratios[-1]:.3f} over {len(ratios)} pairs")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
