"""Training speed of every model against a bare `nn.LSTM`, on the same ready tensors, by turns.

    python reports/benchmarks/models.py [stays=2000] [steps=48] [variables=37] [hidden=128] [batch=64] [threads=1]

80 % of the cells are missing. The bare loop (zero, forward, loss, backward, clip, step) has one `nn.LSTM` of the same
width and a linear head over ready features; a model makes its features itself. Each model learns all stays once, in
turns of 8 batches with the bare loop: the ratio of a turn hardly sees what else the machine does. `lstm, bf16-mixed` is
the same model under autocast, where the processor has bfloat16. With a GPU, the same again there. Where the package
`pypots` can be imported, its GRU-D (the public backbone, a head on every step) learns the same batches.
Prints a Markdown table for each device.
"""

from __future__ import annotations

import contextlib
import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from machine import describe
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from work import STATICS, batches, models, options

from clinical_lstm.batch import Batch

DEFAULTS = {"stays": 2000, "steps": 48, "variables": 37, "hidden": 128, "batch": 64, "threads": 1}
TURN = 8  # batches
Work = list[tuple[Any, Tensor]]


def main(*given: str) -> None:
    """Measure on every device and print."""
    option = options(given, DEFAULTS)
    torch.set_num_threads(option["threads"])
    work = batches(option["stays"], option["steps"], option["variables"], option["batch"])
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {option['threads']} thread(s)"
        print(f"\n{describe()}; {where}; " + ", ".join(f"{key} {value}" for key, value in option.items()))
        print(
            "\n| model | weights | stays/s | bare stays/s | ratio, median (quartiles) of turns |\n|---|---|---|---|---|"
        )
        here = [(batch.to(device), label.to(device)) for batch, label in work]
        for name, model, precision in contestants(option, device):
            print(measure(name, model, precision, here, option, device), flush=True)


def contestants(option: dict[str, int], device: str) -> Iterator[tuple[str, nn.Module, torch.dtype | None]]:
    """Yield (name, model, precision of autocast) of everything that is measured."""
    for name, model in models(option["variables"], option["hidden"]):
        yield name, model, None
    if device == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        lstm = dict(models(option["variables"], option["hidden"]))["lstm"]
        yield "lstm, bf16-mixed", lstm, torch.bfloat16
    with contextlib.suppress(ImportError):
        from pypots.nn.modules.grud import BackboneGRUD

        yield "GRU-D of PyPOTS", Peer(BackboneGRUD, option), None


class Bare(nn.Module):
    """What somebody would write in five lines."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(width, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (B, T, 1)."""
        return self.head(self.lstm(features)[0])


class Peer(nn.Module):
    """The GRU-D backbone of PyPOTS, with a head on every step as ours have."""

    def __init__(self, backbone: Callable[..., nn.Module], option: dict[str, int]) -> None:
        super().__init__()
        self.backbone = backbone(option["steps"], option["variables"], option["hidden"])
        self.head = nn.Linear(option["hidden"], 1)
        self.mean = nn.Buffer(torch.zeros(option["variables"]))

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, 1)."""
        states, _ = self.backbone(batch.values, batch.mask, batch.delta, self.mean, batch.values)
        return self.head(states)


class Loop:
    """A model, its optimiser, and how long it takes to learn some batches."""

    def __init__(self, model: nn.Module, device: str, precision: torch.dtype | None = None) -> None:
        self.model, self.device, self.precision = model.to(device).train(), device, precision
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def learn(self, work: Work) -> float:
        """Return the seconds that learning the batches takes."""
        wait = torch.cuda.synchronize if self.device == "cuda" else (lambda: None)
        wait()
        begin = time.perf_counter()
        for seen, label in work:
            self.optimiser.zero_grad()
            with torch.autocast(self.device, self.precision, enabled=self.precision is not None):
                loss = binary_cross_entropy_with_logits(self.model(seen).float(), label)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
        wait()
        return time.perf_counter() - begin


def measure(
    name: str, model: nn.Module, precision: torch.dtype | None, work: Work, option: dict[str, int], device: str
) -> str:
    """Return the row of one model: it and the bare loop learn every 8 batches by turns, after two to warm up."""
    ready = [(features(batch), label) for batch, label in work]
    ours = Loop(model, device, precision)
    bare = Loop(Bare(3 * option["variables"] + STATICS + 1, option["hidden"]), device)
    ours.learn(work[:2]), bare.learn(ready[:2])
    turns = [slice(begin, begin + TURN) for begin in range(0, len(work), TURN)]
    pairs = [(ours.learn(work[turn]), bare.learn(ready[turn])) for turn in turns]
    ratios = [b / m for m, b in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    speeds = [option["stays"] / sum(seconds) for seconds in zip(*pairs)]
    weights = sum(weight.numel() for weight in model.parameters())
    return f"| {name} | {weights:,} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) |"


def features(batch: Batch) -> Tensor:
    """Return value, mask, log delta, statics and log hours side by side (B, T, 3 V + S + 1)."""
    static = batch.static[:, None].expand(-1, batch.values.shape[1], -1)
    return torch.cat([batch.values, batch.mask, batch.delta.log1p(), static, batch.hours.log1p()[:, :, None]], dim=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
