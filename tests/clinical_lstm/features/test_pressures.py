"""Arterial and cuff pressures as one are what a loop over both finds, on every grid and at every start of a stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

PAIRS = {name: (name, f"{name}_noninvasive") for name in ("sbp", "map", "dbp")}


def last_of(chart: Any, b: int, t: int, name: str) -> float:
    """Return the mean of both ways, weighed by which is newer; before any measurement both are as old."""
    arterial, cuff = (chart.when(b, t, way) for way in PAIRS[name])
    waited = [(t - at[-1] if at else t + 1) * chart.step_hours for at in (arterial, cuff)]
    newer = 1 / (1 + math.exp(waited[1] - waited[0]))
    return newer * chart.last(b, t, PAIRS[name][1]) + (1 - newer) * chart.last(b, t, PAIRS[name][0])


def within(chart: Any, b: int, t: int, name: str, hours: float) -> list[float]:
    """Return what was measured either way in (t - hours, t], in mmHg."""
    since = t - round(hours / chart.step_hours)
    return [chart.last(b, s, way) for way in PAIRS[name] for s in chart.when(b, t, way) if s > since]


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    row: dict[str, float] = {}
    means = {}
    for name in PAIRS:
        last = last_of(chart, b, t, name)
        numbers = {"last": last}
        for hours in (12, 24):
            found = [last, *within(chart, b, t, name, hours)]
            numbers |= {f"mean_{hours}h": sum(found) / len(found)}
            numbers |= {f"min_{hours}h": min(found), f"max_{hours}h": max(found)}
        row |= {f"{name}_either_way:{column}": number / 20 for column, number in numbers.items()}
        means[name] = {"last": last, "mean_24h": numbers["mean_24h"]}
    for column in ("last", "mean_24h"):
        systolic, diastolic = means["sbp"][column], means["dbp"][column]
        row[f"shock_index_either_way:{column}"] = math.log(chart.last(b, t, "heart_rate") / systolic)
        row[f"pulse_pressure_either_way:{column}"] = (systolic - diastolic) / 20
    return row


def test_every_column_is_that_of_a_loop(chart: Any, compared: Callable[..., None]) -> None:
    compared(chart, "pressures", by_loops)


def test_a_line_that_is_drawn_hands_over_to_the_cuff(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate", "sbp", "sbp_noninvasive"], [30])
    chart.dense[0][:] = np.nan
    chart.dense[0][:3, 1], chart.dense[0][2, 2], chart.dense[0][5, 2] = (80, 90, 100), 140, 150
    made = chart.engineered("pressures")
    found = made.plain(chart.batch())[0][0] * 20
    named = {feature.name: found[:, place] for place, feature in enumerate(made.features)}
    last = named["sbp_either_way:last"]
    assert last[2] == 120, "as old"
    assert np.isclose(last[4], 120) and np.isclose(last[5], 100 + 50 / (1 + math.exp(-3)))
    assert named["sbp_either_way:min_12h"][[5, 12, 13]].tolist() == [80, 90, 100]
    assert named["sbp_either_way:min_12h"][16] == 150 - 50 * (1 - 1 / (1 + math.exp(-3))), "the last"
    assert named["sbp_either_way:max_24h"][[2, 5, 28]].tolist() == [140, 150, 150]
    assert np.isclose(named["sbp_either_way:mean_24h"][28], (last[28] + 150) / 2)


def test_one_way_of_measuring_is_nothing_to_join(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate", "sbp", "dbp_noninvasive"], [5])
    made = chart.engineered("pressures", "windows")
    assert {feature.name.split(":")[0] for feature in made.features} == {"heart_rate", "sbp", "dbp_noninvasive"}
    assert made.plain(chart.batch())[0].shape == (1, 5, made.width)
