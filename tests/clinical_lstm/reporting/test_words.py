"""Sentences a clinician reads: value, trend, age and side of the reference."""

from __future__ import annotations

import pytest

from clinical_lstm.reporting import words


@pytest.mark.parametrize(
    ("points", "now", "sentence"),
    [
        ([(1.0, 4.1)], 1.0, "Lactate 4.1 mmol/L, measured at this time, reference 0.5–2 (above)"),
        ([(1.0, 2.0)], 3.0, "Lactate 2 mmol/L, last measured 2 h ago, reference 0.5–2 (within)"),
        ([(1.0, 0.4)], 1.5, "Lactate 0.4 mmol/L, last measured 30 min ago, reference 0.5–2 (below)"),
        # The trend looks back at least 4 h where it can: 3 h ago is not old enough, 6 h ago is.
        (
            [(1.0, 3.0), (4.0, 9.0), (7.0, 2.0)],
            7.0,
            "Lactate 2 mmol/L, down 1 in 6 h, measured at this time, reference 0.5–2 (within)",
        ),
        (
            [(5.0, 1.5), (7.0, 1.5)],
            8.0,
            "Lactate 1.5 mmol/L, unchanged in 2 h, last measured 1 h ago, reference 0.5–2 (within)",
        ),
    ],
)
def test_a_measurement_in_words(points: list[tuple[float, float]], now: float, sentence: str) -> None:
    assert words.measured("lactate", points, now) == sentence


def test_an_unknown_variable_has_neither_unit_nor_reference() -> None:
    assert words.measured("marker_x", [(1.0, 3.0)], 1.0) == "marker_x 3, measured at this time"
    assert words.static("marker_x", None) == "marker_x not recorded"


def test_one_sided_references() -> None:
    assert words.interval(94, None) == "from 94"
    assert words.interval(None, 5) == "up to 5"


def test_tiny_numbers_keep_their_side() -> None:
    assert (words.number(3e-6), words.number(-3e-6)) == ("<0.0001", ">−0.0001")


@pytest.mark.parametrize("value", [0.0, 1e-4, 0.05, 0.1, 9.999, 10.0, 99.96, 100.0, 12345.6])
def test_numbers_stay_close_and_symmetric(value: float) -> None:
    text = words.number(value)
    assert abs(float(text) - value) <= max(0.06 * value, 1e-12)
    assert value == 0 or words.number(-value) == f"−{text}"
