"""What training does to whole stays, so that a model leans less on any one number."""

from __future__ import annotations

import torch

from clinical_lstm.batch import Batch


def hide(batch: Batch, share: float) -> Batch:
    """Return the batch with random variables of each stay as if they had never been measured.

    Each variable of a stay is hidden with probability `share`: value 0, mask 0, delta = hours since admission. A model
    that must do without some labs leans less on any one of them.
    """
    size, _, width = batch.values.shape
    kept = torch.rand(size, 1, width, device=batch.values.device) >= share  # (B, 1, V)
    waited = torch.where(kept, batch.delta, batch.hours[:, :, None])  # (B, T, V)
    return batch._replace(values=batch.values * kept, mask=batch.mask * kept, delta=waited)


def shake(batch: Batch, deviation: float) -> Batch:
    """Return the batch with Gaussian noise on every observed value (`deviation` in train standard deviations).

    An observation is drawn for once, and its error is carried forward with it. What was never observed stays 0.
    """
    step = torch.arange(batch.values.shape[1], device=batch.values.device)[:, None]  # (T, 1)
    last = torch.where(batch.mask > 0, step, -1).cummax(dim=1).values  # (B, T, V): step of the last observation
    error = torch.randn_like(batch.values).gather(1, last.clamp_min(0)) * (last >= 0)
    return batch._replace(values=batch.values + deviation * error)
