"""Fit a model on the train split; stop early, restore the best weights, resume exactly after a kill."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytorch_lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from clinical_lstm.batch import Batch, assemble, stretches
from clinical_lstm.errors import InputError
from clinical_lstm.inference import canonical_chunks
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.training.averaging import Averaging, put
from clinical_lstm.training.data import TrainingData
from clinical_lstm.training.datamodule import DataModule
from clinical_lstm.training.module import Training
from clinical_lstm.training.settings import MONITORS, TrainerSettings
from clinical_lstm.training.weights import base_rates

__all__ = ["TrainerSettings", "fit"]
LEARNT_FROM = 2_000  # sequences: engineered inputs are standardised by their rows,
MOST_STEPS = 100_000  # and by no more of these, which are held at once
SLOW = "train: this processor has no bf16 instructions (AVX512-BF16, AMX): precision=bf16-mixed works, slowly"


class _EpochLine(Callback):
    """Print one line per epoch, and hand its metrics on."""

    def __init__(self, say: Callable[[str], None], on_epoch: Callable[[dict[str, float]], None]) -> None:
        self.say, self.on_epoch = say, on_epoch

    def on_train_epoch_end(self, trainer: pytorch_lightning.Trainer, module: pytorch_lightning.LightningModule) -> None:
        """Report the epoch that has just been validated."""
        assert isinstance(module, Training)
        row = module.history[-1]
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
        self.say(f"train: epoch {int(row['epoch']) + 1}/{trainer.max_epochs}  {numbers}")
        self.on_epoch(row)


class _Stop(EarlyStopping):
    """Stop early; a training resumed after it had stopped does not go on."""

    def on_train_start(self, trainer: pytorch_lightning.Trainer, module: pytorch_lightning.LightningModule) -> None:
        """Stop before the first epoch when a checkpoint says that patience had run out."""
        trainer.should_stop = self.wait_count >= self.patience


def fit(
    model: SequenceModel,
    data: TrainingData,
    settings: TrainerSettings,
    seed: int,
    checkpoints: Path,
    resume: bool,
    say: Callable[[str], None] = print,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> list[dict[str, float]]:
    """Train `model` in place, leave it with the weights to keep and return the history, one row per epoch.

    These are the ones of the best epoch or (`keep=last`) of the last, averaged where `settings` ask for it.

    Args:
        checkpoints: folder of `last.ckpt` and `best.ckpt`; `resume` continues from the last epoch they hold, bit for
            bit as if nothing had happened. on_epoch: called with the metrics of every epoch.

    """
    _quiet()
    module = _module(model, data, settings, seed)
    mode = MONITORS[settings.monitor]
    keep = ModelCheckpoint(
        checkpoints, filename="best", monitor=settings.monitor, mode=mode, enable_version_counter=False
    )
    # `save_last` of the one above would save only when the best improves.
    every = ModelCheckpoint(checkpoints, filename="last", enable_version_counter=False)
    stop = _Stop(settings.monitor, mode=mode, patience=settings.patience, check_finite=True)
    averaging = Averaging(settings.ema_decay, settings.swa_epochs)
    averages = [averaging] if settings.ema_decay or settings.swa_epochs else []
    trainer = _trainer(settings, [*averages, stop, _EpochLine(say, on_epoch), keep, every])
    if settings.precision == "bf16-mixed" and trainer.strategy.root_device.type == "cpu" and not _has_bf16():
        say(SLOW)
    last = checkpoints / "last.ckpt"
    if resume and last.is_file():
        say(f"train: resuming from {last}")
    forecast = settings.forecast_hours if settings.forecast_weight else 0.0
    loader = DataModule(data, settings.batch_size, settings.length_groups, seed, forecast)
    _learn(trainer, module, loader, str(last) if resume and last.is_file() else None)
    kept = keep.best_model_path if settings.keep == "best" else last
    checkpoint = torch.load(kept, weights_only=True, map_location="cpu")
    module.load_state_dict(checkpoint["state_dict"])
    if averages:
        put(model, checkpoint["callbacks"][averaging.state_key]["average"])
    return module.history


def _module(model: SequenceModel, data: TrainingData, settings: TrainerSettings, seed: int) -> Training:
    """Return the model with its loss and schedule; its output biases start at the base rates of the train rows."""
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    model.start_at(base_rates(data.target, data.weight, is_train))
    _, at = stretches(data.tensors.cell_offsets[data.train], data.tensors.cell_offsets[data.train + 1])
    variable = data.tensors.cell_variable[at]
    model.learn_scale(data.scaler.measured(data.tensors.cell_value[at], variable), variable)
    model.learn_engineered(data.scaler, _some_batches(data, seed))
    weight = data.weight if data.landmarks is None else data.landmarks.hours > 0
    draws = -(-len(data.train) // settings.batch_size)
    rows = data.seen.lengths[data.seen.of(data.train)].sum()
    return Training(
        model=model,
        data=data,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_share=settings.warmup_share,
        steps=settings.epochs * -(-draws // settings.accumulate),
        batch_weight=float(weight[is_train].sum(dtype="float64") / len(data.train) * settings.batch_size),
        seed=seed,
        settings=settings,
        batch_rows=float(rows / len(data.train) * settings.batch_size),
    )


def _some_batches(data: TrainingData, seed: int) -> Iterator[Batch]:
    """Yield batches of `LEARNT_FROM` sequences of the train stays at random, of fewer where they are long."""
    drawn = np.random.default_rng(seed).permutation(data.seen.of(data.train))[:LEARNT_FROM]
    fits = int(np.searchsorted(np.cumsum(data.seen.lengths[drawn]), MOST_STEPS, side="right"))
    for chunk, steps in canonical_chunks(data.seen, np.sort(drawn[: max(fits, 1)])):
        yield assemble(data.seen, chunk, data.scaler, steps).tensors()


def _trainer(settings: TrainerSettings, callbacks: list[Callback]) -> pytorch_lightning.Trainer:
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer.accelerator=gpu: this machine has no GPU that torch can use; use cpu or auto")
    # deterministic=True would also fill every new tensor with NaN: a tenth of the time, for bugs that the laws catch.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    bar: list[Callback] = [TQDMProgressBar(leave=False)] if sys.stderr.isatty() else []
    return pytorch_lightning.Trainer(
        max_epochs=settings.epochs,
        accelerator=settings.accelerator,
        devices=1,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip,
        accumulate_grad_batches=settings.accumulate,
        callbacks=[*callbacks, *bar],
        enable_progress_bar=bool(bar),
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )


def _has_bf16() -> bool:
    """Say whether this processor multiplies bf16 numbers itself; otherwise torch imitates it."""
    return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def _learn(trainer: pytorch_lightning.Trainer, module: Training, loader: DataModule, checkpoint: str | None) -> None:
    """Train; raise KeyboardInterrupt on Ctrl-C (Lightning would ignore SIGINT from then on and exit the process)."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _quiet() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for text in (
        ".*does not have many workers.*",
        ".*no `?logger`?.*",
        ".*lr_scheduler.step.*",
        ".*exists and is not empty.*",
        ".*isinstance.treespec.*",
        ".*number of training batches.*",
        ".*tensorboard.*",
        ".*batch_size.*",
    ):
        warnings.filterwarnings("ignore", message=text)
