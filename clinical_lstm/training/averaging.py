"""Averages of the weights along a training: what is validated and kept instead of the last step's."""

from __future__ import annotations

from typing import Any

import pytorch_lightning
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor


class Averaging(Callback):
    """Keep an average of the model's weights; validate with it. Checkpoints hold both, so that resuming is exact.

        EMA, after every step s:      a <- d_s a + (1 - d_s) w,    d_s = min(decay, (1 + s) / (10 + s))             (1)
        SWA, after each of the last n planned epochs, the k-th of them:    a <- a + (w - a) / k                     (2)

    The warm-up of d lets the first steps, still near the random start, fade. Buffers are not averaged.
    Source: Polyak & Juditsky 1992, doi 10.1137/0330046 (averages); Izmailov et al. 2018, arXiv 1803.05407 (SWA).
    """

    def __init__(self, decay: float, last_epochs: int) -> None:
        self.decay, self.last_epochs = decay, last_epochs
        self.count = 0
        self.average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._step = 0

    def on_train_batch_end(
        self, trainer: pytorch_lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the weights after each optimiser step: equation 1."""
        if not self.decay or trainer.global_step == self._step:  # draws that only accumulate are no step
            return
        self._step = trainer.global_step
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self._take(module.model, 1 - decay)

    def on_validation_start(self, trainer: pytorch_lightning.Trainer, module: Any) -> None:
        """Take in the weights of one of the last epochs (equation 2); put the average in the place of the weights."""
        if self.last_epochs and trainer.current_epoch >= (trainer.max_epochs or 0) - self.last_epochs:
            self._take(module.model, 1 / (self.count + 1))
        self._raw = {name: weight.detach().clone() for name, weight in module.model.named_parameters()}
        put(module.model, self.average)

    def on_validation_end(self, trainer: pytorch_lightning.Trainer, module: Any) -> None:
        """Put the weights back, before anything is saved."""
        put(module.model, self._raw)
        self._raw = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"count": self.count, "step": self._step, "average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.count, self._step, self.average = state_dict["count"], state_dict["step"], state_dict["average"]

    @torch.no_grad()
    def _take(self, model: torch.nn.Module, share: float) -> None:
        for name, weight in model.named_parameters():
            if name not in self.average:
                self.average[name] = weight.detach().clone()
            else:
                self.average[name] = self.average[name].to(weight.device).lerp(weight.detach(), share)
        self.count += 1


@torch.no_grad()
def put(model: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy `weights`, by name, into the parameters of `model`; those not named stay."""
    own = dict(model.named_parameters())
    for name, weight in weights.items():
        own[name].copy_(weight)
