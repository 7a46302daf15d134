"""Vital signs over the last hours are what a loop over the hours finds, on every grid and at every start of a stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import torch

VITALS = [
    *("heart_rate", "sbp", "map", "dbp", "sbp_noninvasive", "map_noninvasive", "dbp_noninvasive"),
    *("respiratory_rate", "spo2", "temperature", "gcs"),
]
COLUMNS = ["mean_6h", "sd_12h", "min_6h", "max_6h", "min_24h", "max_24h", "from_own_mean", "change_6h"]


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    row: dict[str, float] = {}
    for name in VITALS:
        if not chart.when(b, t, name):
            row |= {f"{name}:{column}": 0.0 for column in COLUMNS}
            continue
        short, middle, long = (chart.window(b, t, name, hours) for hours in (6, 12, 24))
        ago = max(t - round(6 / chart.step_hours), chart.when(b, t, name)[0])
        numbers = [
            *(fmean(short), math.sqrt(pstdev(middle) ** 2 + 1e-4) - 1e-2),
            *(min(short), max(short), min(long), max(long)),
            *(chart.z(b, t, name) - fmean(chart.measured(b, t, name)), chart.z(b, t, name) - chart.z(b, ago, name)),
        ]
        row |= {f"{name}:{column}": number for column, number in zip(COLUMNS, numbers)}
    return row


def test_every_column_is_that_of_a_loop(chart: Any, compared: Callable[..., None]) -> None:
    compared(chart, "windows", by_loops)


def test_numbers_by_hand(make_chart: Callable[..., Any]) -> None:
    """Heart rates 65, -, 105, -, -, -, -, 85 of usually 85 +- 20: scaled -1 and 1 and 0."""
    chart = make_chart(["heart_rate"], [9])
    chart.dense[0][:, 0] = [np.nan, 65, np.nan, 105, np.nan, np.nan, np.nan, np.nan, 85]
    made = chart.engineered("windows")
    found = made.plain(chart.batch())[0][0]
    named = {feature.name.split(":")[1]: found[:, place].tolist() for place, feature in enumerate(made.features)}
    assert [named[column][0] for column in COLUMNS] == [0.0] * 8
    assert np.allclose(named["mean_6h"][1:], [-1, -1, -4 / 6, -2 / 6, 0, 2 / 6, 4 / 6, 5 / 6])
    assert named["min_6h"][1:] == [-1, -1, -1, -1, -1, -1, -1, 0]
    assert named["max_24h"][1:] == [-1, -1, 1, 1, 1, 1, 1, 1]
    assert np.allclose(named["from_own_mean"][1:], [0, 0, 1, 1, 1, 1, 1, 0])
    assert named["change_6h"][1:] == [0, 0, 2, 2, 2, 2, 2, 1]  # 8 h: since hour 2; 9 h: since hour 3
    assert np.isclose(named["sd_12h"][3], math.sqrt(np.var([-1] * 11 + [1]) + 1e-4) - 0.01)


def test_a_window_forgets_what_is_as_old_as_it_is_long(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate"], [40])
    chart.dense[0][:, 0] = 85.0
    chart.dense[0][5, 0] = 205.0
    made = chart.engineered("windows")
    found = made.plain(chart.batch())[0][0]
    for place, feature in enumerate(made.features):
        reach = {"mean_6h": 6, "max_6h": 6, "sd_12h": 12, "max_24h": 24}.get(feature.name.split(":")[1])
        if reach:
            assert torch.equal(found[:, place].abs() > 1e-4, (torch.arange(40) >= 5) & (torch.arange(40) < 5 + reach))


def test_a_constant_has_no_spread_and_a_finite_slope(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate"], [15])
    chart.dense[0][:, 0] = 205.0
    batch = chart.batch()
    values = batch.values.clone().requires_grad_()
    found = chart.engineered("windows").plain(batch._replace(values=values))[0]
    assert found[0, :, 1].abs().max() < 1e-6
    [slope] = torch.autograd.grad(found.sum(), values)
    assert slope.isfinite().all()


def test_without_vital_signs_there_are_no_columns(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["lactate"], [5])
    made = chart.engineered("windows", "changes")
    assert made.width == 3
    assert made.plain(chart.batch())[0].shape == (1, 5, 3)
