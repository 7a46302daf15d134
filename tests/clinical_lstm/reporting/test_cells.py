"""Sums of cells: exact in any order, and the share of charting is that of sums over time."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import cells


@pytest.fixture(scope="module")
def found(run: Run) -> cells.Cells:
    row = run.table("explained.parquet").row(0, named=True)
    return cells.cells_of(run.table("attributions.parquet"), row)


def test_sums_do_not_depend_on_the_order_of_cells(found: cells.Cells) -> None:
    order = np.random.default_rng(3).permutation(len(found))
    mixed = {key: found[key] for key in (list(found)[i] for i in order)}
    for one, other in zip(cells.summed(found), cells.summed(mixed)):
        assert one == other


def test_sums_agree_with_the_table(found: cells.Cells, run: Run) -> None:
    row = run.table("explained.parquet").row(0, named=True)
    own = run.table("attributions.parquet").filter(stay_id=row["stay_id"])
    total, by_channel, size = cells.summed(found)
    assert sum(total.values()) == pytest.approx(own["attribution"].sum())
    assert sum(sum(by.values()) for by in size.values()) == pytest.approx(own["attribution"].abs().sum())
    lactate = own.filter(variable="lactate", channel="mask")["attribution"].sum()
    assert by_channel["lactate"]["mask"] == pytest.approx(lactate)


def test_nothing_contributes_nothing() -> None:
    assert cells.from_charting({}) is None
    assert cells.visible({}, [], 5) == ({}, 0)


def test_weak_cells_stay_blank_and_the_strongest_are_kept() -> None:
    some = {("map", float(hour)): {"value": share} for hour, share in enumerate([1.0, -0.5, 0.02, 0.001])}
    assert [hour for _, hour in cells.visible(some, ["map"], 9)[0]] == [0.0, 1.0, 2.0]
    kept, more = cells.visible(some, ["map"], 2)
    assert ([hour for _, hour in kept], more) == ([0.0, 1.0], 1)
    assert cells.visible(some, ["wbc"], 2) == ({}, 0)
