"""Training batches from the memory-mapped tensors: random draws of stays, cut into length groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from clinical_lstm.batch import Batch, assemble, pad_rows
from clinical_lstm.inference import ROWS, canonical_batch, canonical_chunks
from clinical_lstm.training.data import TrainingData
from clinical_lstm.training.forecast import ahead

KEPT_BYTES = 1 << 30  # a validation split larger than that is assembled anew in every epoch


class Group(NamedTuple):
    """Stays (or windows) of similar length with the targets and weights (B, T, K) of their rows."""

    batch: Batch
    target: Tensor
    weight: Tensor

    @property
    def more(self) -> dict[str, Tensor]:
        """What else is taught: nothing."""
        return {}


class Taught(NamedTuple):
    """A group with what else is taught: see `DataModule.more`."""

    batch: Batch
    target: Tensor
    weight: Tensor
    more: dict[str, Tensor]


def draws(
    stays: np.ndarray,
    lengths: np.ndarray,
    size: int,
    groups: int,
    seed: int,
    epoch: int,
    of: Callable[[np.ndarray], np.ndarray] = lambda stays: stays,
) -> list[list[np.ndarray]]:
    """Return one epoch: a fully random partition into draws of `size` stays, each cut into `groups` by length.

    The draw is random, so that its gradient is unbiased; only the padding depends on the cut. (Draws of equal length
    would be cheaper still, but length encodes the outcome.) Depends on (seed, epoch) alone. What is cut are the
    sequences `of` the stays of a draw, `lengths` long.
    """
    order = np.random.default_rng((seed, epoch)).permutation(stays)
    epoch_draws = []
    for begin in range(0, len(order), size):
        draw = of(order[begin : begin + size])
        by_length = draw[np.argsort(lengths[draw], kind="stable")]
        epoch_draws.append([part for part in np.array_split(by_length, groups) if len(part)])
    return epoch_draws


class _Epochs:
    """The batches of the current epoch, the next one assembled in a thread while this one is being learnt."""

    def __init__(self, module: DataModule) -> None:
        self.module = module

    def __len__(self) -> int:
        return -(-len(self.module.data.train) // self.module.batch_size)

    def __iter__(self) -> Iterator[list[Group | Taught]]:
        module, data = self.module, self.module.data
        epoch = module.trainer.current_epoch if module.trainer else 0
        epoch_draws = draws(
            data.train, data.seen.lengths, module.batch_size, module.groups, module.seed, epoch, data.seen.of
        )
        with ThreadPoolExecutor(max_workers=1) as assembler:
            pending = assembler.submit(module.assemble, epoch_draws[0])
            for following in [*epoch_draws[1:], None]:
                ready = pending.result()
                if following is not None:
                    pending = assembler.submit(module.assemble, following)
                yield ready


class _Validation(Dataset[tuple[np.ndarray, Batch]]):
    """Canonical batches that cover what is seen of the validation stays."""

    def __init__(self, data: TrainingData) -> None:
        self.data = data
        self.chunks = list(canonical_chunks(data.seen, data.seen.of(data.val)))
        self.bytes = sum(steps for _, steps in self.chunks) * ROWS * len(data.scaler.variables) * 12

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: int) -> tuple[np.ndarray, Batch]:
        chunk, steps = self.chunks[number]
        return chunk, canonical_batch(self.data.seen, chunk, self.data.scaler, steps).tensors()


class DataModule(pytorch_lightning.LightningDataModule):
    """Random draws for training, canonical batches (`inference`) for validation."""

    def __init__(
        self, data: TrainingData, batch_size: int, groups: int, seed: int, forecast_hours: float = 0.0
    ) -> None:
        super().__init__()
        self.forecast_hours = forecast_hours
        self.data, self.batch_size, self.groups, self.seed = data, batch_size, groups, seed

    def assemble(self, draw: list[np.ndarray]) -> list[Group | Taught]:
        """Return the padded groups of one draw as torch tensors."""
        data = self.data
        soft = data.target if data.taught is None else data.taught
        groups: list[Group | Taught] = []
        for rows in draw:
            batch = assemble(data.seen, rows, data.scaler)
            steps = batch.values.shape[1]
            target = pad_rows(soft, data.seen, rows, steps, 0.0)  # (B, T, K)
            weight = pad_rows(data.weight, data.seen, rows, steps, 0.0)  # (B, T, K)
            parts = batch.tensors(), torch.from_numpy(target), torch.from_numpy(weight)
            more = {name: torch.from_numpy(array) for name, array in self.more(batch, rows).items()}
            groups.append(Taught(*parts, more) if more else Group(*parts))
        return groups

    def more(self, batch: Batch, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is taught of the sequences `rows` besides labels.

        - `hours`, `event` (B, T, C): landmarks of survival.
        - `ahead`, `ahead_known` (B, T, V): the next measurements, see `forecast.ahead`.
        - `outcomes`, `outcomes_known` (B, T, O): numbers of the whole stay, at every step of it.
        """
        data, steps = self.data, batch.values.shape[1]
        more: dict[str, np.ndarray] = {}
        if data.landmarks is not None:
            for name, array in data.landmarks._asdict().items():
                more[name] = pad_rows(array, data.seen, rows, steps, 0).astype(np.float32)
        if self.forecast_hours:
            more["ahead"], more["ahead_known"] = ahead(batch, self.forecast_hours)
        if data.outcomes is not None:
            row, _, at = data.seen.answered(rows)
            stay = np.zeros(len(rows), np.int64)
            stay[row] = data.tensors.place(at)[0]  # of every sequence
            inside = np.arange(steps) < batch.lengths[:, None]  # (B, T)
            found = data.outcomes[stay][:, None, :]  # (B, 1, O)
            more["outcomes"] = np.repeat(np.nan_to_num(found), steps, axis=1)
            more["outcomes_known"] = (~np.isnan(found) & inside[:, :, None]).astype(np.float32)
        return more

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave batches where they are on a CPU: walking through them costs a hundredth of a step."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def train_dataloader(self) -> _Epochs:
        """Return the draws of the current epoch."""
        return _Epochs(self)

    def val_dataloader(self) -> DataLoader[tuple[np.ndarray, Batch]]:
        """Return (sequences, canonical batch) pairs that cover the validation stays; made once if memory allows."""
        if not hasattr(self, "_val"):
            every = _Validation(self.data)
            self._val = [every[n] for n in range(len(every))] if every.bytes <= KEPT_BYTES else every
        return DataLoader(self._val, batch_size=None, collate_fn=lambda item: item)  # type: ignore[arg-type]
