"""How long one more step of the streams of some patients takes: from raw measurements to risks and alarms."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from clinical_lstm.batch import Scaler
from clinical_lstm.streaming.ward import Ward
from clinical_lstm.variables import vocabulary

OBSERVED = 0.2  # share of the variables that a step brings a value of
WARM_UP = 20


def step_seconds(ward: Ward, patients: int = 1, steps: int = 200, seed: int = 0) -> np.ndarray:
    """Return the seconds (steps, 2) of each of `steps` steps of `patients` streams, after 20 unmeasured ones.

    The first column is the time of `observe`, once per measurement, the second that of `advance`, once for all
    patients; on one thread. The measurements are drawn beforehand from the scaler's own locations and scales. The
    patients are discharged at the end.
    """
    import torch

    random, width = np.random.default_rng(seed), ward.task.step_hours or 1.0
    ids = [f"latency {n}" for n in range(patients)]
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for stay_id in ids:
            ward.admit(stay_id)
        for step in range(1, WARM_UP + steps + 1):
            cells, now = _drawn(ward.predictor.scaler, ids, step * width, random), dict.fromkeys(ids, step * width)
            begin = time.perf_counter()
            for cell in cells:
                ward.observe(*cell)
            between = time.perf_counter()
            ward.advance(now)
            seconds.append((between - begin, time.perf_counter() - between))
    finally:
        torch.set_num_threads(threads)
        for stay_id in set(ids) & set(ward.stays):
            ward.discharge(stay_id)
    return np.array(seconds[WARM_UP:])


def _drawn(
    scaler: Scaler, ids: Sequence[str], hours: float, random: np.random.Generator
) -> list[tuple[str, float, str, float]]:
    """Return what the patients `ids` have measured at `hours`, plausible values."""
    row, code = np.nonzero(random.random((len(ids), len(scaler.variables))) < OBSERVED)
    raw = scaler.location[code] + scaler.scale[code] * random.normal(size=len(row))
    bounds = np.array([(vocabulary()[name].low, vocabulary()[name].high) for name in scaler.variables])
    value = np.clip(np.where(scaler.log[code], np.expm1(raw), raw), *bounds[code].T)
    return [(ids[r], hours, scaler.variables[c], v) for r, c, v in zip(row.tolist(), code.tolist(), value.tolist())]
