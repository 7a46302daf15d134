"""Contributions in words: the channel that weighs most, nothing from after the prediction, and a table that adds up."""

from __future__ import annotations

from clinical_lstm.reporting.cells import summed
from clinical_lstm.reporting.contributions import Driver, drivers, table

CELLS = {
    ("lactate", 5.0): {"value": 0.5, "mask": 0.1},
    ("lactate", 6.0): {"value": 0.25},
    ("map", 6.0): {"value": -0.2, "delta": -0.3},
    ("age_years", 6.0): {"static": 0.1},
    ("wbc", 6.0): {"value": 0.0},
}


def test_sentences_by_size_and_never_of_what_contributes_nothing() -> None:
    points = {"lactate": [(2.0, 2.3), (6.0, 4.1), (9.0, 99.0)]}
    found = drivers(CELLS, points, {"age_years": 71.0}, 7.0, most=9)
    assert [one.direction for one in found] == ["raises", "lowers", "raises"]
    assert found[0].sentence == ("Lactate 4.1 mmol/L, up 1.8 in 4 h, last measured 1 h ago, reference 0.5–2 (above)")
    assert found[0].through == "mostly through its value"
    assert found[1].through == "mostly through the time since it was measured"
    assert found[2] == Driver("Age 71 years, known at admission", "", 0.1)
    assert found[:2] == drivers(CELLS, points, {}, 7.0, most=2)
    assert found[0].odds == "odds × 2.34"


def test_the_table_has_every_variable_that_contributes() -> None:
    total, by_channel, _ = summed(CELLS)
    rows = table(total, by_channel)
    assert [row[0] for row in rows] == ["Lactate", "Mean arterial pressure", "Age"]
    assert rows[0][1:] == ["+0.850", "+0.750", "+0.100", "–", "–"]
    assert rows[1][1:] == ["−0.500", "−0.200", "–", "−0.300", "–"]
