"""Counts are those of a loop over the chart."""

from __future__ import annotations

from collections.abc import Callable
from math import log1p
from typing import Any

import numpy as np
import pytest

from clinical_lstm.errors import InputError
from clinical_lstm.variables import vocabulary


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    row: dict[str, float] = {}
    now, day, latest = {"vital": 0, "lab": 0}, {"vital": 0, "lab": 0}, -1
    for name in chart.variables:
        when, kind = chart.when(b, t, name), vocabulary()[name].kind
        recent = [s for s in when if s > t - round(12 / chart.step_hours)]
        row[f"{name}:log_count"], row[f"{name}:log_count_12h"] = log1p(len(when)), log1p(len(recent))
        if kind in now:
            now[kind] += t in when
            day[kind] += len([s for s in when if s > t - round(24 / chart.step_hours)])
        if kind == "lab":
            latest = max([latest, *when])
    row |= {"vitals_now": log1p(now["vital"]), "labs_now": log1p(now["lab"])}
    row |= {"vitals_24h": log1p(day["vital"]), "labs_24h": log1p(day["lab"])}
    return row | {"log_hours_since_lab": log1p((t - latest) * chart.step_hours)}


def test_every_column_is_that_of_a_loop(chart: Any, compared: Callable[..., None]) -> None:
    compared(chart, "counts", by_loops)


def test_on_a_sparse_chart_the_hours_since_the_last_lab_run_on(
    make_chart: Callable[..., Any], compared: Callable[..., None]
) -> None:
    compared(make_chart(["heart_rate", "lactate", "fio2"], [60, 5], observed=0.06), "counts", by_loops)


def test_without_labs_the_hours_since_one_are_those_since_admission(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate"], [4])
    made = chart.engineered("counts")
    assert made.features[-1].name == "log_hours_since_lab"
    found = made.plain(chart.batch())[0][0, :, -1].tolist()
    assert np.allclose(found, np.log1p([1.0, 2.0, 3.0, 4.0]))


def test_without_the_observation_process_they_are_left_out(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["heart_rate", "lactate"], [4])
    both = chart.engineered("changes", "counts", observation_process=False)
    assert [feature.name for feature in both.features] == [
        "lactate:change",
        "lactate:above_lowest",
        "lactate:below_highest",
    ]
    with pytest.raises(InputError, match=r"engineered=\['counts'\]: nothing .*observation_process=false hides"):
        chart.engineered("counts", observation_process=False)
