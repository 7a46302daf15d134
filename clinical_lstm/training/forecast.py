"""What is measured in the hours after each step: a target that every stay has, whatever becomes of it."""

from __future__ import annotations

import numpy as np

from clinical_lstm.batch import Batch

LIMIT = 5.0  # of a scaled value: one outlier must not outweigh a day of measurements


def ahead(batch: Batch, forecast_hours: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean scaled value of each variable in (t, t + forecast] and whether it was measured then.

        y_tv = sum_{s: t < s <= t + f} m_sv x_sv / sum_s m_sv,    known_tv = sum_s m_sv > 0

    Both are (B, T, V) float32, of a (numpy) batch; 0 where unknown and in the padding.
    """
    size, steps, width = batch.mask.shape
    end = np.repeat(np.arange(1, steps + 1)[None], size, axis=0)  # (B, T): steps before it end by t + f
    for row, length in enumerate(batch.lengths):
        hours = batch.hours[row, :length].astype(np.float64)
        end[row, :length] = np.searchsorted(hours, hours + forecast_hours + 1e-4, side="right")
    start = np.zeros((size, 1, width))
    total = np.concatenate([start, np.cumsum(batch.values * batch.mask, axis=1, dtype=np.float64)], axis=1)
    count = np.concatenate([start, np.cumsum(batch.mask, axis=1, dtype=np.float64)], axis=1)  # (B, T + 1, V)
    total, count = (np.take_along_axis(part, end[:, :, None], axis=1) - part[:, 1:] for part in (total, count))
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return np.clip(mean, -LIMIT, LIMIT).astype(np.float32), (count > 0).astype(np.float32)
