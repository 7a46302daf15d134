"""All that a ward knows as plain arrays, and back: what a restart of the process needs.

stay_ids       UTF-8 bytes of a JSON list           closed    (stays,) end of the last closed step
bed.NAME       (stays, ...) the rows of every array  refused   (rules,) counts, in the order of `RULES`
waiting        (M, 5) stay, end of its step, variable, hours, value of every cell of an open step
fingerprint    SHA-256 of the weights, scaler and task that these numbers belong to
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

import numpy as np

from clinical_lstm.artifacts import digest
from clinical_lstm.data.task import Task
from clinical_lstm.errors import InputError
from clinical_lstm.inference import Predictor
from clinical_lstm.streaming.beds import Beds
from clinical_lstm.streaming.rules import RULES

BED = "bed."


def fingerprint(predictor: Predictor, task: Task) -> np.ndarray:
    """Return 32 bytes that differ wherever a state would mean something else."""
    said = hashlib.sha256(digest({"task": task.record(), "targets": predictor.targets}).encode())
    said.update(predictor.scaler.table().write_csv().encode())
    for name, weight in sorted(predictor.model.state_dict().items()):
        said.update(name.encode() + weight.cpu().contiguous().numpy().tobytes())
    return np.frombuffer(said.digest(), np.uint8).copy()


def pack(beds: Beds, refused: Mapping[str, int], mark: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays."""
    stays = list(beds.of.values())
    rows = beds.rows(stays)
    waiting = [
        (place, end, code, *cell)
        for place, bed in enumerate(stays)
        for end, cells in bed.waiting.items()
        for code, cell in cells.items()
    ]
    return {
        "fingerprint": mark,
        "stay_ids": np.frombuffer(json.dumps(list(beds.of)).encode(), np.uint8).copy(),
        "refused": np.array([refused.get(rule, 0) for rule in RULES], np.int64),
        "closed": np.array([bed.closed for bed in stays], np.float64),
        "waiting": np.array(waiting, np.float64).reshape(-1, 5),
        **{BED + name: part[rows] for name, part in beds.arrays.items()},
    }


def unpack(state: Mapping[str, np.ndarray], blank: Mapping[str, np.ndarray], mark: np.ndarray) -> tuple[Beds, Counter]:
    """Return the beds and the counts of refused measurements that `pack` wrote down.

    Raises InputError on arrays that are missing or are those of another model or task.
    """
    wanted = {"fingerprint", "stay_ids", "refused", "closed", "waiting", *(BED + name for name in blank)}
    if missing := sorted(wanted - set(state)):
        raise InputError(f"the state of the ward lacks {', '.join(missing)}; give all arrays that `state` returned")
    if not np.array_equal(state["fingerprint"], mark):
        raise InputError("the state of the ward is that of another run; load the run that it was made with")
    try:
        ids = json.loads(bytes(state["stay_ids"]))
    except ValueError:
        raise InputError("the state of the ward names no stays: its array stay_ids is damaged") from None
    shapes = {"closed": (len(ids),), **{BED + name: (len(ids), *one.shape) for name, one in blank.items()}}
    if faults := [name for name, shape in shapes.items() if state[name].shape != shape]:
        raise InputError(f"the state of the ward has {len(ids)} stays, but not in {', '.join(faults)}: it is damaged")
    beds = Beds(blank)
    stays = [beds.take(stay_id, float(closed)) for stay_id, closed in zip(ids, state["closed"])]
    rows = beds.rows(stays)
    for name, part in beds.arrays.items():
        part[rows] = state[BED + name]
    for place, end, code, hours, value in state["waiting"].tolist():
        stays[int(place)].keep(end, int(code), hours, value)
    return beds, Counter({rule: int(count) for rule, count in zip(RULES, state["refused"]) if count})
