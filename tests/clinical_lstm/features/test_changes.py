"""Changes of laboratory values are those between the measurements that a loop finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LABS = [
    *("bicarbonate", "lactate", "paco2", "pao2", "sao2", "creatinine", "bun", "sodium", "chloride", "albumin"),
    *("alt", "ast", "bilirubin_total", "bilirubin_direct", "platelets", "wbc", "neutrophils", "lymphocytes"),
]


def by_loops(chart: Any, b: int, t: int) -> dict[str, float]:
    row = {}
    for name in LABS:
        seen = chart.measured(b, t, name)
        row[f"{name}:change"] = seen[-1] - seen[-2] if len(seen) > 1 else 0.0
        row[f"{name}:above_lowest"] = seen[-1] - min(seen) if seen else 0.0
        row[f"{name}:below_highest"] = max(seen) - seen[-1] if seen else 0.0
    return row


def test_every_column_is_that_of_a_loop(chart: Any, compared: Callable[..., None]) -> None:
    compared(chart, "changes", by_loops)


def test_numbers_by_hand(make_chart: Callable[..., Any]) -> None:
    """Sodium of usually 138 +- 5."""
    chart = make_chart(["sodium"], [7])
    chart.dense[0][:, 0] = [np.nan, 138, np.nan, 143, 133, np.nan, 133]
    found = chart.engineered("changes").plain(chart.batch())[0][0].T.tolist()
    assert found == [[0, 0, 0, 1, -2, -2, 0], [0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 2, 2, 2]]


def test_a_change_of_a_skewed_lab_is_one_of_its_logarithm(make_chart: Callable[..., Any]) -> None:
    chart = make_chart(["creatinine"], [2])
    chart.dense[0][:, 0] = [1.0, 3.0]
    found = chart.engineered("changes").plain(chart.batch())[0][0, 1, 0].item()
    assert np.isclose(found, (np.log1p(3.0) - np.log1p(1.0)) / 0.4)
