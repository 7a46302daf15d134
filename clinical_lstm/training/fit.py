"""Fit a model on the train split; stop early, restore the best weights, resume exactly after a kill."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from clinical_lstm.calibration import KINDS
from clinical_lstm.errors import InputError, closest
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.training.data import TrainingData
from clinical_lstm.training.datamodule import DataModule
from clinical_lstm.training.module import Training
from clinical_lstm.training.operating import RULES
from clinical_lstm.training.weights import WEIGHTINGS, base_rates

MONITORS = {"val_loss": "min", "val_auroc": "max", "val_auprc": "max"}
CHOICES = {
    "monitor": list(MONITORS),
    "weighting": WEIGHTINGS,
    "calibration": ["auto", *KINDS],
    "threshold": RULES,
    "precision": ["32-true", "bf16-mixed", "16-mixed"],
    "accelerator": ["auto", "cpu", "gpu"],
}


@dataclass(frozen=True)
class TrainerSettings:
    """How to train: see `conf/trainer/default.yaml` for what each number means."""

    epochs: int = 20
    patience: int = 5
    monitor: str = "val_loss"
    batch_size: int = 128
    length_groups: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.15
    gradient_clip: float = 1.0
    weighting: str = "uniform"
    calibration: str = "auto"
    threshold: str = "youden"
    precision: str = "32-true"
    accelerator: str = "cpu"

    @staticmethod
    def of(spec: dict[str, Any]) -> TrainerSettings:
        """Return the settings that a configuration describes; raises InputError on an unknown key, type or choice."""
        known = TrainerSettings.__dataclass_fields__
        for key, value in spec.items():
            if key not in known:
                raise InputError(f"trainer takes no {key!r}: {closest(key, list(known))}")
            default = known[key].default
            kinds = (int, float) if isinstance(default, float) else (type(default),)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise InputError(f"trainer.{key} must be of the type of its default {default!r}, not {value!r}")
            if value not in CHOICES.get(key, [value]):
                raise InputError(f"trainer.{key}={value}: {closest(str(value), CHOICES[key])}")
        settings = TrainerSettings(**spec)
        if min(settings.epochs, settings.batch_size, settings.length_groups) < 1:
            raise InputError("trainer.epochs, trainer.batch_size and trainer.length_groups must be at least 1")
        if settings.learning_rate <= 0 or not 0 <= settings.warmup_share <= 1:
            raise InputError("trainer.learning_rate must be above 0, trainer.warmup_share in 0..1")
        if min(settings.patience, settings.weight_decay, settings.gradient_clip) < 0:
            raise InputError("trainer.patience, trainer.weight_decay and trainer.gradient_clip must not be negative")
        return settings


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
    """Train `model` in place, leave it with its best weights and return the history, one row per epoch.

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
    trainer = _trainer(settings, [stop, _EpochLine(say, on_epoch), keep, every])
    last = checkpoints / "last.ckpt"
    if resume and last.is_file():
        say(f"train: resuming from {last}")
    loader = DataModule(data, settings.batch_size, settings.length_groups, seed)
    _learn(trainer, module, loader, str(last) if resume and last.is_file() else None)
    best = torch.load(keep.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(best["state_dict"])
    return module.history


def _module(model: SequenceModel, data: TrainingData, settings: TrainerSettings, seed: int) -> Training:
    """Return the model with its loss and schedule; its output biases start at the base rates of the train rows."""
    is_train = np.repeat(np.isin(np.arange(len(data.tensors.lengths)), data.train), data.tensors.lengths)
    model.start_at(base_rates(data.target, data.weight, is_train))
    return Training(
        model=model,
        data=data,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_share=settings.warmup_share,
        steps=settings.epochs * -(-len(data.train) // settings.batch_size),
        batch_weight=float(data.weight[is_train].sum(dtype="float64") / len(data.train) * settings.batch_size),
        seed=seed,
    )


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
        callbacks=[*callbacks, *bar],
        enable_progress_bar=bool(bar),
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )


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
