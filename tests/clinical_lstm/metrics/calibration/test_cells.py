"""Cells hold every row once, keep equal risks together and are as narrow and as light as they promise."""

from __future__ import annotations

import numpy as np
import pytest

from clinical_lstm.metrics.calibration.cells import CELLS, cells_of
from clinical_lstm.metrics.calibration.logits import logit


@pytest.mark.parametrize("kind", ["normal", "narrow", "heavy tails", "mass at one risk"])
def test_intervals_are_narrow_light_and_ordered(kind: str) -> None:
    random = np.random.default_rng(0)
    z = {
        "normal": random.normal(-3, 1.5, 50_000),
        "narrow": np.r_[random.normal(-3, 1e-3, 49_990), np.linspace(-12, 12, 10)],
        "heavy tails": random.standard_cauchy(50_000),
        "mass at one risk": np.r_[np.full(30_000, -2.0), random.normal(-3, 1, 20_000)],
    }[kind]
    risk = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
    cells, x = cells_of(risk), logit(risk)
    size = len(cells.logit)
    assert size <= CELLS
    assert (np.diff(cells.logit) > 0).all()
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, cells.cell, x)
    np.maximum.at(high, cells.cell, x)
    assert (high[:-1] < low[1:]).all(), "cells are intervals: equal risks share one"
    assert (high - low).max() <= 2 / CELLS * (x.max() - x.min()) + 1e-12
    rows = np.bincount(cells.cell, minlength=size)
    assert rows.min() > 0
    assert rows[high > low].max() <= 4 / CELLS * len(risk) + 1
    np.testing.assert_allclose(np.bincount(cells.cell, risk) / rows, cells.risk)


def test_few_distinct_risks_are_a_cell_each() -> None:
    risk = np.random.default_rng(1).integers(1, 1000, 20_000) / 1000
    cells = cells_of(risk)
    np.testing.assert_allclose(cells.risk[cells.cell], risk, rtol=1e-14)
    assert len(cells.logit) == len(np.unique(risk))


def test_risks_of_0_and_1_and_no_risks_have_cells() -> None:
    assert cells_of(np.array([0.0, 1.0, 0.0])).risk.tolist() == [0.0, 1.0]
    assert len(cells_of(np.zeros(0)).logit) == 0
