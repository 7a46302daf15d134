"""Rows for tables: what a clinician would read off the chart at each step, as one row of numbers.

A matrix is named by what it holds: `window`, or `step+windows+counts`, the numbers of the step and then blocks of
`clinical_lstm.features`, the same that a network sees; `step_timeless` has no hours since admission. All windows
are (t - w, t] in real hours. Strictly causal; never the outcome, never padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clinical_lstm.batch import Batch, Scaler, Sequences, assemble
from clinical_lstm.errors import InputError, closest

if TYPE_CHECKING:
    from clinical_lstm.features import Engineered  # needs torch, which only these blocks need

SHORT_HOURS, LONG_HOURS = 6, 12
STATISTICS = [
    "last",
    "log_hours_since",
    "measured",
    "log_count",
    "log_count_12h",
    *[f"{name}_{hours}h" for hours in (SHORT_HOURS, LONG_HOURS) for name in ("min", "max", "mean")],
    "change_6h",
]
PROCESS = {"log_hours_since", "measured", "log_count", "log_count_12h"}  # when and how often, whatever the value
TIMELESS = "_timeless"
STEP = ["last", "log_hours_since", "measured"]  # what is known of a variable without a window
STEPS_AT_ONCE = 32_768
SECONDS = 3600  # windows are compared in whole seconds: exact, whatever the batch mates
STAY = 1 << 40  # seconds that no stay lasts


def feature_names(which: str, variables: Sequence[str], statics: Sequence[str]) -> list[str]:
    """Return the names of the columns of the matrix `which`, of one without engineered blocks.

    >>> feature_names("elapsed", ["lactate"], ["age"])
    ['hours']
    >>> feature_names("window", ["lactate"], ["age"])[-3:]
    ['lactate:change_6h', 'age', 'hours']
    >>> feature_names("last", ["lactate"], ["age"])
    ['lactate:last']
    >>> feature_names("step_timeless", ["lactate"], ["age"])[-2:]
    ['lactate:measured', 'age']
    """
    which, clock = _kind(which)
    listed = {
        "elapsed": [],
        "last": ["last"],
        "step": STEP,
        "step_values": ["last"],
        "window": STATISTICS,
        "window_values": [name for name in STATISTICS if name not in PROCESS],
    }[which]
    columns = [f"{name}:{statistic}" for statistic in listed for name in variables]
    return {"elapsed": ["hours"], "last": columns}.get(which, [*columns, *statics, *["hours"] * clock])


def elapsed(batch: Batch) -> np.ndarray:
    """Return only the hours since admission (B, T, 1)."""
    return batch.hours[:, :, None]


def last_values(batch: Batch) -> np.ndarray:
    """Return only the last value of every variable (B, T, V), scaled; NaN where it was not yet measured."""
    known = np.maximum.accumulate(batch.mask, axis=1) > 0
    return np.where(known, batch.values, np.float32(np.nan))


def step_statistics(batch: Batch) -> np.ndarray:
    """Return what is known at a step without a window (B, T, 3 V + S + 1): last value, log hours since, measured."""
    parts = [last_values(batch), np.log1p(batch.delta), batch.mask]
    static = np.repeat(batch.static[:, None], batch.hours.shape[1], axis=1)
    return np.concatenate([*parts, static, batch.hours[:, :, None]], axis=2, dtype=np.float32)


def step_values(batch: Batch) -> np.ndarray:
    """Return the last values, static variables and hours (B, T, V + S + 1); 0, the train median, where unknown."""
    static = np.repeat(batch.static[:, None], batch.hours.shape[1], axis=1)
    return np.concatenate([batch.values, static, batch.hours[:, :, None]], axis=2, dtype=np.float32)


def window_values(batch: Batch) -> np.ndarray:
    """Return the window statistics (B, T, F) that are functions of values; 0, the train median, where unknown.

    Neither whether, when nor how often something was measured is told, as in a network without these inputs. What the
    values and the times of the steps tell of it stays: a value that does not change may not have been measured again.
    """
    width = batch.values.shape[2]
    statistics = [name not in PROCESS for name in STATISTICS]
    kept = np.append(np.repeat(statistics, width), np.ones(batch.static.shape[1] + 1, bool))
    return np.nan_to_num(window_statistics(batch)[:, :, kept], nan=0.0)


def window_statistics(batch: Batch) -> np.ndarray:
    """Return the statistics (B, T, F) float32 of a (numpy) batch in the order of `feature_names`.

    Per variable, from the scaled values that the batch carries forward: the last value, log(1 + hours since), whether
    measured now, log(1 + count) so far and in 12 h, minimum, maximum and mean over 6 and 12 h, change over 6 h; NaN
    where the variable was not yet measured. Then the static variables and the hours. Rows of padding mean nothing.
    """
    size, steps, width = batch.values.shape
    measured = batch.mask.reshape(-1, width) > 0  # (B T, V)
    count = np.cumsum(batch.mask, axis=1, dtype=np.float32).reshape(-1, width)
    value = np.where(count > 0, batch.values.reshape(-1, width), np.float32(np.nan))
    first = np.repeat(np.arange(size) * steps, steps)  # (B T,) where the row's stay begins
    begin = {hours: _window_begins(batch, hours) for hours in (SHORT_HOURS, LONG_HOURS)}
    parts = [value, np.log1p(batch.delta.reshape(-1, width)), measured, np.log1p(count)]
    parts.append(np.log1p(count - _before(count, begin[LONG_HOURS], first, 0.0)))
    for hours in (SHORT_HOURS, LONG_HOURS):
        low, high = _extremes(value, begin[hours])
        parts += [low, high, _mean(value, (size, steps, width), begin[hours], first)]
    parts.append(value - _before(value, begin[SHORT_HOURS], first, np.nan))
    parts += [np.repeat(batch.static, steps, axis=0), batch.hours.reshape(-1, 1)]
    return np.concatenate(parts, axis=1, dtype=np.float32).reshape(size, steps, -1)  # (B, T, F)


MATRICES: dict[str, Callable[[Batch], np.ndarray]] = {
    "elapsed": elapsed,
    "last": last_values,
    "step": step_statistics,
    "step_values": step_values,
    "window": window_statistics,
    "window_values": window_values,
}


def row_matrix(
    seen: Sequences, stays: np.ndarray | Sequence[int], scaler: Scaler, which: str, chunk: int = 512
) -> np.ndarray:
    """Return the matrix `which` (R, F) float32 of every step of `stays` that is answered, in their order.

    Sequences of like length are assembled together, at most `chunk` at once, so that little is padded.
    """
    named, *blocks = which.split("+")
    which, _ = _kind(named)
    rows = seen.of(np.asarray(stays, dtype=np.int64))
    _, _, answered = seen.answered(rows)  # (R,)
    if which == "elapsed" and not blocks:  # the clock needs no window
        return seen.hours[answered, None].astype(np.float32)
    engineered = _engineered(blocks, seen, scaler, observation_process=not which.endswith("_values"))
    place = np.empty(len(seen.hours), np.int64)
    place[answered] = np.arange(len(answered))
    own = len(feature_names(named, scaler.variables, scaler.statics))  # the hours, the last of all, or without them
    matrix = np.empty((len(answered), own + (engineered.width if engineered else 0)), np.float32)
    lengths = seen.lengths[rows]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    at = 0
    while at < len(order):
        ahead = lengths[order[at : at + chunk]]
        fits = int(np.searchsorted(ahead * np.arange(1, len(ahead) + 1), STEPS_AT_ONCE, side="right"))
        part = rows[order[at : at + max(fits, 1)]]
        row, step, flat = seen.answered(part)
        batch = assemble(seen, part, scaler)
        matrix[place[flat], :own] = MATRICES[which](batch)[row, step, :own]
        if engineered:
            matrix[place[flat], own:] = engineered.matrix(batch)[row, step]
        at += len(part)
    return matrix


def matrix_of(blocks: Sequence[str], observation_process: bool, hours: bool) -> str:
    """Return the name of the matrix of a learning baseline: window statistics, or a step with engineered blocks.

    >>> matrix_of([], True, True), matrix_of(["windows", "counts"], False, False)
    ('window', 'step_values_timeless+windows+counts')
    """
    if isinstance(blocks, str):
        raise InputError(f"engineered={blocks} must be a list of blocks, [{blocks}]")
    stem = "step" if blocks else "window"
    return "+".join([stem + "_values" * (not observation_process) + TIMELESS * (not hours), *blocks])


def _engineered(blocks: Sequence[str], seen: Sequences, scaler: Scaler, observation_process: bool) -> Engineered | None:
    """Return what computes `blocks`; None without any."""
    if not blocks:
        return None
    from clinical_lstm.features import Engineered, Vocabulary, grid_hours

    vocabulary = Vocabulary(tuple(scaler.variables), tuple(scaler.statics), grid_hours(seen.hours))
    made = Engineered(blocks, vocabulary, observation_process)
    made.know(scaler)
    return made


def _kind(name: str) -> tuple[str, bool]:
    """Return the key of `MATRICES` in a name, and whether the hours since admission belong to it."""
    which = name.removesuffix(TIMELESS)
    if which not in MATRICES:
        raise InputError(f"there is no matrix of rows {which!r}: {closest(which, list(MATRICES))}")
    return which, which == name


def _window_begins(batch: Batch, window_hours: int) -> np.ndarray:
    """Return the flat index (B T,) of the first step of the window (t - w, t] of each step."""
    size, steps = batch.hours.shape
    seconds = np.rint(batch.hours.astype(np.float64) * SECONDS).astype(np.int64)
    seconds[np.arange(steps) >= batch.lengths[:, None]] = STAY // 2  # padding comes after everything
    clock = (seconds + np.arange(size)[:, None] * STAY).ravel()  # ascends over the whole batch
    return np.searchsorted(clock, clock - window_hours * SECONDS, side="right")


def _before(rows: np.ndarray, begin: np.ndarray, first: np.ndarray, fill: float) -> np.ndarray:
    """Return the row just before each window, `fill` where the stay begins with the window."""
    earlier = rows[np.maximum(begin - 1, 0)]
    earlier[begin <= first] = fill
    return earlier


def _mean(value: np.ndarray, shape: tuple[int, int, int], begin: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the mean over each window of the steps at which the variable was known, NaN without any."""
    known = ~np.isnan(value)
    total = np.cumsum(np.where(known, value, 0).reshape(shape), axis=1, dtype=np.float64).reshape(value.shape)
    steps = np.cumsum(known.reshape(shape), axis=1, dtype=np.int32).reshape(value.shape)
    total -= _before(total, begin, first, 0.0)
    steps -= _before(steps, begin, first, 0)
    return np.divide(total, steps, out=np.full(total.shape, np.nan), where=steps > 0).astype(np.float32)


def _extremes(value: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and maximum over the rows begin[i]..i of each row i, NaN ignored.

    Windows of 2^k rows are built by doubling; any window is the union of two of them:
        m_{k+1}[i] = min(m_k[i], m_k[i - 2^k]),    min over [b, i] = min(m_k[i], m_k[b + 2^k - 1]),    2^k <= i - b + 1
    """
    level = np.frexp(np.arange(len(begin)) - begin + 1.0)[1] - 1  # floor(log2(rows in the window))
    low, high = np.empty_like(value), np.empty_like(value)
    below, above = value, value
    for k in range(int(level.max(initial=-1)) + 1):
        at, half = np.flatnonzero(level == k), 1 << k
        other = begin[at] + half - 1
        low[at] = np.fmin(below[at], below[other])
        high[at] = np.fmax(above[at], above[other])
        below, narrow = below.copy(), below
        above, wide = above.copy(), above
        np.fmin(narrow[half:], narrow[:-half], out=below[half:])
        np.fmax(wide[half:], wide[:-half], out=above[half:])
    return low, high
