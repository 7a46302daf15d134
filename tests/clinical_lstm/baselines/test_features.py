"""Window statistics are what a slow loop computes, see no future, and do not depend on batch mates or padding."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from clinical_lstm.baselines import features as f
from clinical_lstm.batch import Batch, Ragged, Scaler, assemble
from clinical_lstm.errors import InputError
from clinical_lstm.features import Engineered, Vocabulary

VARIABLES, STATICS = ["heart_rate", "lactate", "sodium"], ["age", "sex"]
SCALER = Scaler(VARIABLES, STATICS, np.zeros(5, bool), np.arange(5.0), np.full(5, 2.0))
CLINICAL = Scaler(["heart_rate", "lactate", "sbp"], ["age_years", "male"], SCALER.log, SCALER.location, SCALER.scale)
BLOCKS = ["windows", "changes", "counts", "ratios", "severity"]


def _ragged(lengths: list[int], seed: int = 0, regular: bool = True) -> Ragged:
    """Return stays with 30 % of their cells measured; the last variable is never measured in the first stay."""
    random = np.random.default_rng(seed)
    offsets = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    spacing = np.ones(offsets[-1]) if regular else random.choice([0.25, 0.5, 1.0, 5.0], offsets[-1])
    hours = np.concatenate([np.cumsum(spacing[a:b]) for a, b in pairwise(offsets)])
    measured = random.random((offsets[-1], 3)) < 0.3
    measured[: lengths[0], 2] = False
    row, variable = np.nonzero(measured)
    stay = np.searchsorted(offsets, row, side="right") - 1
    return Ragged(
        step_offsets=offsets,
        cell_offsets=np.searchsorted(row, offsets).astype(np.int64),
        hours=hours,
        cell_step=(row - offsets[stay]).astype(np.int32),
        cell_variable=variable.astype(np.uint16),
        cell_value=random.normal(size=len(row)).astype(np.float32),
        cell_age=np.zeros(len(row), np.float32),
        static=np.array([[60, 0], [np.nan, 1]] * len(lengths), np.float32)[: len(lengths)],
    )


def _slowly(batch: Batch, b: int, t: int) -> np.ndarray:
    """Return one row by its definition, step by step."""
    hours, mask, value = batch.hours[b].astype(float), batch.mask[b], batch.values[b].astype(float)
    value = np.where(np.cumsum(mask, axis=0) > 0, value, np.nan)
    inside = {w: [s for s in range(t + 1) if hours[s] > hours[t] - w + 1e-6] for w in (6, 12)}
    before = [s for s in range(t + 1) if s not in inside[6]]
    blocks = [value[t], np.log1p(batch.delta[b, t]), mask[t]]
    blocks += [np.log1p(mask[: t + 1].sum(axis=0)), np.log1p(mask[inside[12]].sum(axis=0))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN: never measured so far
        for w in (6, 12):
            rows = value[inside[w]]
            blocks += [np.nanmin(rows, axis=0), np.nanmax(rows, axis=0), np.nanmean(rows, axis=0)]
    blocks.append(value[t] - value[before[-1]] if before else np.full(3, np.nan))
    return np.concatenate([*blocks, batch.static[b], hours[t : t + 1]])


@pytest.mark.parametrize("regular", [True, False])
def test_statistics_are_their_definition(regular: bool) -> None:
    batch = assemble(_ragged([20, 31, 1, 9], regular=regular), range(4), SCALER)
    found = f.window_statistics(batch)
    assert found.dtype == np.float32
    assert found.shape[2] == len(f.feature_names("window", VARIABLES, STATICS))
    for b in range(4):
        for t in range(batch.lengths[b]):
            np.testing.assert_allclose(found[b, t], _slowly(batch, b, t), rtol=1e-5, atol=1e-6)


def test_names_point_at_their_columns() -> None:
    batch = assemble(_ragged([20, 31]), [0, 1], SCALER)
    row = dict(zip(f.feature_names("window", VARIABLES, STATICS), f.window_statistics(batch)[1, 15], strict=True))
    assert row["hours"] == 16
    assert row["sex"] == np.float32((1 - 4) / 2)
    assert row["lactate:last"] == batch.values[1, 15, 1]
    assert row["lactate:measured"] == batch.mask[1, 15, 1]
    assert row["lactate:log_count"] == pytest.approx(np.log1p(batch.mask[1, :16, 1].sum()))
    assert row["lactate:min_6h"] <= row["lactate:mean_6h"] <= row["lactate:max_6h"]
    assert row["lactate:min_12h"] <= row["lactate:min_6h"]


@pytest.mark.parametrize("which", ["last", "step", "window_values"])
def test_the_smaller_matrices_are_columns_of_the_window_statistics(which: str) -> None:
    batch = assemble(_ragged([20, 31, 1, 9]), range(4), SCALER)
    names = f.feature_names(which, VARIABLES, STATICS)
    whole = dict(zip(f.feature_names("window", VARIABLES, STATICS), np.moveaxis(f.window_statistics(batch), 2, 0)))
    found = f.MATRICES[which](batch)
    assert found.dtype == np.float32 and found.shape[2] == len(names)
    real = np.arange(batch.hours.shape[1]) < batch.lengths[:, None]
    for column, name in enumerate(names):
        expected = np.nan_to_num(whole[name]) if which == "window_values" else whole[name]
        assert np.array_equal(found[:, :, column][real], expected[real], equal_nan=True), name
    left_out = {name.split(":")[1] for name in whole.keys() - set(names) if ":" in name}
    kept = {"last": {"last"}, "step": set(f.STEP), "window_values": set(f.STATISTICS) - f.PROCESS}
    assert left_out == set(f.STATISTICS) - kept[which]


def _charted_again(ragged: Ragged) -> Ragged:
    """Return the same stays, every variable that is known measured again at every step, with the value it had."""
    _, step, at = ragged.answered(np.arange(len(ragged.lengths)))
    filled = np.full((len(at), 3), np.nan, np.float32)
    cells = np.repeat(np.arange(len(ragged.lengths)), np.diff(ragged.cell_offsets))
    filled[ragged.step_offsets[cells] + ragged.cell_step, ragged.cell_variable] = ragged.cell_value
    for position in np.flatnonzero(step > 0):
        unknown = np.isnan(filled[position])
        filled[position, unknown] = filled[position - 1, unknown]
    where, variable = np.nonzero(~np.isnan(filled))
    return replace(
        ragged,
        cell_offsets=np.searchsorted(where, ragged.step_offsets).astype(np.int64),
        cell_step=step[where].astype(np.int32),
        cell_variable=variable.astype(np.uint16),
        cell_value=filled[where, variable],
        cell_age=np.zeros(len(where), np.float32),
    )


@pytest.mark.parametrize("regular", [True, False])
def test_charting_the_same_values_more_often_is_seen_in_the_process_alone(regular: bool) -> None:
    ragged = _ragged([20, 31, 1, 9, 14], regular=regular)
    often = _charted_again(ragged)
    assert len(often.cell_step) > 2 * len(ragged.cell_step)
    blocks = ["windows", "changes", "ratios", "severity"]
    engineered = [f"{step}+{'+'.join(blocks)}" for step in ("step", "step_values")] if regular else []
    for which in [*f.MATRICES, *engineered]:
        one, other = (f.row_matrix(each, range(5), CLINICAL, which) for each in (ragged, often))
        told = which.split("+")[0] in ("window", "step")
        assert np.array_equal(one, other, equal_nan=True) == (not told), which


def test_without_the_process_the_unknown_is_the_train_median() -> None:
    rows = f.row_matrix(_ragged([20, 31]), [0, 1], SCALER, "window_values")
    assert np.isfinite(rows).all()
    sodium = [i for i, n in enumerate(f.feature_names("window_values", VARIABLES, STATICS)) if n.startswith("sodium")]
    assert (rows[:20, sodium] == 0).all(), "never measured in the first stay"


@pytest.mark.parametrize("t", [0, 5, 17])
def test_what_comes_after_a_step_leaves_its_rows_bit_equal(t: int) -> None:
    batch = assemble(_ragged([25, 25, 25]), range(3), SCALER)
    random = np.random.default_rng(1)
    changed = Batch(*(part.copy() for part in batch))
    for part in (changed.values, changed.mask, changed.delta):
        part[:, t + 1 :] = random.integers(0, 2, part[:, t + 1 :].shape)
    changed.hours[:, t + 1 :] += 40
    before, after = f.window_statistics(batch), f.window_statistics(changed)
    assert np.array_equal(before[:, : t + 1], after[:, : t + 1], equal_nan=True)
    assert not np.array_equal(before[:, t + 1 :], after[:, t + 1 :], equal_nan=True)


@pytest.mark.parametrize("regular", [True, False])
def test_batch_mates_padding_and_order_are_irrelevant(regular: bool) -> None:
    ragged = _ragged([20, 31, 1, 9, 14], regular=regular)
    whole = f.window_statistics(assemble(ragged, range(5), SCALER, steps=50))
    for stay, length in enumerate(ragged.lengths):
        alone = f.window_statistics(assemble(ragged, [stay], SCALER))
        assert np.array_equal(whole[stay, :length], alone[0, :length], equal_nan=True)
    mixed = f.window_statistics(assemble(ragged, [3, 1, 0], SCALER))
    assert np.array_equal(mixed[0, :9], whole[3, :9], equal_nan=True)


@pytest.mark.parametrize("chunk", [1, 2, 512])
@pytest.mark.parametrize("which", list(f.MATRICES))
def test_row_matrix_gives_real_steps_in_the_order_of_stays(chunk: int, which: str) -> None:
    ragged = _ragged([20, 31, 1, 9, 14])
    stays = [4, 1, 0, 2]
    rows = f.row_matrix(ragged, stays, SCALER, which, chunk=chunk)
    hours = np.concatenate([ragged.hours[ragged.step_offsets[s] : ragged.step_offsets[s + 1]] for s in stays])
    if which != "last":
        assert np.array_equal(rows[:, -1], hours.astype(np.float32))
    assert rows.shape == (66, len(f.feature_names(which, VARIABLES, STATICS)))
    alone = f.MATRICES[which](assemble(ragged, [1], SCALER))[0]
    assert np.array_equal(rows[14:45], alone, equal_nan=True)


def test_many_steps_are_split_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    ragged = _ragged([20, 31, 1, 9, 14])
    whole = f.row_matrix(ragged, range(5), SCALER, "window")
    monkeypatch.setattr(f, "STEPS_AT_ONCE", 10)
    assert np.array_equal(f.row_matrix(ragged, range(5), SCALER, "window"), whole, equal_nan=True)


def test_without_the_process_a_step_is_its_values_at_the_train_median_where_unknown() -> None:
    batch = assemble(_ragged([20, 31]), [0, 1], SCALER)
    names = f.feature_names("step_values", VARIABLES, STATICS)
    assert names == [*(f"{name}:last" for name in VARIABLES), *STATICS, "hours"]
    found = f.step_values(batch)
    assert np.array_equal(found[..., :3], batch.values)
    assert np.array_equal(found[0, :, 3:5], np.repeat(batch.static[:1], 31, axis=0))
    assert np.array_equal(found[..., 5], batch.hours)
    assert not found[0, :, 2].any(), "never measured in the first stay"


# --- with engineered blocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", [True, False])
@pytest.mark.parametrize("chunk", [1, 2, 512])
def test_engineered_columns_stand_behind_those_of_the_step(chunk: int, process: bool) -> None:
    ragged, stays = _ragged([20, 31, 1, 9, 14]), [4, 1, 0, 2]
    which = f.matrix_of(BLOCKS, process, True)
    rows = f.row_matrix(ragged, stays, CLINICAL, which, chunk=chunk)
    own = f.row_matrix(ragged, stays, CLINICAL, which.split("+")[0])
    assert np.array_equal(rows[:, : own.shape[1]], own, equal_nan=True)
    made = Engineered(BLOCKS, Vocabulary(tuple(CLINICAL.variables), tuple(CLINICAL.statics), 1.0), process)
    made.know(CLINICAL)
    assert rows.shape == (66, own.shape[1] + made.width)
    alone = np.concatenate([made.matrix(assemble(ragged, [stay], CLINICAL))[0] for stay in stays])
    assert np.array_equal(rows[:, own.shape[1] :], alone, equal_nan=True)
    assert np.isnan(rows).any() == process


def test_a_matrix_is_named_by_what_it_holds() -> None:
    assert [f.matrix_of([], process, True) for process in (True, False)] == ["window", "window_values"]
    assert f.matrix_of(["counts"], True, hours=False) == "step_timeless+counts"
    with pytest.raises(InputError, match=r"engineered=windows must be a list of blocks, \[windows\]"):
        f.matrix_of("windows", True, True)


@pytest.mark.parametrize("stem", ["step", "step_values", "window", "window_values"])
def test_a_matrix_without_the_hours_is_the_same_but_for_them(stem: str) -> None:
    ragged, stays = _ragged([20, 31, 1]), [2, 0, 1]
    whole, timeless = (f.row_matrix(ragged, stays, CLINICAL, f"{stem}{end}") for end in ("", "_timeless"))
    names, rest = (f.feature_names(f"{stem}{end}", CLINICAL.variables, CLINICAL.statics) for end in ("", "_timeless"))
    assert names == [*rest, "hours"]
    assert np.array_equal(timeless, whole[:, :-1], equal_nan=True)
    blocks = f.row_matrix(ragged, stays, CLINICAL, f"{stem}_timeless+windows")
    assert np.array_equal(blocks[:, : len(rest)], timeless, equal_nan=True)


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("step+windws", "there is no features/windws: did you mean 'windows'"),
        ("stp+windows", "there is no matrix of rows 'stp'"),
        ("step+windows+windows", "names windows twice"),
        ("step_values+counts", "observation_process=false hides"),
    ],
)
def test_blocks_that_cannot_be_computed_are_told(which: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        f.row_matrix(_ragged([9, 12]), [0, 1], CLINICAL, which)


def test_blocks_are_refused_on_event_times() -> None:
    with pytest.raises(InputError, match=r"steps of a grid: give the task a width, task\.step_hours=1"):
        f.row_matrix(_ragged([30, 30], regular=False), [0, 1], CLINICAL, "step+windows")


def test_no_stays_give_no_rows_and_an_unknown_matrix_is_refused() -> None:
    assert f.row_matrix(_ragged([3]), [], SCALER, "window").shape == (0, 39)
    with pytest.raises(InputError, match="window"):
        f.row_matrix(_ragged([3]), [0], SCALER, "windows")
