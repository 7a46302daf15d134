"""The scaler knows the train stays and nothing else, and never divides by zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clinical_lstm.artifacts import Cohort
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.data.scaling import fit_scaler

NAMES, STATICS = ["heart_rate", "lactate", "ph", "sodium"], ["age_years", "male"]


def _ragged(cells: list[list[tuple[int, float]]], static: list[list[float]]) -> Ragged:
    """Return one-step stays with the given (variable, value) cells."""
    flat = [cell for stay in cells for cell in stay]
    return Ragged(
        step_offsets=np.arange(len(cells) + 1),
        cell_offsets=np.cumsum([0, *(len(stay) for stay in cells)]),
        hours=np.ones(len(cells)),
        cell_step=np.zeros(len(flat), np.int32),
        cell_variable=np.array([v for v, _ in flat], np.uint16),
        cell_value=np.array([x for _, x in flat], np.float32),
        cell_age=np.zeros(len(flat), np.float32),
        static=np.array(static, np.float32),
    )


CELLS = [[(0, 60.0), (1, 1.0)], [(0, 80.0), (1, 1.0)], [(0, 100.0), (2, 7.4)], [(0, 999.0), (1, 9.0), (3, 140.0)]]
STATIC = [[50.0, 1.0], [70.0, 1.0], [np.nan, 1.0], [99.0, 0.0]]
TRAIN = np.array([0, 1, 2])


def _equal(one: Scaler, other: Scaler) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("log", "location", "scale"))


def test_location_and_scale_are_those_of_the_train_cells() -> None:
    scaler = fit_scaler(_ragged(CELLS, STATIC), TRAIN, NAMES, STATICS)
    assert scaler.log.tolist() == [False, True, False, False, False, False]
    np.testing.assert_allclose(scaler.location, [80.0, np.log(2), 7.4, 0.0, 60.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(scaler.scale, [np.std([60, 80, 100]), 1.0, 1.0, 1.0, 10.0, 1.0], rtol=1e-6)


def test_constant_and_never_seen_variables_stay_finite() -> None:
    scaler = fit_scaler(_ragged(CELLS, STATIC), TRAIN, NAMES, STATICS)
    assert scaler.measured(np.float32([1.0, 7.4, 140.0]), np.array([1, 2, 3])).tolist() == pytest.approx(
        [0, 0, 140], abs=1e-6
    )
    empty = fit_scaler(_ragged([[], []], [[np.nan, np.nan]] * 2), np.array([0]), NAMES, STATICS)
    assert empty.location.tolist() == [0.0] * 6
    assert empty.scale.tolist() == [1.0] * 6


def test_other_stays_change_no_bit() -> None:
    whole = fit_scaler(_ragged(CELLS, STATIC), TRAIN, NAMES, STATICS)
    spoilt = fit_scaler(_ragged([*CELLS[:3], [(1, 1e6), (3, -5.0)]], [*STATIC[:3], [-1e6, 7.0]]), TRAIN, NAMES, STATICS)
    assert _equal(whole, spoilt)
    moved = fit_scaler(_ragged(CELLS, STATIC), np.array([0, 1, 3]), NAMES, STATICS)
    assert not _equal(whole, moved)


def test_scaler_of_a_cohort_ignores_val_calib_and_test(tiny_cohort: Cohort) -> None:
    manifest = tiny_cohort.verify()
    tensors = Ragged.load(tiny_cohort.path / "tensors")
    is_train = (tiny_cohort.table("stays.parquet")["split"] == "train").to_numpy()
    foreign = ~np.repeat(is_train, np.diff(tensors.cell_offsets))
    spoilt = replace(
        tensors,
        cell_value=np.where(foreign, np.float32(1e4), tensors.cell_value),
        static=np.where(is_train[:, None], tensors.static, np.float32(-3.0)),
    )
    written = Scaler.from_table(tiny_cohort.table("scaler.parquet"))
    names = (manifest["variables"], manifest["statics"])
    assert _equal(written, fit_scaler(spoilt, np.flatnonzero(is_train), *names))
    assert not _equal(written, fit_scaler(spoilt, np.arange(len(is_train)), *names))
    assert (written.scale > 0).all()
