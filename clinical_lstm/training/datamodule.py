"""Training batches from the memory-mapped tensors: random draws of stays, cut into length groups."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from clinical_lstm.batch import Batch, assemble, pad_rows
from clinical_lstm.inference import canonical_batches
from clinical_lstm.training.data import TrainingData


class Group(NamedTuple):
    """Stays of similar length with the targets and weights (B, T, K) of their rows."""

    batch: Batch
    target: Tensor
    weight: Tensor


def draws(
    stays: np.ndarray, lengths: np.ndarray, size: int, groups: int, seed: int, epoch: int
) -> list[list[np.ndarray]]:
    """Return one epoch: a fully random partition into draws of `size` stays, each cut into `groups` by length.

    The draw is random, so that its gradient is unbiased; only the padding depends on the cut. (Draws of equal length
    would be cheaper still, but length encodes the outcome.) Depends on (seed, epoch) alone.
    """
    order = np.random.default_rng((seed, epoch)).permutation(stays)
    epoch_draws = []
    for begin in range(0, len(order), size):
        draw = order[begin : begin + size]
        by_length = draw[np.argsort(lengths[draw], kind="stable")]
        epoch_draws.append([part for part in np.array_split(by_length, groups) if len(part)])
    return epoch_draws


class _Epochs:
    """The batches of the current epoch, the next one assembled in a thread while this one is being learnt."""

    def __init__(self, module: DataModule) -> None:
        self.module = module

    def __len__(self) -> int:
        return -(-len(self.module.data.train) // self.module.batch_size)

    def __iter__(self) -> Iterator[list[Group]]:
        module = self.module
        epoch = module.trainer.current_epoch if module.trainer else 0
        epoch_draws = draws(
            module.data.train, module.data.tensors.lengths, module.batch_size, module.groups, module.seed, epoch
        )
        with ThreadPoolExecutor(max_workers=1) as assembler:
            pending = assembler.submit(module.assemble, epoch_draws[0])
            for following in [*epoch_draws[1:], None]:
                ready = pending.result()
                if following is not None:
                    pending = assembler.submit(module.assemble, following)
                yield ready


class DataModule(pytorch_lightning.LightningDataModule):
    """Random draws for training, canonical batches (`inference`) for validation."""

    def __init__(self, data: TrainingData, batch_size: int, groups: int, seed: int) -> None:
        super().__init__()
        self.data, self.batch_size, self.groups, self.seed = data, batch_size, groups, seed

    def assemble(self, draw: list[np.ndarray]) -> list[Group]:
        """Return the padded groups of one draw as torch tensors."""
        data = self.data
        groups = []
        for stays in draw:
            batch = assemble(data.tensors, stays, data.scaler)
            steps = batch.values.shape[1]
            target = pad_rows(data.target, data.tensors, stays, steps, 0.0)  # (B, T, K)
            weight = pad_rows(data.weight, data.tensors, stays, steps, 0.0)  # (B, T, K)
            groups.append(Group(batch.tensors(), torch.from_numpy(target), torch.from_numpy(weight)))
        return groups

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave batches where they are on a CPU: walking through them costs a hundredth of a step."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def train_dataloader(self) -> _Epochs:
        """Return the draws of the current epoch."""
        return _Epochs(self)

    def val_dataloader(self) -> DataLoader[tuple[np.ndarray, Batch]]:
        """Return (stay indices, canonical batch) pairs that cover the validation stays; made once, kept in memory."""
        if not hasattr(self, "_val"):
            found = canonical_batches(self.data.tensors, self.data.val, self.data.scaler)
            self._val = [(stays, batch.tensors()) for stays, batch in found]
        return DataLoader(self._val, batch_size=None)  # type: ignore[arg-type]
