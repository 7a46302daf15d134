"""qSOFA: the edges of its three signs, and where they come from."""

from __future__ import annotations

import polars as pl
import pytest

from clinical_lstm.scores.qsofa import qsofa


def hourly(*rows: tuple[float, str, float], **windows: int) -> list[tuple[int | None, ...]]:
    """Return (respiration, systolic_pressure, mentation, qsofa, measured) at hours 1, 2 and 3."""
    table = pl.DataFrame(rows, schema={"hours": pl.Float64, "variable": pl.String, "value": pl.Float64}, orient="row")
    seen = table.select(pl.lit("a").alias("stay_id"), pl.all())
    return (
        qsofa(pl.DataFrame({"stay_id": ["a"], "length_hours": [3.0]}), seen, **windows).drop("stay_id", "hours").rows()
    )


@pytest.mark.parametrize(("rate", "pressure", "coma", "points"), [
    (22, 100, 14, (1, 1, 1)), (21, 101, 15, (0, 0, 0)), (21.9, 100.4, 3, (0, 0, 1)), (30, 80, 15, (1, 1, 0)),
])  # fmt: skip
def test_equality_counts(rate: float, pressure: float, coma: float, points: tuple[int, ...]) -> None:
    found = hourly((0.1, "respiratory_rate", rate), (0.1, "sbp", pressure), (0.1, "gcs", coma))
    assert found == [(*points, sum(points), 3)] * 3


def test_signs_not_measured_are_null_and_count_nothing() -> None:
    assert hourly((1.5, "respiratory_rate", 25.0)) == [(None, None, None, 0, 0), *[(1, None, None, 1, 1)] * 2]
    assert hourly((0.5, "respiratory_rate", 25.0), carry_hours=2)[2] == (None, None, None, 0, 0)


def test_mentation_and_pressure_have_two_sources() -> None:
    seen = (0.5, "gcs", 15.0), (1.5, "not_alert", 1.0), (0.5, "sbp", 90.0), (0.6, "sbp_noninvasive", 120.0)
    assert hourly(*seen, (2.5, "sbp_noninvasive", 120.0)) == [
        (None, 1, 0, 1, 2),
        (None, 1, 1, 2, 2),
        (None, 0, 1, 1, 2),
    ]
