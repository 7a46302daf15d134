"""The only LightningModule: any `SequenceModel`, its loss, its optimiser and its validation metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning
import torch
from torch import Tensor

from clinical_lstm.batch import Batch
from clinical_lstm.metrics.discrimination import auroc, average_precision
from clinical_lstm.models.base import SequenceModel
from clinical_lstm.training.data import TrainingData
from clinical_lstm.training.datamodule import Group, Taught
from clinical_lstm.training.objective import Objective
from clinical_lstm.training.schedule import scheduler
from clinical_lstm.training.settings import TrainerSettings

PLAIN = TrainerSettings()


class Training(pytorch_lightning.LightningModule):
    """Minimise the objective of a model; keep the metrics of every epoch in `history`."""

    def __init__(
        self,
        model: SequenceModel,
        data: TrainingData,
        learning_rate: float,
        weight_decay: float,
        warmup_share: float,
        steps: int,
        batch_weight: float,
        seed: int,
        settings: TrainerSettings = PLAIN,
        batch_rows: float = 1.0,
    ) -> None:
        super().__init__()
        self.model, self.data = model, data
        self.objective, self.schedule, self.batch_rows = Objective(settings, model, data), settings.schedule, batch_rows
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup_share, self.steps, self.batch_weight, self.seed = warmup_share, steps, batch_weight, seed
        self.history: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._val_logits = np.full(data.label.shape, np.nan)

    def configure_optimizers(self) -> Any:
        """AdamW, its rate scheduled over the planned steps (`schedule.scheduler`)."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = scheduler(optimiser, self.schedule, self.learning_rate, self.steps, self.warmup_share)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed dropout by (seed, epoch): a resumed training draws what the uninterrupted one would have drawn."""
        torch.manual_seed(self.seed * 100_003 + self.current_epoch)

    def training_step(self, groups: list[Group | Taught], index: int) -> Tensor:
        """Return the loss of one draw: the sums of its length groups over the expected weight (and rows) of a draw.

        L = (1 / E[w]) sum_g sum_{i in g} w_i BCE(l_i, y_i)  +  (1 / E[rows]) sum_g auxiliary losses of g
        """
        sums = [self.objective(self.model, group) for group in groups]
        loss = torch.stack([main for main, _ in sums]).sum() / self.batch_weight
        if any(beside is not None for _, beside in sums):
            loss = loss + torch.stack([beside for _, beside in sums]).sum() / self.batch_rows
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, item: tuple[np.ndarray, Batch], index: int) -> None:
        """Keep the logits of the validation stays."""
        rows, batch = item
        found = self.model(batch).double().cpu().numpy()  # (ROWS, T, K)
        row, step, at = self.data.seen.answered(rows)
        self._val_logits[at] = found[row, step]

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, which early stopping and the choice of the best weights can watch."""
        if self.trainer.sanity_checking:
            return
        metrics = validation_metrics(self._val_logits, self.data)
        train_loss = float(torch.stack(self._losses).mean()) if self._losses else float("nan")
        self._losses.clear()
        self.history.append({"epoch": float(self.current_epoch), "train_loss": train_loss, **metrics})
        self.log_dict(metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history, so that a resumed run reports all its epochs."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history."""
        self.history = checkpoint["history"]


def validation_metrics(logits: np.ndarray, data: TrainingData) -> dict[str, float]:
    """Return val_loss (weighted, per unit weight), val_auroc and val_auprc (means over targets) of logits (N, K)."""
    seen = ~np.isnan(logits).any(axis=1)
    found, target, weight = logits[seen], data.target[seen], data.weight[seen]
    losses = (np.logaddexp(0, found) - target * found) * weight
    label = data.label[seen]
    areas, precisions = [], []
    for k in range(label.shape[1]):
        valid = label[:, k] >= 0
        areas.append(auroc(label[valid, k], found[valid, k]))
        precisions.append(average_precision(label[valid, k], found[valid, k]))
    return {
        "val_loss": float(losses.sum() / weight.sum()),
        "val_auroc": float(np.mean(areas)),
        "val_auprc": float(np.mean(precisions)),
    }
